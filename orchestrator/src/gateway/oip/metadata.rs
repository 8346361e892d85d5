//! What the server and its network say about themselves.

use serde_json::{Value, json};
use weir_shared::images;

use super::backend::ModelInfo;
use super::request::DATATYPE;

/// Names Weir where Triton writes its framework, as the protocol's `platform` and Triton's `backend`.
const PLATFORM: &str = "weir_resnet";

/// The extensions that clients may rely on; perf_analyzer looks for `statistics`.
const EXTENSIONS: [&str; 4] = ["binary_tensor_data", "classification", "model_configuration", "statistics"];

/// The body of `GET /v2`.
pub fn server() -> Value {
    json!({ "name": "weir", "version": env!("CARGO_PKG_VERSION"), "extensions": EXTENSIONS })
}

/// The body of `GET /v2/models/{model}`.
///
/// `parameters` says what a client must do to a photograph first, and what the classes are called. The protocol
/// allows strings and numbers there, no lists: labels stand one on a line, channels in the order red, green, blue.
pub fn model(model: &ModelInfo) -> Value {
    let numbers = |numbers: [f32; 3]| numbers.map(|number| number.to_string()).join(",");
    let mut parameters = json!({
        "mean": numbers(images::MEAN),
        "standard_deviation": numbers(images::STANDARD_DEVIATION),
        "shorter_side": model.shorter_side,
        "max_batch": model.max_batch,
    });
    if let Some(labels) = &model.labels {
        parameters["labels"] = labels.join("\n").into();
    }
    json!({
        "name": model.name,
        "versions": [model.version],
        "platform": PLATFORM,
        "inputs": [{ "name": model.input_name, "datatype": DATATYPE, "shape": model.input_shape() }],
        "outputs": [{ "name": model.output_name, "datatype": DATATYPE, "shape": [-1, i64::from(model.classes)] }],
        "parameters": parameters,
    })
}

/// The body of `GET /v2/models/{model}/config`; as in Triton, `dims` leave out the batch.
pub fn config(model: &ModelInfo) -> Value {
    let [_, image @ ..] = model.input_shape();
    json!({
        "name": model.name,
        "platform": PLATFORM,
        "backend": PLATFORM,
        "version_policy": { "latest": { "num_versions": 1 } },
        "max_batch_size": model.max_batch,
        "input": [{ "name": model.input_name, "data_type": "TYPE_FP32", "format": "FORMAT_NCHW", "dims": image }],
        "output": [{ "name": model.output_name, "data_type": "TYPE_FP32", "dims": [model.classes] }],
        "parameters": {},
    })
}

/// The body of `POST /v2/repository/index`.
pub fn index(model: &ModelInfo, readiness: Readiness) -> Value {
    let (state, reason) = match readiness {
        Readiness::Ready => ("READY", ""),
        Readiness::NoPlan => ("UNAVAILABLE", "no plan is committed yet"),
    };
    json!([{ "name": model.name, "version": model.version, "state": state, "reason": reason }])
}

/// Whether requests would be computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readiness {
    /// A plan is committed.
    Ready,
    /// None is.
    NoPlan,
}
