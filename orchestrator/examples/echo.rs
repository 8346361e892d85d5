//! A bare route of the same HTTP server: takes an inference request of any content and answers a fixed one.
//!
//! `make bench-gateway` measures the gateway against it: what is the same in both is HTTP, the load generator and the
//! machine. It reads each body to its end and looks at nothing in it. Prints its address, and serves until it is killed.

use actix_web::web::{self, Bytes, PayloadConfig};
use actix_web::{App, HttpResponse, HttpServer};
use serde_json::{Value, json};

/// As many HTTP threads as the gateway has.
const THREADS: usize = 2;

/// More than any request of the bench has.
const BODY_MAX: usize = 64 << 20;

fn metadata() -> Value {
    json!({
        "name": "echo", "versions": ["1"], "platform": "echo",
        "inputs": [{ "name": "input", "datatype": "FP32", "shape": [-1, 3, 32, 32] }],
        "outputs": [{ "name": "logits", "datatype": "FP32", "shape": [-1, 10] }],
    })
}

fn config() -> Value {
    json!({
        "name": "echo", "platform": "echo", "backend": "echo", "max_batch_size": 8,
        "input": [{ "name": "input", "data_type": "TYPE_FP32", "dims": [3, 32, 32] }],
        "output": [{ "name": "logits", "data_type": "TYPE_FP32", "dims": [10] }],
    })
}

async fn infer(_body: Bytes) -> HttpResponse {
    let output = json!({
        "name": "logits", "datatype": "FP32", "shape": [1, 10], "parameters": { "binary_data_size": 40 },
    });
    let head = json!({ "model_name": "echo", "model_version": "1", "outputs": [output] }).to_string();
    let body = [head.as_bytes(), &[0; 40]].concat();
    HttpResponse::Ok()
        .insert_header(("inference-header-content-length", head.len().to_string()))
        .content_type("application/octet-stream")
        .body(body)
}

#[actix_web::main]
async fn main() -> std::io::Result<()> {
    let answer = |document: fn() -> Value| web::get().to(move || async move { web::Json(document()) });
    let app = move || {
        let ready = || answer(|| json!({ "ready": true }));
        let app = App::new()
            .app_data(PayloadConfig::new(BODY_MAX))
            .route("/v2", answer(|| json!({ "name": "echo", "version": "1", "extensions": [] })))
            .route("/v2/health/ready", ready());
        ["/v2/models/echo", "/v2/models/echo/versions/1"].into_iter().fold(app, |app, model| {
            app.route(&format!("{model}/ready"), ready())
                .route(&format!("{model}/config"), answer(config))
                .route(&format!("{model}/infer"), web::post().to(infer))
                .route(model, answer(metadata))
        })
    };
    let server = HttpServer::new(app).workers(THREADS).bind(("127.0.0.1", 0))?;
    println!("{}", server.addrs()[0]);
    server.run().await
}
