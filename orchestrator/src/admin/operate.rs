//! What a person does to the cluster: workers, the plan, and re-planning.

use actix::Message;
use actix_web::HttpResponse;
use actix_web::web::{Data, Path, Query};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::input::Toml;
use super::policy::Dry;
use super::problem::Problem;
use super::read::worker_document;
use super::state::{AdminState, ask, refused, status};
use super::views::{PlanDocument, PredictedDocument, WorkerDocument};
use crate::replan::Decision;
use crate::supervisor::{
    ApplyPlan, Cordon, DrainWorker, ForceReplan, Intent, PauseReplanning, Refusal, ReplanningState,
    ResumeReplanning, Supervisor, Uncordon,
};

type Answer = Result<HttpResponse, Problem>;

/// `POST /api/v1/replanning/{force,pause,resume}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ReplanningDocument {
    /// Whether the plan adapts now.
    pub replanning: ReplanningState,
    /// What is being rolled out; null where nothing is.
    pub decision: Option<Decision>,
    /// Why, for people.
    pub reason: Option<String>,
}

/// `PUT /api/v1/plan`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AppliedDocument {
    /// Whether it was only checked.
    pub dry_run: bool,
    /// The plan as it runs or would run.
    pub plan: PlanDocument,
    /// What the optimisation model states for it; null where plans do not adapt.
    pub predicted: Option<PredictedDocument>,
}

/// Gives the worker no stage in new plans; what runs goes on.
#[utoipa::path(
    post, path = "/api/v1/workers/{name}/cordon", tag = "workers", operation_id = "workers_name_cordon_post",
    params(("name" = String, Path, description = "The worker's name")),
    responses(
        (status = 200, description = "The worker", body = WorkerDocument),
        (status = 404, description = "No such worker", body = Problem, content_type = "application/problem+json"),
    )
)]
pub async fn cordon(state: Data<AdminState>, name: Path<String>) -> Answer {
    to_worker(&state, &name, Cordon(name.to_string())).await
}

/// Cordons the worker, and makes a plan without it at once.
#[utoipa::path(
    post, path = "/api/v1/workers/{name}/drain", tag = "workers", operation_id = "workers_name_drain_post",
    params(("name" = String, Path, description = "The worker's name")),
    responses(
        (status = 200, description = "The worker", body = WorkerDocument),
        (status = 404, description = "No such worker", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "There is no plan without it", body = Problem, content_type = "application/problem+json"),
    )
)]
pub async fn drain(state: Data<AdminState>, name: Path<String>) -> Answer {
    to_worker(&state, &name, DrainWorker(name.to_string())).await
}

/// Lets plans use the worker again.
#[utoipa::path(
    post, path = "/api/v1/workers/{name}/uncordon", tag = "workers", operation_id = "workers_name_uncordon_post",
    params(("name" = String, Path, description = "The worker's name")),
    responses(
        (status = 200, description = "The worker", body = WorkerDocument),
        (status = 404, description = "No such worker", body = Problem, content_type = "application/problem+json"),
    )
)]
pub async fn uncordon(state: Data<AdminState>, name: Path<String>) -> Answer {
    to_worker(&state, &name, Uncordon(name.to_string())).await
}

async fn to_worker<M>(state: &AdminState, name: &str, message: M) -> Answer
where
    M: Message<Result = Result<(), Refusal>> + Send + 'static,
    Supervisor: actix::Handler<M>,
{
    if let Err(refusal) = ask(state, message).await? {
        return Err(refused(state, "Not possible", refusal).await);
    }
    worker_document(&status(state).await?, name)
}

/// Asks the planner now and takes its best, whatever it gains.
#[utoipa::path(
    post, path = "/api/v1/replanning/force", tag = "plan", operation_id = "replanning_force_post",
    responses(
        (status = 200, description = "What came of it", body = ReplanningDocument),
        (status = 409, description = "Not possible now", body = Problem, content_type = "application/problem+json"),
    )
)]
pub async fn force(state: Data<AdminState>) -> Answer {
    match ask(&state, ForceReplan).await? {
        Ok(forced) => answer(&state, forced.decision, Some(forced.reason)).await,
        Err(refusal) => Err(refused(&state, "Not possible", refusal).await),
    }
}

/// Leaves the plan as it is, as long as it answers.
#[utoipa::path(
    post, path = "/api/v1/replanning/pause", tag = "plan", operation_id = "replanning_pause_post",
    responses(
        (status = 200, description = "Paused", body = ReplanningDocument),
    )
)]
pub async fn pause(state: Data<AdminState>) -> Answer {
    ask(&state, PauseReplanning).await?;
    answer(&state, None, None).await
}

/// Lets the plan adapt again.
#[utoipa::path(
    post, path = "/api/v1/replanning/resume", tag = "plan", operation_id = "replanning_resume_post",
    responses(
        (status = 200, description = "Running, or off", body = ReplanningDocument),
    )
)]
pub async fn resume(state: Data<AdminState>) -> Answer {
    ask(&state, ResumeReplanning).await?;
    answer(&state, None, None).await
}

async fn answer(state: &AdminState, decision: Option<Decision>, reason: Option<String>) -> Answer {
    let replanning = status(state).await?.replanning;
    Ok(HttpResponse::Ok().json(ReplanningDocument { replanning, decision, reason }))
}

/// Runs a plan that a person wrote, and pauses re-planning.
#[utoipa::path(
    put, path = "/api/v1/plan", tag = "plan", operation_id = "plan_put",
    request_body(content = String, content_type = "application/toml", description = "A plan file", example = json!("workers = [\"camera\"]\n")), params(Dry),
    responses(
        (status = 200, description = "It is rolled out, or would be", body = AppliedDocument),
        (status = 409, description = "Another plan is on its way", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "It cannot be used", body = Problem, content_type = "application/problem+json"),
    )
)]
pub async fn apply_plan(state: Data<AdminState>, query: Query<Dry>, body: Toml) -> Answer {
    let intent = if query.dry_run { Intent::DryRun } else { Intent::Act };
    match ask(&state, ApplyPlan { text: body.0, intent }).await? {
        Ok(found) => Ok(HttpResponse::Ok().json(AppliedDocument {
            dry_run: query.dry_run,
            plan: PlanDocument::new(&found.plan, false),
            predicted: found.predicted.map(Into::into),
        })),
        Err(refusal) => Err(refused(&state, "Unusable plan", refusal).await),
    }
}
