//! What machines ask: whether the process lives, whether it is ready, and its figures.

use actix_web::HttpResponse;
use actix_web::web::Data;
use serde_json::json;
use weir_shared::wire::PROTOCOL_VERSION;

use super::state::AdminState;
use crate::gateway::Admission;

pub async fn livez() -> HttpResponse {
    HttpResponse::Ok().body("ok\n")
}

pub async fn readyz(state: Data<AdminState>) -> HttpResponse {
    let unavailable = |why: &str| HttpResponse::ServiceUnavailable().body(format!("{why}\n"));
    if !state.supervisor.connected() || !state.gateway.connected() {
        return unavailable("an essential actor is gone; the process is about to end");
    }
    match *state.admission.borrow() {
        Admission::Open => HttpResponse::Ok().body("ok\n"),
        Admission::NoPlan => unavailable("no plan is committed"),
        Admission::Holding => unavailable("the plan has lost a worker; requests wait for the next one"),
        Admission::Draining => unavailable("the process is shutting down"),
    }
}

pub async fn metrics(state: Data<AdminState>) -> HttpResponse {
    HttpResponse::Ok().content_type(weir_shared::metrics::CONTENT_TYPE).body(state.metrics.text())
}

pub async fn version() -> HttpResponse {
    HttpResponse::Ok().json(json!({ "release": env!("CARGO_PKG_VERSION"), "protocol": PROTOCOL_VERSION }))
}
