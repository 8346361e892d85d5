//! The policy and the pins: read, written by whoever has seen what is there, and tried without being written.

use actix_web::http::StatusCode;
use actix_web::http::header::ETAG;
use actix_web::web::{Data, Json, Query};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use serde_json::json;

use super::conditional::{Seen, changed, etag, if_match};
use super::input::Toml;
use super::problem::Problem;
use super::solve;
use super::state::{AdminState, ask, refused, status};
use super::views::PinsDocument;
use crate::planner::Pins;
use crate::supervisor::{ChangePins, ChangePolicy, Refusal};

type Answer = Result<HttpResponse, Problem>;

/// `?dry_run=true`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dry {
    #[serde(default)]
    pub dry_run: bool,
}

pub async fn policy(state: Data<AdminState>) -> Answer {
    let Some(text) = status(&state).await?.policy else {
        let detail =
            "plans do not adapt: no policy is in force; PUT one, or start weir-orchestrator without --plan";
        return Err(Problem::new(StatusCode::NOT_FOUND, "No policy", detail));
    };
    Ok(HttpResponse::Ok().content_type("application/toml").insert_header((ETAG, etag(&text))).body(text))
}

pub async fn set_policy(
    request: HttpRequest,
    state: Data<AdminState>,
    query: Query<Dry>,
    body: Toml,
) -> Answer {
    if query.dry_run {
        return solve::with_policy(&state, Some(body.0)).await;
    }
    let current = status(&state).await?.policy;
    let tag = current.as_deref().map(etag);
    let seen = match if_match(&request, tag.as_deref())? {
        Seen::Current => current,
        Seen::Anything => None,
    };
    let new = etag(&body.0);
    match ask(&state, ChangePolicy { text: body.0, seen }).await? {
        Ok(()) => {
            let accepted = json!({ "policy": "accepted" });
            Ok(HttpResponse::Ok().insert_header((ETAG, new)).json(accepted))
        }
        Err(Refusal::Changed) => Err(changed(None)),
        Err(refusal) => Err(refused(&state, "Unusable policy", refusal).await),
    }
}

/// The pins, with their ETag.
fn document(pins: Pins) -> HttpResponse {
    HttpResponse::Ok().insert_header((ETAG, pins_etag(&pins))).json(PinsDocument::from(pins))
}

fn pins_etag(pins: &Pins) -> String {
    etag(&json!([pins.on, pins.off]).to_string())
}

pub async fn pins(state: Data<AdminState>) -> Answer {
    Ok(document(status(&state).await?.pins))
}

pub async fn set_pins(request: HttpRequest, state: Data<AdminState>, body: Json<PinsDocument>) -> Answer {
    let current = status(&state).await?.pins;
    let seen = match if_match(&request, Some(&pins_etag(&current)))? {
        Seen::Current => Some(current),
        Seen::Anything => None,
    };
    match ask(&state, ChangePins { pins: body.into_inner().into(), seen }).await? {
        Ok(()) => pins(state).await,
        Err(Refusal::Changed) => Err(changed(None)),
        Err(refusal) => Err(refused(&state, "Unusable pins", refusal).await),
    }
}
