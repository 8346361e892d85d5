//! The policy and the pins: read, written by whoever has seen what is there, and tried without being written.

use actix_web::http::StatusCode;
use actix_web::http::header::ETAG;
use actix_web::web::{Data, Json, Query};
use actix_web::{HttpRequest, HttpResponse};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};

use super::conditional::{Seen, changed, etag, if_match};
use super::input::{Object, Toml};
use super::problem::Problem;
use super::solve;
use super::state::{AdminState, ask, refused, status};
use super::views::PinsDocument;
use crate::planner::{Pins, Solution};
use crate::supervisor::{ChangePins, ChangePolicy, Refusal};

type Answer = Result<HttpResponse, Problem>;

/// What `PUT /api/v1/policy` answers.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "describes what is written without it")]
pub enum PolicyAnswer {
    /// It is in force.
    Accepted {
        /// Always `accepted`.
        policy: String,
    },
    /// The plan that it would give.
    Plan(Box<Solution>),
}

/// `?dry_run=true`.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct Dry {
    /// Only say what would happen.
    #[serde(default)]
    #[param(required = false)]
    pub dry_run: bool,
}

/// The policy in force.
#[utoipa::path(
    get, path = "/api/v1/policy", tag = "plan", operation_id = "policy_get",
    responses(
        (status = 200, description = "A policy file", body = String, content_type = "application/toml", headers(("ETag" = String, description = "Names this very version"))),
        (status = 404, description = "Plans do not adapt", body = Problem, content_type = "application/problem+json"),
    )
)]
pub async fn policy(state: Data<AdminState>) -> Answer {
    let Some(text) = status(&state).await?.policy else {
        let detail =
            "plans do not adapt: no policy is in force; PUT one, or start weir-orchestrator without --plan";
        return Err(Problem::new(StatusCode::NOT_FOUND, "No policy", detail));
    };
    Ok(HttpResponse::Ok().content_type("application/toml").insert_header((ETAG, etag(&text))).body(text))
}

/// Another policy; the running plan goes on until a better one is ready.
#[utoipa::path(
    put, path = "/api/v1/policy", tag = "plan", operation_id = "policy_put",
    request_body(content = String, content_type = "application/toml", description = "A policy file", example = json!("minimise = \"latency\"\n[bounds]\naccuracy_loss_points = 1.0\n")), params(Dry, ("If-Match" = Option<String>, Header, description = "The ETag that was read, or `*`; not needed for a dry run")),
    responses(
        (status = 200, description = "Accepted; or with `dry_run` the plan that it would give", body = PolicyAnswer),
        (status = 412, description = "It has changed", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "It cannot be used", body = Problem, content_type = "application/problem+json"),
        (status = 428, description = "If-Match is missing", body = Problem, content_type = "application/problem+json"),
    )
)]
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

/// Connections that a person has decided on.
#[utoipa::path(
    get, path = "/api/v1/pins", tag = "plan", operation_id = "pins_get",
    responses(
        (status = 200, description = "Both lists", body = PinsDocument, headers(("ETag" = String, description = "Names this very version"))),
    )
)]
pub async fn pins(state: Data<AdminState>) -> Answer {
    Ok(document(status(&state).await?.pins))
}

/// Other pins; every plan obeys them from now on.
#[utoipa::path(
    put, path = "/api/v1/pins", tag = "plan", operation_id = "pins_put",
    request_body = PinsDocument, params(("If-Match" = String, Header, description = "The ETag that was read, or `*` for whatever is there")),
    responses(
        (status = 200, description = "As they are now", body = PinsDocument, headers(("ETag" = String, description = "Names this very version"))),
        (status = 412, description = "They have changed", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "They cannot be obeyed", body = Problem, content_type = "application/problem+json"),
        (status = 428, description = "If-Match is missing", body = Problem, content_type = "application/problem+json"),
    )
)]
pub async fn set_pins(
    request: HttpRequest,
    state: Data<AdminState>,
    body: Json<Object<PinsDocument>>,
) -> Answer {
    let current = status(&state).await?.pins;
    let seen = match if_match(&request, Some(&pins_etag(&current)))? {
        Seen::Current => Some(current),
        Seen::Anything => None,
    };
    match ask(&state, ChangePins { pins: body.into_inner().0.into(), seen }).await? {
        Ok(()) => pins(state).await,
        Err(Refusal::Changed) => Err(changed(None)),
        Err(refusal) => Err(refused(&state, "Unusable pins", refusal).await),
    }
}
