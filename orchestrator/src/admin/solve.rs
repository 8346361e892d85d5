//! The planner, asked without consequences: one plan, or what each point of accuracy costs.
//!
//! It computes on a thread of its own, one question at a time, with bounded effort: whatever is asked, the process goes on
//! serving.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderValue, RETRY_AFTER};
use actix_web::web::{Data, Json, block};
use serde::{Deserialize, Serialize};
use tokio::sync::{OwnedMutexGuard, OwnedSemaphorePermit};
use utoipa::ToSchema;

use super::input::Object;
use super::problem::Problem;
use super::state::{AdminState, ask, refused};
use crate::checker;
use crate::clock::now;
use crate::planner::snapshot::{Placement, Snapshot, Terms};
use crate::planner::{Effort, Infeasible, Policy, Solution, evaluate, least_overrun, pareto, solve};
use crate::replan::model;
use crate::supervisor::{GetPremise, Premise};

type Answer = Result<HttpResponse, Problem>;

/// Half a per cent is closer than any estimate; a front is some forty plans.
const EFFORT: Effort = Effort { nodes: 200_000, gap: 0.005 };

/// Questions wait so long for their turn.
const PATIENCE: Duration = Duration::from_secs(20);

/// A front is kept so long: many pages ask for the same one.
const FRONT_KEPT: Duration = Duration::from_secs(5);

/// `POST /api/v1/plan/solve`.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SolveRequest {
    /// A policy file; the policy in force, where none is given.
    policy: Option<String>,
    /// What to plan on; the cluster as it is now, where none is given.
    #[schema(value_type = Option<Object>)]
    snapshot: Option<Box<Snapshot>>,
    /// Whether to answer the Pareto front.
    #[serde(default)]
    pareto: bool,
}

/// What `POST /api/v1/plan/solve` answers.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "describes what is written without it")]
pub enum SolveAnswer {
    /// The best plan.
    One(Box<Solution>),
    /// The front.
    Front(Vec<Solution>),
}

/// `GET /api/v1/pareto`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ParetoDocument {
    /// Plans of which none is better than another in everything, the fastest first; and the one that runs.
    pub points: Vec<PointDocument>,
}

/// A plan of the front.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PointDocument {
    /// Of one request.
    pub latency_seconds: f64,
    /// Of one request.
    pub energy_joules: f64,
    /// Points lost against everything active in f32.
    pub accuracy_loss_points: f64,
    /// The most requests per second.
    pub throughput_per_second: Option<f64>,
    /// Who computes, in order.
    pub workers: Vec<String>,
    /// Connections that are off; empty when all are active.
    pub active_off: String,
    /// Whether it is the plan that runs.
    pub today: bool,
}

/// The last front, and when it was computed.
pub type Front = Option<(Instant, ParetoDocument)>;

/// The best plan, or the Pareto front; changes nothing.
#[utoipa::path(
    post, path = "/api/v1/plan/solve", tag = "plan", operation_id = "plan_solve_post",
    request_body = SolveRequest,
    responses(
        (status = 200, description = "A solution with its proof; an array of them with `pareto`", body = SolveAnswer),
        (status = 422, description = "It cannot be used, or there is no plan", body = Problem, content_type = "application/problem+json"),
    )
)]
pub async fn solve_plan(state: Data<AdminState>, body: Json<Object<SolveRequest>>) -> Answer {
    let SolveRequest { policy, snapshot, pareto: front } = body.into_inner().0;
    let Some(snapshot) = snapshot else {
        let premise = premise(&state, policy).await?;
        let policy = read(&premise.policy)?;
        return answer(&state, premise.snapshot, policy, front).await;
    };
    snapshot.check().map_err(|error| Problem::unusable("Unusable snapshot", weir_shared::chain(&error)))?;
    let policy = policy.map_or_else(|| Ok(Policy::default()), |text| read(&text))?;
    answer(&state, *snapshot, policy, front).await
}

/// The plan that a policy would give; of the one in force, where none is named.
pub async fn with_policy(state: &AdminState, policy: Option<String>) -> Answer {
    let premise = premise(state, policy).await?;
    let policy = read(&premise.policy)?;
    answer(state, premise.snapshot, policy, false).await
}

/// What each point of accuracy costs.
#[utoipa::path(
    get, path = "/api/v1/pareto", tag = "plan", operation_id = "pareto_get",
    responses(
        (status = 200, description = "Plans of which none is better in everything", body = ParetoDocument),
        (status = 409, description = "There is no plan", body = Problem, content_type = "application/problem+json"),
    )
)]
pub async fn front(state: Data<AdminState>) -> Answer {
    let mut kept: OwnedMutexGuard<Front> = Arc::clone(&state.front).lock_owned().await;
    if let Some((_, document)) =
        kept.as_ref().filter(|(at, _)| now().saturating_duration_since(*at) < FRONT_KEPT)
    {
        return Ok(HttpResponse::Ok().json(document));
    }
    let premise = premise(&state, None).await?;
    let policy = read(&premise.policy)?;
    let place = place(&state).await?;
    let document = off_thread(place, move || front_of(&premise, &policy)).await?;
    let document = document.map_err(|why| Problem::new(StatusCode::CONFLICT, "No plan", why))?;
    *kept = Some((now(), document.clone()));
    Ok(HttpResponse::Ok().json(document))
}

async fn premise(state: &AdminState, policy: Option<String>) -> Result<Premise, Problem> {
    match ask(state, GetPremise { policy }).await? {
        Ok(premise) => Ok(premise),
        Err(refusal) => Err(refused(state, "Unusable policy", refusal).await),
    }
}

fn read(text: &str) -> Result<Policy, Problem> {
    let read = model::read(text).map_err(|why| Problem::unusable("Unusable policy", why))?;
    Ok(read.1.policy().clone())
}

async fn answer(state: &AdminState, snapshot: Snapshot, policy: Policy, front: bool) -> Answer {
    let place = place(state).await?;
    let no_plan = |why: String| Problem::unusable("No plan", why);
    if front {
        let found = off_thread(place, move || match pareto(&snapshot, &policy, &EFFORT) {
            // The plain search says why, where there is nothing.
            empty if empty.is_empty() => one(&snapshot, &policy).map(|_| empty),
            found => Ok(found),
        });
        return Ok(HttpResponse::Ok().json(found.await?.map_err(no_plan)?));
    }
    let found = off_thread(place, move || one(&snapshot, &policy)).await?;
    Ok(HttpResponse::Ok().json(found.map_err(no_plan)?))
}

/// The best plan, as the checker has seen it too; or why there is none, with what to allow.
fn one(snapshot: &Snapshot, policy: &Policy) -> Result<Solution, String> {
    let solution = match solve(snapshot, policy, &EFFORT) {
        Err(limits @ Infeasible::Limits(_)) => {
            let least = least_overrun(snapshot, policy, &EFFORT);
            let advice = least.map(|overrun| format!("; {}", overrun.advice())).unwrap_or_default();
            return Err(format!("{limits}{advice}"));
        }
        solved => solved.map_err(|why| weir_shared::chain(&why))?,
    };
    checker::check(snapshot, policy, &solution).map_err(|violation| {
        format!("the planner's own plan does not hold: {}", weir_shared::chain(&violation))
    })?;
    Ok(solution)
}

fn front_of(premise: &Premise, policy: &Policy) -> Result<ParetoDocument, String> {
    let network = premise.whole.network.network();
    let found = pareto(&premise.snapshot, policy, &EFFORT);
    if found.is_empty() {
        one(&premise.snapshot, policy)?;
    }
    let point = |placement: &Placement, terms: &Terms, today: bool| PointDocument {
        latency_seconds: terms.latency_seconds,
        energy_joules: terms.energy_joules,
        accuracy_loss_points: terms.accuracy_loss_points,
        throughput_per_second: (terms.period_seconds > 0.0).then(|| 1.0 / terms.period_seconds),
        workers: placement.workers.iter().map(ToString::to_string).collect(),
        active_off: placement.active.describe(&network),
        today,
    };
    let runs = premise.whole.current.as_ref();
    let mut points: Vec<_> =
        found.iter().map(|plan| point(&plan.placement, &plan.terms, Some(&plan.placement) == runs)).collect();
    if !points.iter().any(|point| point.today) {
        let today = runs.and_then(|runs| Some((runs, evaluate(&premise.whole, runs).ok()?)));
        points.extend(today.map(|(runs, found)| point(runs, &found.terms, true)));
    }
    Ok(ParetoDocument { points })
}

async fn place(state: &AdminState) -> Result<OwnedSemaphorePermit, Problem> {
    let turn = tokio::time::timeout(PATIENCE, Arc::clone(&state.solvers).acquire_owned()).await;
    turn.ok().and_then(Result::ok).ok_or_else(|| {
        let detail = "others ask the planner too, and it answers one at a time; try again later";
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "Planner busy", detail)
            .with_header(RETRY_AFTER, HeaderValue::from_static("5"))
    })
}

/// The place is given back when the planner is done, though the client may be gone by then.
async fn off_thread<T: Send + 'static>(
    place: OwnedSemaphorePermit,
    think: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Problem> {
    let thought = block(move || {
        let answer = think();
        drop(place);
        answer
    });
    thought.await.map_err(|_| {
        let detail = "the planner failed; the log says why, and the running plan goes on";
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "Planner failed", detail)
    })
}
