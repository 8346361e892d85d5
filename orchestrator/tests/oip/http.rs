//! The Open Inference Protocol over HTTP, as a client sees it that does everything wrong at least once.

use std::rc::Rc;
use std::time::Duration;

use actix_web::App;
use actix_web::body::to_bytes;
use actix_web::dev::ServiceResponse;
use actix_web::http::{Method, StatusCode};
use actix_web::test::{TestRequest, call_service, init_service};
use bytes::Bytes;
use serde_json::{Value, json};
use weir_orchestrator::gateway::oip::{self, InferFailure};

use crate::fake::{Fake, Mood, serve};

const INFER: &str = "/v2/models/resnet20/infer";
const HEADER_LENGTH: &str = "Inference-Header-Content-Length";
const IMAGE_NUMBERS: usize = 3 * 32 * 32;

struct Reply {
    status: StatusCode,
    headers: actix_web::http::header::HeaderMap,
    body: Bytes,
}

impl Reply {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The text for people; that there is one is part of the protocol.
    fn error(&self) -> String {
        self.json()["error"].as_str().unwrap().to_owned()
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

async fn send(mood: Mood, request: TestRequest) -> Reply {
    let app = init_service(App::new().configure(oip::configure(Rc::new(Fake::new(mood))))).await;
    let response: ServiceResponse = call_service(&app, request.to_request()).await;
    let (status, headers) = (response.status(), response.headers().clone());
    Reply { status, headers, body: to_bytes(response.into_body()).await.unwrap() }
}

async fn get(path: &str) -> Reply {
    send(Mood::Computing, TestRequest::get().uri(path)).await
}

fn image() -> Vec<f32> {
    (0..IMAGE_NUMBERS).map(|i| i as f32 / 8.0).collect()
}

fn expected() -> Vec<f32> {
    (0..10).map(|c| c as f32 / 4.0 + c as f32).collect()
}

fn json_request() -> Value {
    json!({
        "id": "seven",
        "inputs": [{ "name": "input", "datatype": "FP32", "shape": [1, 3, 32, 32], "data": image() }],
    })
}

fn post(body: impl Into<Bytes>) -> TestRequest {
    TestRequest::post().uri(INFER).set_payload(body)
}

async fn infer(body: impl Into<Bytes>) -> Reply {
    send(Mood::Computing, post(body)).await
}

#[actix_web::test]
async fn the_server_and_its_network_describe_themselves() {
    assert_eq!(get("/v2").await.json()["name"], "weir");
    let metadata = get("/v2/models/resnet20").await.json();
    assert_eq!(metadata["inputs"][0]["shape"], json!([-1, 3, 32, 32]));
    assert_eq!(metadata["outputs"][0]["shape"], json!([-1, 10]));
    assert_eq!(get("/v2/models/resnet20/versions/1").await.json(), metadata);
    let config = get("/v2/models/resnet20/config").await.json();
    assert_eq!((&config["max_batch_size"], &config["input"][0]["dims"]), (&json!(4), &json!([3, 32, 32])));
    // perf_analyzer refuses to start if the versions of these two differ.
    let statistics = get("/v2/models/resnet20/versions/1/stats").await.json();
    assert_eq!(statistics["model_stats"][0]["version"], metadata["versions"][0]);
    assert_eq!(get("/v2/models/stats").await.json(), statistics);
    let index = send(Mood::Computing, TestRequest::post().uri("/v2/repository/index")).await;
    assert_eq!(index.json()[0]["state"], "READY");
}

#[actix_web::test]
async fn without_a_plan_the_server_is_live_and_not_ready() {
    for (path, status) in [
        ("/v2/health/live", 200),
        ("/v2/health/ready", 503),
        ("/v2/models/resnet20/ready", 503),
        ("/v2/models/resnet20", 200),
    ] {
        let reply = send(Mood::Unready, TestRequest::get().uri(path)).await;
        assert_eq!(reply.status, status, "{path}");
    }
    let reply = send(Mood::Unready, post(json_request().to_string())).await;
    assert_eq!((reply.status.as_u16(), reply.header("retry-after")), (503, Some("1")));
    assert!(reply.error().contains("no plan is committed"));
    let index = send(Mood::Unready, TestRequest::post().uri("/v2/repository/index")).await;
    assert_eq!(index.json()[0]["state"], "UNAVAILABLE");
}

#[actix_web::test]
async fn json_in_json_out() {
    let reply = infer(json_request().to_string()).await;
    assert_eq!(reply.status, 200, "{:?}", reply.body);
    let json = reply.json();
    assert_eq!(json["id"], "seven");
    assert_eq!(json["outputs"][0]["shape"], json!([1, 10]));
    assert_eq!(json["outputs"][0]["data"], json!(expected()));
    assert_eq!((reply.header("weir-plan"), reply.header("weir-attempts")), (Some("3.14"), Some("2")));
    assert_eq!(reply.header(HEADER_LENGTH), None);
}

#[actix_web::test]
async fn binary_in_binary_out() {
    let request = json!({
        "inputs": [{ "name": "input", "datatype": "FP32", "shape": [1, 3, 32, 32],
                     "parameters": { "binary_data_size": IMAGE_NUMBERS * 4 } }],
        "parameters": { "binary_data_output": true },
    });
    let mut body = request.to_string().into_bytes();
    let json_length = body.len();
    body.extend(image().iter().flat_map(|number| number.to_le_bytes()));
    let reply =
        send(Mood::Computing, post(body).insert_header((HEADER_LENGTH, json_length.to_string()))).await;
    assert_eq!(reply.status, 200, "{:?}", reply.body);
    let (json, tensor) = reply.body.split_at(reply.header(HEADER_LENGTH).unwrap().parse().unwrap());
    let json: Value = serde_json::from_slice(json).unwrap();
    assert_eq!(json["outputs"][0]["parameters"]["binary_data_size"], 40);
    assert_eq!(tensor, expected().iter().flat_map(|n| n.to_le_bytes()).collect::<Vec<_>>());
}

async fn check_refused(request: TestRequest, status: u16, expect: &str) {
    let reply = send(Mood::Computing, request).await;
    let error = reply.error();
    assert_eq!(reply.status, status, "{error}");
    assert!(error.contains(expect), "{error}");
}

#[actix_web::test]
async fn wrong_requests_are_told_what_is_wrong() {
    let get = |path| TestRequest::get().uri(path);
    check_refused(get("/v2/models/vgg16"), 404, r#"unknown model "vgg16": this server serves "resnet20""#)
        .await;
    check_refused(get("/v2/models/resnet20/versions/7"), 404, r#"unknown version "7""#).await;
    check_refused(get("/v3"), 404, "served under /v2").await;
    check_refused(get("/"), 404, "served under /v2").await;
    check_refused(get(INFER), 405, "use POST").await;
    let method = |method, path| TestRequest::default().method(method).uri(path);
    check_refused(method(Method::DELETE, "/v2/models/resnet20"), 405, "use GET, HEAD").await;
    let control = method(Method::POST, "/v2/repository/models/resnet20/unload");
    check_refused(control, 400, "unloading is not supported").await;
    check_refused(post(""), 400, "the request is not valid").await;
    check_refused(post("{}"), 400, "inputs[0], the tensor of images, is missing").await;
    check_refused(post("{}").insert_header((HEADER_LENGTH, "two")), 400, "as a decimal number").await;
    check_refused(post("{}").insert_header((HEADER_LENGTH, "9")), 400, "but the body has 2 bytes").await;
    check_refused(post("{}").insert_header(("content-encoding", "gzip")), 415, "uncompressed").await;
    let mut request = json_request();
    request["inputs"][0]["shape"] = json!([5, 3, 32, 32]);
    check_refused(post(request.to_string()), 400, "send 1 to 4 in one request").await;
    let wrong_model = TestRequest::post().uri("/v2/models/x/infer").set_payload("{}");
    check_refused(wrong_model, 404, "unknown model").await;
}

#[actix_web::test]
async fn a_wrong_method_is_told_the_right_one_in_a_header() {
    let reply = send(Mood::Computing, TestRequest::get().uri(INFER)).await;
    assert_eq!(reply.header("allow"), Some("POST"));
}

#[actix_web::test]
async fn failures_of_the_cluster_have_their_own_status() {
    let overloaded = InferFailure::Overloaded { retry_after: Duration::from_millis(1200) };
    let late = InferFailure::DeadlineExceeded { allowed: Duration::from_millis(50) };
    let failed = InferFailure::Failed { attempts: 3, reason: "worker b went away".to_owned() };
    for (failure, status, retry_after) in [
        (overloaded, 503, Some("2")),
        (InferFailure::NoPlan, 503, Some("1")),
        (InferFailure::Draining, 503, Some("5")),
        (late, 504, None),
        (failed, 500, None),
    ] {
        let text = failure.to_string();
        let reply = send(Mood::Failing(failure), post(json_request().to_string())).await;
        assert_eq!((reply.status.as_u16(), reply.header("retry-after")), (status, retry_after), "{text}");
        assert_eq!(reply.error(), text);
    }
}

#[actix_web::test]
async fn an_overloaded_cluster_refuses_before_it_reads_the_body() {
    let failure = InferFailure::Overloaded { retry_after: Duration::from_millis(200) };
    let reply = send(Mood::Refusing(failure), post("this is no request")).await;
    assert_eq!((reply.status.as_u16(), reply.header("retry-after")), (503, Some("1")));
}

#[actix_web::test]
async fn a_body_beyond_the_largest_batch_is_refused_while_it_is_sent() {
    let (address, server) = serve();
    // Four images in binary, and the room for their JSON.
    let limit = 64 * 1024 + 4 * IMAGE_NUMBERS * 4;
    let client = reqwest::Client::new();
    for (length, status) in [(limit, 400), (limit + 1, 413)] {
        let request = client.post(format!("http://{address}{INFER}")).header(HEADER_LENGTH, "2");
        let reply = request.body(vec![b' '; length]).send().await.unwrap();
        assert_eq!(reply.status(), status, "{length} bytes");
        let body: Value = serde_json::from_slice(&reply.bytes().await.unwrap()).unwrap();
        let expect = if status == 413 { "send at most 4 images" } else { "is not valid" };
        assert!(body["error"].as_str().unwrap().contains(expect), "{body}");
    }
    server.stop(false).await;
}

#[actix_web::test]
async fn a_body_without_end_is_cut_off() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let (address, server) = serve();
    let mut socket = tokio::net::TcpStream::connect(&address).await.unwrap();
    let head = format!("POST {INFER} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    socket.write_all(head.as_bytes()).await.unwrap();
    let (mut reading, mut writing) = socket.split();
    let chunk = [b"10000\r\n".as_slice(), &vec![b' '; 0x10000], b"\r\n"].concat();
    // JSON for four images may have 384 KiB; the client goes on to 64 MiB unless it is stopped.
    let pour = async {
        for _ in 0..1024 {
            if writing.write_all(&chunk).await.is_err() {
                break;
            }
        }
    };
    let answer = async {
        let mut head = [0; 12];
        reading.read_exact(&mut head).await.unwrap();
        head
    };
    tokio::pin!(pour);
    let head = tokio::select! {
        head = answer => head,
        () = &mut pour => panic!("64 MiB were taken without an answer"),
    };
    assert_eq!(&head, b"HTTP/1.1 413");
    server.stop(false).await;
}
