//! What machines ask: whether the process lives, whether it is ready, and its figures.

use actix_web::HttpResponse;
use actix_web::web::Data;
use serde::Serialize;
use utoipa::ToSchema;
use weir_shared::wire::PROTOCOL_VERSION;

use super::state::AdminState;

/// `GET /api/v1/version`.
#[derive(Debug, Serialize, ToSchema)]
pub struct VersionDocument {
    /// Of the program.
    release: String,
    /// What it speaks with workers.
    protocol: u32,
}

pub async fn livez() -> HttpResponse {
    HttpResponse::Ok().body("ok\n")
}

pub async fn metrics(state: Data<AdminState>) -> HttpResponse {
    HttpResponse::Ok().content_type(weir_shared::metrics::CONTENT_TYPE).body(state.metrics.text())
}

/// Release and protocol.
#[utoipa::path(
    get, path = "/api/v1/version", tag = "look", operation_id = "version_get",
    responses(
        (status = 200, description = "Both", body = VersionDocument),
    )
)]
pub async fn version() -> HttpResponse {
    let release = env!("CARGO_PKG_VERSION").to_owned();
    HttpResponse::Ok().json(VersionDocument { release, protocol: PROTOCOL_VERSION.into() })
}
