//! What machines ask: whether the process lives, whether it is ready, and its figures.

use actix_web::HttpResponse;
use actix_web::web::Data;
use serde_json::json;
use weir_shared::wire::PROTOCOL_VERSION;

use super::state::AdminState;

pub async fn livez() -> HttpResponse {
    HttpResponse::Ok().body("ok\n")
}

pub async fn metrics(state: Data<AdminState>) -> HttpResponse {
    HttpResponse::Ok().content_type(weir_shared::metrics::CONTENT_TYPE).body(state.metrics.text())
}

pub async fn version() -> HttpResponse {
    HttpResponse::Ok().json(json!({ "release": env!("CARGO_PKG_VERSION"), "protocol": PROTOCOL_VERSION }))
}
