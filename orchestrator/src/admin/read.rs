//! What the cluster looks like now.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{Data, Path};

use super::problem::Problem;
use super::state::{AdminState, ask, document, status};
use super::views::{LinksDocument, PlanDocument, StateDocument, WorkerDocument, WorkersDocument};
use crate::clock::now;
use crate::cluster::Cluster;
use crate::gateway::messages::GetLinks;
use crate::supervisor::{GetSnapshot, Status};

type Answer = Result<HttpResponse, Problem>;

/// Everything that the live page shows.
#[utoipa::path(
    get, path = "/api/v1/state", tag = "look", operation_id = "state_get",
    responses(
        (status = 200, description = "The cluster now", body = StateDocument),
    )
)]
pub async fn state(state: Data<AdminState>) -> Answer {
    Ok(HttpResponse::Ok().json(document(&state).await?))
}

/// The committed plan.
#[utoipa::path(
    get, path = "/api/v1/plan", tag = "look", operation_id = "plan_get",
    responses(
        (status = 200, description = "It", body = PlanDocument),
        (status = 404, description = "No plan is committed", body = Problem, content_type = "application/problem+json"),
    )
)]
pub async fn plan(state: Data<AdminState>) -> Answer {
    match status(&state).await? {
        Status { plan: Some(plan), admitting, .. } => {
            Ok(HttpResponse::Ok().json(PlanDocument::new(&plan, admitting)))
        }
        Status { last_abort, .. } => {
            let why =
                last_abort.map_or_else(String::new, |reason| format!(" The last attempt failed: {reason}"));
            Err(Problem::new(StatusCode::NOT_FOUND, "No plan", format!("no plan is committed yet.{why}")))
        }
    }
}

/// Every worker that has been seen.
#[utoipa::path(
    get, path = "/api/v1/workers", tag = "look", operation_id = "workers_get",
    responses(
        (status = 200, description = "By name", body = WorkersDocument),
    )
)]
pub async fn workers(state: Data<AdminState>) -> Answer {
    let status = status(&state).await?;
    Ok(HttpResponse::Ok().json(WorkersDocument::new(&status, now())))
}

/// One worker.
#[utoipa::path(
    get, path = "/api/v1/workers/{name}", tag = "look", operation_id = "workers_name_get",
    params(("name" = String, Path, description = "The worker's name")),
    responses(
        (status = 200, description = "It", body = WorkerDocument),
        (status = 404, description = "No such worker; says which there are", body = Problem, content_type = "application/problem+json"),
    )
)]
pub async fn worker(state: Data<AdminState>, name: Path<String>) -> Answer {
    worker_document(&status(&state).await?, &name)
}

/// The document of the worker of that name, or 404.
pub fn worker_document(status: &Status, name: &str) -> Answer {
    let (worker, view) = status.cluster.worker(name).ok_or_else(|| unknown_worker(&status.cluster, name))?;
    Ok(HttpResponse::Ok().json(WorkerDocument::new(status, worker, view, now())))
}

pub fn unknown_worker(cluster: &Cluster, name: &str) -> Problem {
    let known: Vec<String> = cluster.workers().map(|(worker, _)| worker.to_string()).collect();
    let known = if known.is_empty() { "none has joined yet".to_owned() } else { known.join(", ") };
    Problem::new(
        StatusCode::NOT_FOUND,
        "Unknown worker",
        format!("there is no worker {name:?}; known workers: {known}"),
    )
}

/// Every link that a plan has open or that is measured.
#[utoipa::path(
    get, path = "/api/v1/links", tag = "look", operation_id = "links_get",
    responses(
        (status = 200, description = "By sender", body = LinksDocument),
    )
)]
pub async fn links(state: Data<AdminState>) -> Answer {
    let own = state.gateway.send(GetLinks).await.unwrap_or_default();
    let status = status(&state).await?;
    Ok(HttpResponse::Ok().json(LinksDocument::new(&status, &own, now())))
}

/// The planner's input as it is now.
#[utoipa::path(
    get, path = "/api/v1/snapshot", tag = "plan", operation_id = "snapshot_get",
    responses(
        (status = 200, description = "As docs/snapshot.schema.json says", body = Object),
    )
)]
pub async fn snapshot(state: Data<AdminState>) -> Answer {
    Ok(HttpResponse::Ok().json(&*ask(&state, GetSnapshot).await?))
}
