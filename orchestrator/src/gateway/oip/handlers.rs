//! One function per resource: from a request to its answer.

use std::rc::Rc;

use actix_web::web::{Payload, ThinData};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::{Value, json};
use weir_shared::logging::span::Span;
use weir_shared::wire::TraceContext;

use super::backend::{InferBackend, InferFailure, ModelInfo};
use super::error::ApiError;
use super::metadata::{self, Readiness};
use super::request::{self, HEADER_LENGTH};
use super::{body, response, tracing_context};

/// The plan on which a request ran, as `<term>.<epoch>`.
pub const PLAN_HEADER: &str = "weir-plan";

/// How often a request was sent into the pipeline.
pub const ATTEMPTS_HEADER: &str = "weir-attempts";
/// Milliseconds that a request waited at the gateway, and that the last attempt took behind it (W3C Server Timing).
pub const TIMING_HEADER: &str = "server-timing";

/// Set to `true` where survivors answered in a dead worker's place.
pub const DEGRADED_HEADER: &str = "weir-degraded";

/// The accuracy to expect of such an answer, 0 to 1, where a profile tells.
pub const ACCURACY_HEADER: &str = "weir-expected-accuracy";

/// The backend, as handlers get it.
pub(super) type Backend = ThinData<Rc<dyn InferBackend>>;

type Reply = Result<HttpResponse, ApiError>;

fn ok(body: &Value) -> Reply {
    Ok(HttpResponse::Ok().json(body))
}

/// Refuses a URL that names another network or version than the one served.
fn check_model(request: &HttpRequest, model: &ModelInfo) -> Result<(), ApiError> {
    let part = |key| request.match_info().get(key).filter(|part: &&str| !part.is_empty());
    if let Some(name) = part("model").filter(|&name| name != model.name) {
        return Err(ApiError::UnknownModel { name: name.to_owned(), served: model.name.clone() });
    }
    if let Some(version) = part("version").filter(|&version| version != model.version) {
        let (name, served) = (model.name.clone(), model.version.clone());
        return Err(ApiError::UnknownVersion { version: version.to_owned(), name, served });
    }
    Ok(())
}

fn check_ready(backend: &dyn InferBackend) -> Result<(), ApiError> {
    if backend.is_ready() { Ok(()) } else { Err(InferFailure::NoPlan.into()) }
}

pub(super) async fn server_metadata() -> Reply {
    ok(&metadata::server())
}

pub(super) async fn server_live() -> Reply {
    ok(&json!({ "live": true }))
}

pub(super) async fn server_ready(backend: Backend) -> Reply {
    check_ready(&*backend.0)?;
    ok(&json!({ "ready": true }))
}

pub(super) async fn model_metadata(request: HttpRequest, backend: Backend) -> Reply {
    check_model(&request, backend.model())?;
    ok(&metadata::model(backend.model()))
}

pub(super) async fn model_ready(request: HttpRequest, backend: Backend) -> Reply {
    check_model(&request, backend.model())?;
    check_ready(&*backend.0)?;
    ok(&json!({ "name": backend.model().name, "ready": true }))
}

pub(super) async fn model_config(request: HttpRequest, backend: Backend) -> Reply {
    check_model(&request, backend.model())?;
    ok(&metadata::config(backend.model()))
}

pub(super) async fn statistics(request: HttpRequest, backend: Backend) -> Reply {
    check_model(&request, backend.model())?;
    ok(&backend.statistics().to_json(backend.model()))
}

pub(super) async fn repository_index(backend: Backend) -> Reply {
    let readiness = if backend.is_ready() { Readiness::Ready } else { Readiness::NoPlan };
    ok(&metadata::index(backend.model(), readiness))
}

pub(super) async fn repository_control(request: HttpRequest, backend: Backend) -> Reply {
    check_model(&request, backend.model())?;
    Err(ApiError::RepositoryControl)
}

pub(super) async fn infer(request: HttpRequest, payload: Payload, backend: Backend) -> Reply {
    let Some(span) = Span::request(tracing_context::of_client(request.headers()).as_ref()) else {
        return answer(&request, payload, &backend, None).await;
    };
    let answered = answer(&request, payload, &backend, Some(span.context().clone())).await;
    tracing_context::end(span, &backend.model().name, &answered);
    answered
}

async fn answer(
    request: &HttpRequest,
    payload: Payload,
    backend: &Backend,
    trace: Option<TraceContext>,
) -> Reply {
    let model = backend.model();
    check_model(request, model)?;
    let _place = backend.admit()?;
    let body = body::read(request, payload, model).await?;
    let mut parsed = request::parse(&body.bytes, body.json_length, model)?;
    // The images are copied out: the body's memory is not needed while the cluster computes.
    drop(body);
    let batch = parsed.job.batch;
    parsed.job.trace = trace;
    let done = backend.infer(parsed.job).await?;
    let answer = response::write(parsed.id.as_deref(), batch, parsed.output, &done, model)?;
    let mut reply = HttpResponse::Ok();
    reply.insert_header((PLAN_HEADER, done.plan.to_string()));
    reply.insert_header((ATTEMPTS_HEADER, done.attempts.to_string()));
    let ms = |time: std::time::Duration| time.as_secs_f64() * 1e3;
    let timing = format!("queue;dur={:.3}, compute;dur={:.3}", ms(done.queue), ms(done.compute));
    reply.insert_header((TIMING_HEADER, timing));
    if let Some(degraded) = done.degraded {
        reply.insert_header((DEGRADED_HEADER, "true"));
        if let Some(accuracy) = degraded.expected_accuracy {
            reply.insert_header((ACCURACY_HEADER, format!("{accuracy:.4}")));
        }
    }
    match answer.json_length {
        Some(length) => {
            reply.insert_header((HEADER_LENGTH, length.to_string()));
            reply.content_type("application/octet-stream");
        }
        None => {
            reply.content_type("application/json");
        }
    }
    Ok(reply.body(answer.body))
}
