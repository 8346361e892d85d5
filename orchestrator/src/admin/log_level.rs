//! `/api/v1/log-level`: what this process logs, changeable while it runs.

use actix_web::web::{Data, Json};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use weir_shared::logging;

use super::input::Object;
use super::problem::Problem;
use super::state::{AdminState, ask};
use crate::supervisor::LogLevelSet;

/// Directives such as `info,weir_orchestrator=debug`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LogLevel {
    /// A level for everything, and `part=level` for parts of the program, with commas between.
    pub filter: String,
}

/// What this process logs.
#[utoipa::path(
    get, path = "/api/v1/log-level", tag = "look", operation_id = "log_level_get",
    responses((status = 200, description = "The filter in force", body = LogLevel))
)]
pub async fn get() -> Json<LogLevel> {
    Json(LogLevel { filter: logging::filter().unwrap_or_default() })
}

/// Logs more or less from now on.
#[utoipa::path(
    put, path = "/api/v1/log-level", tag = "look", operation_id = "log_level_put", request_body = LogLevel,
    responses(
        (status = 200, description = "The filter in force", body = LogLevel),
        (status = 422, description = "It cannot be used", body = Problem, content_type = "application/problem+json"),
    )
)]
pub async fn put(state: Data<AdminState>, wanted: Json<Object<LogLevel>>) -> Result<Json<LogLevel>, Problem> {
    let LogLevel { filter } = wanted.into_inner().0;
    logging::set_filter(&filter).map_err(|error| {
        Problem::unusable("Unusable filter", format!("filter: {}", weir_shared::chain(&error)))
    })?;
    tracing::info!(filter, "log level changed");
    ask(&state, LogLevelSet { filter: filter.clone() }).await?;
    Ok(Json(LogLevel { filter }))
}
