//! From logits to the bytes of an answer, in the form that the client asked for. Pure.

use serde::Serialize;

use super::backend::{InferDone, ModelInfo};
use super::classification::{best_classes, bytes_tensor, kept_classes};
use super::request::{DATATYPE, OutputContent, OutputForm, Placement};
use super::tensor;

/// The body of an answer.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    /// JSON, and behind it the tensor if the client wants it binary.
    pub body: Vec<u8>,
    /// Bytes of the JSON part where a tensor follows; it goes in the header `Inference-Header-Content-Length`.
    pub json_length: Option<usize>,
}

/// Why an answer can not be written.
#[derive(Debug, thiserror::Error)]
pub enum AnswerError {
    /// JSON has no infinity and no NaN.
    #[error("the logits are not finite, which JSON can not hold: ask for binary outputs to see them")]
    NotFinite,
    /// The backend broke its promise.
    #[error("the cluster answered {found} logits where {needed} are due: report this with the server's log")]
    Length {
        /// From the backend.
        found: usize,
        /// `batch * classes`.
        needed: usize,
    },
    /// The JSON could not be written.
    #[error("the answer could not be written: report this with the server's log")]
    Write(#[from] serde_json::Error),
}

#[derive(Serialize)]
struct AnswerJson<'a> {
    model_name: &'a str,
    model_version: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    parameters: AnswerParameters,
    outputs: [OutputJson<'a>; 1],
}

/// The same as the headers `weir-plan`, `weir-attempts`, `weir-degraded` and `weir-expected-accuracy`, for clients that
/// hide headers.
#[derive(Serialize)]
struct AnswerParameters {
    weir_plan: String,
    weir_attempts: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    degraded: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expected_accuracy: Option<f64>,
}

#[derive(Serialize)]
struct OutputJson<'a> {
    name: &'a str,
    datatype: &'static str,
    shape: [usize; 2],
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters: Option<BinaryParameters>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<DataJson<'a>>,
}

#[derive(Serialize)]
struct BinaryParameters {
    binary_data_size: usize,
}

#[derive(Serialize)]
#[serde(untagged)]
enum DataJson<'a> {
    Numbers(&'a [f32]),
    Strings(&'a [String]),
}

/// Writes the answer to a request of `batch` images with the given `id`.
///
/// # Errors
/// If the logits are not as many as promised, or if they should go into JSON and are not finite.
pub fn write(
    id: Option<&str>,
    batch: u16,
    form: OutputForm,
    done: &InferDone,
    model: &ModelInfo,
) -> Result<Answer, AnswerError> {
    let (batch, classes) = (usize::from(batch), model.classes as usize);
    let (found, needed) = (done.logits.len(), batch * classes);
    if found != needed {
        return Err(AnswerError::Length { found, needed });
    }
    let strings;
    let (datatype, shape, data) = match form.content {
        OutputContent::Logits => (DATATYPE, [batch, classes], DataJson::Numbers(&done.logits)),
        OutputContent::BestClasses(k) => {
            strings = best_classes(&done.logits, k, model).concat();
            ("BYTES", [batch, kept_classes(k, model)], DataJson::Strings(&strings))
        }
    };
    let (data, tensor) = match (form.placement, data) {
        (Placement::Json, DataJson::Numbers(numbers)) if !numbers.iter().all(|n| n.is_finite()) => {
            return Err(AnswerError::NotFinite);
        }
        (Placement::Json, data) => (Some(data), None),
        (Placement::Binary, data) => (None, Some(data.to_bytes())),
    };
    let parameters = tensor.as_ref().map(|bytes| BinaryParameters { binary_data_size: bytes.len() });
    let json = AnswerJson {
        model_name: &model.name,
        model_version: &model.version,
        id,
        parameters: AnswerParameters {
            weir_plan: done.plan.to_string(),
            weir_attempts: done.attempts,
            degraded: done.degraded.map(|_| true),
            expected_accuracy: done.degraded.and_then(|degraded| degraded.expected_accuracy),
        },
        outputs: [OutputJson { name: &model.output_name, datatype, shape, parameters, data }],
    };
    let mut body = serde_json::to_vec(&json)?;
    let json_length = tensor.as_ref().map(|_| body.len());
    body.extend(tensor.unwrap_or_default());
    Ok(Answer { body, json_length })
}

impl DataJson<'_> {
    fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        match self {
            Self::Numbers(numbers) => tensor::fp32_to_le(numbers, &mut bytes),
            Self::Strings(strings) => bytes_tensor(strings.iter(), &mut bytes),
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;
    use std::time::Duration;

    use serde_json::{Value, json};
    use weir_shared::ids::{Epoch, Term};
    use weir_shared::plan::PlanId;

    use super::super::backend::Degraded;
    use super::super::request::tests::model;
    use super::*;

    fn done(logits: &[f32]) -> InferDone {
        let plan = PlanId { term: Term(2), epoch: Epoch(9) };
        let (queue, compute) = (Duration::ZERO, Duration::ZERO);
        InferDone { logits: logits.to_vec(), plan, attempts: 1, queue, compute, degraded: None }
    }

    fn answer(logits: &[f32], content: OutputContent, placement: Placement) -> Result<Answer, AnswerError> {
        write(Some("i"), 1, OutputForm { content, placement }, &done(logits), &model())
    }

    #[test]
    fn logits_in_json_are_the_shortest_decimals_of_the_same_numbers() {
        let answer = answer(&[0.1, -2.0, 1e-30], OutputContent::Logits, Placement::Json).unwrap();
        let text = String::from_utf8(answer.body).unwrap();
        assert!(text.contains(r#""data":[0.1,-2.0,1e-30]"#), "{text}");
        let json: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&json["id"], &json["model_name"]), (&json!("i"), &json!("tiny")));
        assert_eq!(json["parameters"], json!({ "weir_plan": "2.9", "weir_attempts": 1 }));
        assert_eq!(json["outputs"][0]["shape"], json!([1, 3]));
        assert_eq!(answer.json_length, None);
    }

    #[test]
    fn binary_logits_follow_the_json() {
        let answer = answer(&[1.0, f32::NAN, 3.0], OutputContent::Logits, Placement::Binary).unwrap();
        let (json, tensor) = answer.body.split_at(answer.json_length.unwrap());
        let json: Value = serde_json::from_slice(json).unwrap();
        assert_eq!(json["outputs"][0]["parameters"], json!({ "binary_data_size": 12 }));
        assert!(json["outputs"][0].get("data").is_none());
        assert_eq!(tensor, [1.0f32, f32::NAN, 3.0].map(f32::to_le_bytes).concat());
    }

    #[test]
    fn classes_are_strings_in_either_form() {
        let two = OutputContent::BestClasses(NonZeroU32::new(2).unwrap());
        let in_json = answer(&[1.0, 5.0, 3.0], two, Placement::Json).unwrap();
        let json: Value = serde_json::from_slice(&in_json.body).unwrap();
        let output = &json["outputs"][0];
        assert_eq!((&output["datatype"], &output["shape"]), (&json!("BYTES"), &json!([1, 2])));
        assert_eq!(output["data"], json!(["5.000000:1", "3.000000:2"]));
        let binary = answer(&[1.0, 5.0, 3.0], two, Placement::Binary).unwrap();
        assert_eq!(binary.body.len() - binary.json_length.unwrap(), 2 * (4 + 10));
    }

    #[test]
    fn a_degraded_answer_says_so_with_the_accuracy_to_expect() {
        let degraded = Some(Degraded { expected_accuracy: Some(0.875) });
        let form = OutputForm { content: OutputContent::Logits, placement: Placement::Json };
        let done = InferDone { degraded, ..done(&[1.0, 2.0, 3.0]) };
        let answer = write(None, 1, form, &done, &model()).unwrap();
        let json: Value = serde_json::from_slice(&answer.body).unwrap();
        let parameters = &json["parameters"];
        assert_eq!(
            (&parameters["degraded"], &parameters["expected_accuracy"]),
            (&json!(true), &json!(0.875))
        );
    }

    #[test]
    fn what_json_can_not_hold_is_an_error_and_not_a_null() {
        let error = answer(&[1.0, f32::INFINITY, 3.0], OutputContent::Logits, Placement::Json).unwrap_err();
        assert!(matches!(error, AnswerError::NotFinite));
        let error = answer(&[1.0], OutputContent::Logits, Placement::Json).unwrap_err();
        assert!(matches!(error, AnswerError::Length { found: 1, needed: 3 }));
    }
}
