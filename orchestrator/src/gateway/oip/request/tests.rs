//! What clients send, well-meant and hostile, and what they are told.

use proptest::prelude::*;
use serde_json::{Value, json};
use weir_shared::arch::Shape;

use super::*;

/// A network so small that a test can write its images: 2x2 pixels, 3 classes, at most 2 images.
pub(in super::super) fn model() -> ModelInfo {
    ModelInfo {
        name: "tiny".to_owned(),
        version: "1".to_owned(),
        input_name: "input".to_owned(),
        image: Shape::new(3, 2, 2),
        output_name: "logits".to_owned(),
        classes: 3,
        shorter_side: 2,
        labels: None,
        max_batch: 2,
    }
}

fn pixels(batch: usize) -> Vec<f32> {
    (0..batch * 12).map(|i| i as f32 / 7.0 - 1.5).collect()
}

/// A well-formed request for one image; the tests change it.
fn json_request() -> Value {
    json!({
        "id": "a",
        "inputs": [{ "name": "input", "datatype": "FP32", "shape": [1, 3, 2, 2], "data": pixels(1) }],
    })
}

fn binary_request() -> Value {
    json!({
        "inputs": [{ "name": "input", "datatype": "FP32", "shape": [1, 3, 2, 2],
                     "parameters": { "binary_data_size": 48 } }],
    })
}

fn parse_json(request: &Value) -> Result<InferRequest, RequestError> {
    parse(request.to_string().as_bytes(), None, &model())
}

fn parse_binary(request: &Value, tensors: &[u8]) -> Result<InferRequest, RequestError> {
    let mut body = request.to_string().into_bytes();
    let json_length = body.len();
    body.extend_from_slice(tensors);
    parse(&body, Some(json_length), &model())
}

fn raw(numbers: &[f32]) -> Vec<u8> {
    let mut bytes = Vec::new();
    tensor::fp32_to_le(numbers, &mut bytes);
    bytes
}

fn check_refused(change: impl FnOnce(&mut Value), expect: &str) {
    let mut request = json_request();
    change(&mut request);
    let error = parse_json(&request).unwrap_err().to_string();
    assert!(error.contains(expect), "{error}");
}

fn output_of(output: &Value, parameters: &Value) -> OutputForm {
    let mut request = json_request();
    request["outputs"] = output.clone();
    request["parameters"] = parameters.clone();
    parse_json(&request).unwrap().output
}

#[test]
fn both_forms_of_a_request_give_the_same_job() {
    let json = parse_json(&json_request()).unwrap();
    assert_eq!(json.id.as_deref(), Some("a"));
    assert_eq!(json.job, InferJob { images: pixels(1), batch: 1, timeout: None, trace: None });
    assert_eq!(parse_binary(&binary_request(), &raw(&pixels(1))).unwrap().job, json.job);
}

#[test]
fn nested_data_is_read_in_row_major_order() {
    let mut request = json_request();
    request["inputs"][0]["data"] = json!([[[[0, 1], [2, 3]], [[4, 5], [6, 7]], [[8, 9], [10, -11.5]]]]);
    let images = parse_json(&request).unwrap().job.images;
    assert_eq!(images, [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, -11.5]);
}

#[test]
fn the_timeout_is_in_microseconds_and_zero_says_nothing() {
    let mut request = json_request();
    request["parameters"] = json!({ "timeout": 1500, "priority": 3, "sequence_id": "x" });
    assert_eq!(parse_json(&request).unwrap().job.timeout, Some(Duration::from_micros(1500)));
    request["parameters"] = json!({ "timeout": 0 });
    assert_eq!(parse_json(&request).unwrap().job.timeout, None);
}

#[test]
fn the_client_chooses_what_it_gets() {
    use OutputContent::{BestClasses, Logits};
    let five = BestClasses(NonZeroU32::new(5).unwrap());
    let (in_json, binary) = (Placement::Json, Placement::Binary);
    let named = |parameters: Value| json!([{ "name": "logits", "parameters": parameters }]);
    for (output, parameters, content, placement) in [
        (json!([]), json!({}), Logits, in_json),
        (json!([]), json!({ "binary_data_output": true }), Logits, binary),
        (named(json!({})), json!({ "binary_data_output": true }), Logits, binary),
        (named(json!({ "binary_data": false })), json!({ "binary_data_output": true }), Logits, in_json),
        (named(json!({ "binary_data": true, "classification": 5 })), json!({}), five, binary),
        (named(json!({ "classification": 0 })), json!({}), Logits, in_json),
    ] {
        assert_eq!(
            output_of(&output, &parameters),
            OutputForm { content, placement },
            "{output} {parameters}"
        );
    }
}

#[test]
fn a_wrong_field_is_named_with_the_remedy() {
    check_refused(|r| r["inputs"][0]["name"] = json!("image"), r#"the input of this network is "input""#);
    check_refused(|r| r["inputs"][0]["name"] = json!(3), "expected inputs[0].name, a string");
    check_refused(|r| r["inputs"][0]["datatype"] = json!("UINT8"), "convert the images to FP32");
    check_refused(|r| r["inputs"][0]["shape"] = json!([1, 3, 4, 4]), "this network takes [-1, 3, 2, 2]");
    check_refused(|r| r["inputs"][0]["shape"] = json!([3, 2, 2]), "this network takes [-1, 3, 2, 2]");
    check_refused(|r| r["inputs"][0]["shape"] = json!([-1, 3, 2, 2]), "inputs[0].shape, whole numbers");
    check_refused(|r| r["inputs"][0]["shape"] = json!([3, 3, 2, 2]), "send 1 to 2 in one request");
    check_refused(|r| r["inputs"][0]["shape"] = json!([0, 3, 2, 2]), "send 1 to 2 in one request");
    check_refused(|r| r["inputs"][0]["shape"] = json!([u64::MAX, 3, 2, 2]), "send 1 to 2 in one request");
    check_refused(|r| r["inputs"][0]["shape"] = json!([1, 1, 1, 1, 1, 1, 1, 1, 1]), "more dimensions");
    check_refused(|r| r["inputs"][0]["data"] = json!([1, 2]), "has 2 numbers, but inputs[0].shape needs 12");
    check_refused(|r| r["inputs"][0]["data"] = json!(["1"]), "expected a number in inputs[0].data");
    check_refused(|r| r["inputs"][0]["data"] = json!(5), "expected inputs[0].data, an array of numbers");
    check_refused(|r| r["inputs"][0]["data"] = json!([1e39]), "FP32 can not represent");
    check_refused(|r| r["inputs"][0]["data"] = json!(vec![0; 25]), "more than the 24 numbers");
    check_refused(|r| r["inputs"][0]["data"] = json!([[[[[0]]]]]), "nested deeper");
    check_refused(|r| r["inputs"] = json!([{}, {}]), "this network takes one");
    check_refused(|r| r["inputs"] = json!([]), "inputs[0], the tensor of images, is missing");
    check_refused(|r| r["inputs"] = json!({}), "expected inputs, an array");
    check_refused(
        |r| r["outputs"] = json!([{ "name": "prob" }]),
        r#"the output of this network is "logits""#,
    );
    check_refused(|r| r["outputs"] = json!([{}]), "outputs[0].name is missing");
    check_refused(|r| r["parameters"] = json!({ "timeout": "1s" }), "a whole number of microseconds");
    check_refused(|r| r["id"] = json!(7), "expected id, a string");
    let shared = json!({ "shared_memory_region": "r", "shared_memory_byte_size": 48 });
    check_refused(|r| r["inputs"][0]["parameters"] = shared, "shared_memory_region is not supported");
    let both = json!({ "binary_data_size": 48 });
    check_refused(|r| r["inputs"][0]["parameters"] = both, "send one of them");
}

#[test]
fn every_required_field_is_missed() {
    for field in ["name", "datatype", "shape", "data"] {
        let remove = |r: &mut Value| drop(r["inputs"][0].as_object_mut().unwrap().remove(field));
        check_refused(remove, &format!("inputs[0].{field}"));
    }
}

#[test]
fn binary_tensors_must_be_exactly_what_the_header_and_the_shape_say() {
    let (request, tensor) = (binary_request(), raw(&pixels(1)));
    let refused = |result: Result<InferRequest, RequestError>| result.unwrap_err();
    assert_eq!(
        refused(parse_binary(&request, &tensor[..47])),
        RequestError::BinaryLength { found: 47, stated: 48 }
    );
    let longer = [&tensor[..], &[0]].concat();
    assert_eq!(
        refused(parse_binary(&request, &longer)),
        RequestError::BinaryLength { found: 49, stated: 48 }
    );
    let trailing = refused(parse_binary(&json_request(), b"x"));
    assert_eq!(trailing, RequestError::BinaryLength { found: 1, stated: 0 });

    let mut wrong_size = request.clone();
    wrong_size["inputs"][0]["parameters"]["binary_data_size"] = json!(44);
    let error = refused(parse_binary(&wrong_size, &tensor[..44]));
    assert_eq!(error, RequestError::BinarySize { stated: 44, needed: 48 });

    let body = [request.to_string().as_bytes(), &tensor].concat();
    let json_length = request.to_string().len();
    let parse = |stated| refused(parse(&body, stated, &model()));
    assert_eq!(parse(None), RequestError::HeaderMissing);
    assert_eq!(parse(Some(999)), RequestError::HeaderBeyondBody { stated: 999, body: body.len() });
    assert_eq!(parse(Some(json_length + 1)), RequestError::HeaderTooLong { stated: json_length + 1 });
    assert!(matches!(parse(Some(json_length - 1)), RequestError::Json { .. }));
}

#[test]
fn nesting_without_end_is_refused_without_recursion() {
    let depth = 100_000;
    let unknown = format!(r#"{{"x":{}{}}}"#, "[".repeat(depth), "]".repeat(depth));
    assert_eq!(
        parse(unknown.as_bytes(), None, &model()),
        Err(missing("inputs[0], the tensor of images,")),
        "an unknown field is skipped, however deep"
    );
    let data = format!(r#"{{"inputs":[{{"data":{}"#, "[".repeat(depth));
    let error = parse(data.as_bytes(), None, &model()).unwrap_err().to_string();
    assert!(error.contains("nested deeper"), "{error}");
    let objects = r#"{"inputs":"#.repeat(depth);
    assert!(parse(objects.as_bytes(), None, &model()).is_err());
}

fn sound(request: &InferRequest) -> bool {
    request.job.images.len() == usize::from(request.job.batch) * 12 && request.job.batch <= 2
}

proptest! {
    #[test]
    fn any_bytes_are_refused_or_sound(body: Vec<u8>, header: Option<usize>) {
        prop_assert!(parse(&body, header, &model()).as_ref().map_or(true, sound));
    }

    #[test]
    fn a_damaged_request_is_refused_or_sound(
        at in 0usize..400, byte: u8, cut in 0usize..400, header in 0usize..200,
    ) {
        let mut body = binary_request().to_string().into_bytes();
        body.extend(raw(&pixels(1)));
        let at = at % body.len();
        body[at] = byte;
        body.truncate(cut.max(1));
        prop_assert!(parse(&body, Some(header), &model()).as_ref().map_or(true, sound));
        prop_assert!(parse(&body, Some(binary_request().to_string().len()), &model()).as_ref().map_or(true, sound));
    }

    #[test]
    fn numbers_in_json_are_the_numbers_that_were_meant(
        numbers in proptest::collection::vec(proptest::num::f32::NORMAL | proptest::num::f32::ZERO, 12),
    ) {
        let as_python_writes_them: Value = numbers.iter().map(|&n| f64::from(n)).collect();
        let as_rust_writes_them: Value = serde_json::from_str(&serde_json::to_string(&numbers).unwrap()).unwrap();
        for data in [as_python_writes_them, as_rust_writes_them] {
            let mut request = json_request();
            request["inputs"][0]["data"] = data;
            prop_assert_eq!(&parse_json(&request).unwrap().job.images, &numbers);
        }
    }
}
