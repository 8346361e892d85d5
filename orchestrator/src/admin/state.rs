//! What the handlers ask, and how.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use actix::Addr;
use actix_web::http::StatusCode;
use tokio::sync::{Mutex, Semaphore, watch};

use super::conditional::{changed, etag};
use super::problem::Problem;
use super::read::unknown_worker;
use super::solve::Front;
use super::views::{StateDocument, Surroundings};
use crate::clock::{now, unix_millis};
use crate::gateway::messages::GetLinks;
use crate::gateway::{Admission, GatewayActor};
use crate::metrics::Metrics;
use crate::supervisor::{GetStatus, Refusal, Status, Supervisor};

/// Followers at once: each costs a small answer a second, and nobody looks at more pages.
pub const FOLLOWERS_MAX: usize = 64;

/// What the handlers ask.
#[derive(Clone)]
pub struct AdminState {
    /// Decides.
    pub supervisor: Addr<Supervisor>,
    /// Has links of its own.
    pub gateway: Addr<GatewayActor>,
    /// Whether requests are admitted.
    pub admission: watch::Receiver<Admission>,
    /// Counts.
    pub metrics: Arc<Metrics>,
    /// How many requests are in.
    pub occupied: Arc<AtomicUsize>,
    /// Rises when followers have something to ask for.
    pub news: watch::Receiver<u64>,
    /// Places for followers.
    pub followers: Arc<Semaphore>,
    /// Places for questions to the planner.
    pub solvers: Arc<Semaphore>,
    /// The last Pareto front.
    pub front: Arc<Mutex<Front>>,
}

/// Asks the supervisor.
pub async fn ask<M>(state: &AdminState, message: M) -> Result<M::Result, Problem>
where
    M: actix::Message + Send + 'static,
    M::Result: Send,
    Supervisor: actix::Handler<M>,
{
    state.supervisor.send(message).await.map_err(|error| {
        let detail = format!("the supervisor does not answer: {error}; the process is about to end");
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "No supervisor", detail)
    })
}

/// What it believes and does.
pub async fn status(state: &AdminState) -> Result<Status, Problem> {
    ask(state, GetStatus).await
}

/// Everything that the live page shows.
pub async fn document(state: &AdminState) -> Result<StateDocument, Problem> {
    let own_links = state.gateway.send(GetLinks).await.unwrap_or_default();
    let status = status(state).await?;
    let around = Surroundings {
        admission: *state.admission.borrow(),
        in_flight: state.occupied.load(Relaxed),
        own_links: &own_links,
        policy_etag: status.policy.as_deref().map(etag),
        unix_ms: unix_millis(),
        now: now(),
    };
    Ok(StateDocument::new(&status, around))
}

/// What the supervisor refuses, as a problem of that title.
pub async fn refused(state: &AdminState, title: &'static str, refusal: Refusal) -> Problem {
    match refusal {
        Refusal::NoSuchWorker(name) => match status(state).await {
            Ok(status) => unknown_worker(&status.cluster, &name),
            Err(problem) => problem,
        },
        Refusal::Changed => changed(None),
        Refusal::Conflict(why) => Problem::new(StatusCode::CONFLICT, "Not possible now", why),
        Refusal::Unusable(why) => Problem::unusable(title, why),
    }
}
