//! `/api/v1/log-level`: what this process logs, changeable while it runs.

use actix_web::web::{Data, Json};
use serde::{Deserialize, Serialize};
use weir_shared::logging;

use super::problem::Problem;
use super::state::{AdminState, ask};
use crate::supervisor::LogLevelSet;

/// Directives such as `info,weir_orchestrator=debug`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogLevel {
    /// A level for everything, and `part=level` for parts of the program, with commas between.
    pub filter: String,
}

pub async fn get() -> Json<LogLevel> {
    Json(LogLevel { filter: logging::filter().unwrap_or_default() })
}

pub async fn put(state: Data<AdminState>, wanted: Json<LogLevel>) -> Result<Json<LogLevel>, Problem> {
    let LogLevel { filter } = wanted.into_inner();
    logging::set_filter(&filter).map_err(|error| {
        Problem::unusable("Unusable filter", format!("filter: {}", weir_shared::chain(&error)))
    })?;
    tracing::info!(filter, "log level changed");
    ask(&state, LogLevelSet { filter: filter.clone() }).await?;
    Ok(Json(LogLevel { filter }))
}
