//! The past: decisions, events, and the trace.

use actix_web::HttpResponse;
use actix_web::web::{Data, Query};
use serde::Deserialize;
use utoipa::IntoParams;

use super::paging::Page;
use super::problem::Problem;
use super::state::{AdminState, ask};
use super::views::{EventsDocument, PlansDocument, TraceDocument};
use crate::supervisor::{Cursor, GetDecisions, GetEvents, GetTrace, TraceLines};

type Answer = Result<HttpResponse, Problem>;

/// Decisions to change the plan, the newest first.
#[utoipa::path(
    get, path = "/api/v1/plans", tag = "look", operation_id = "plans_get",
    params(Page),
    responses(
        (status = 200, description = "A page", body = PlansDocument),
    )
)]
pub async fn plans(state: Data<AdminState>, page: Query<Page>) -> Answer {
    let (limit, before) = page.read(|text| text.parse().ok())?;
    let found = ask(&state, GetDecisions { before, limit }).await?;
    let next = found.plans.last().filter(|_| found.more).map(|last| last.number.to_string());
    Ok(HttpResponse::Ok().json(PlansDocument { plans: found.plans, next }))
}

/// What happened, the oldest first.
#[utoipa::path(
    get, path = "/api/v1/events", tag = "look", operation_id = "events_get",
    params(Page),
    responses(
        (status = 200, description = "A page", body = EventsDocument),
    )
)]
pub async fn events(state: Data<AdminState>, page: Query<Page>) -> Answer {
    let (limit, after) = page.read(Cursor::parse)?;
    let found = ask(&state, GetEvents { after, limit }).await?;
    let next = found.events.last().filter(|_| found.more).map(|last| last.id.clone());
    Ok(HttpResponse::Ok().json(EventsDocument { events: found.events, next }))
}

/// `?after=N`.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct After {
    /// The number of the last entry that is known.
    #[param(minimum = 0)]
    after: Option<i64>,
}

/// What the rules of re-planning were told and decided, for `weir replay`.
#[utoipa::path(
    get, path = "/api/v1/trace", tag = "plan", operation_id = "trace_get",
    params(After),
    responses(
        (status = 200, description = "Entries behind a number", body = TraceDocument),
    )
)]
pub async fn trace(state: Data<AdminState>, query: Query<After>) -> Answer {
    let after = query.after.map(u64::try_from).transpose().map_err(|_| {
        Problem::bad("Bad query", "after is below zero; give the number of the last entry that is known")
    })?;
    let TraceLines { header, entries } = ask(&state, GetTrace { after }).await?;
    let entries = entries.into_iter().map(Into::into).collect();
    Ok(HttpResponse::Ok().json(TraceDocument { header, entries }))
}
