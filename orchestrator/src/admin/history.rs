//! The past: decisions, events, and the trace.

use actix_web::HttpResponse;
use actix_web::web::{Data, Query};
use serde::Deserialize;

use super::paging::Page;
use super::problem::Problem;
use super::state::{AdminState, ask};
use super::views::{EventsDocument, PlansDocument, TraceDocument};
use crate::supervisor::{Cursor, GetDecisions, GetEvents, GetTrace, TraceLines};

type Answer = Result<HttpResponse, Problem>;

pub async fn plans(state: Data<AdminState>, page: Query<Page>) -> Answer {
    let (limit, before) = page.read(|text| text.parse().ok())?;
    let found = ask(&state, GetDecisions { before, limit }).await?;
    let next = found.plans.last().filter(|_| found.more).map(|last| last.number.to_string());
    Ok(HttpResponse::Ok().json(PlansDocument { plans: found.plans, next }))
}

pub async fn events(state: Data<AdminState>, page: Query<Page>) -> Answer {
    let (limit, after) = page.read(Cursor::parse)?;
    let found = ask(&state, GetEvents { after, limit }).await?;
    let next = found.events.last().filter(|_| found.more).map(|last| last.id.clone());
    Ok(HttpResponse::Ok().json(EventsDocument { events: found.events, next }))
}

/// `?after=N`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct After {
    after: Option<u64>,
}

pub async fn trace(state: Data<AdminState>, query: Query<After>) -> Answer {
    let TraceLines { header, entries } = ask(&state, GetTrace { after: query.after }).await?;
    let entries = entries.into_iter().map(Into::into).collect();
    Ok(HttpResponse::Ok().json(TraceDocument { header, entries }))
}
