//! Everything that the gateway can be told or asked.

use std::sync::Arc;

use actix::prelude::*;
use tokio::sync::oneshot;
use weir_shared::plan::{Plan, PlanId};
use weir_shared::transport::activation::Activation;
use weir_shared::wire::control::{LinkReport, ProbeTarget, RequestFailure};

use super::canary::Verdict;
use super::oip::{Degraded, InferDone, InferFailure, InferJob};
use super::windows::Counted;

/// Compute the logits of a batch.
#[derive(Message)]
#[rtype(result = "Result<InferDone, InferFailure>")]
pub struct Infer(pub InferJob);

/// Logits have arrived from the last stage.
#[derive(Message)]
#[rtype(result = "()")]
pub struct ReplyArrived(pub Activation);

/// A worker gave a request up.
#[derive(Message)]
#[rtype(result = "()")]
pub struct RequestFailed(pub RequestFailure);

/// Reach the first stage of a plan that is about to be committed, and let its last stage in.
#[derive(Message)]
#[rtype(result = "()")]
pub struct ConnectFirstStage(pub Arc<Plan>);

/// Admit new requests on this plan from now on.
#[derive(Message)]
#[rtype(result = "()")]
pub struct CommitPlan {
    /// The plan.
    pub plan: Arc<Plan>,
    /// What its answers are marked with, where survivors answer in a dead worker's place.
    pub degraded: Option<Degraded>,
}

/// What the last canary on the live plan found, and what the next one finds where that is too old.
#[derive(Message)]
#[rtype(result = "CanaryFound")]
pub struct AskCanary;

/// What is known of the canary.
#[derive(Debug)]
pub struct CanaryFound {
    /// The last verdict on the live plan.
    pub last: Option<Verdict>,
    /// The next one, where the last is too old; ends without one when the plan changes.
    pub next: Option<oneshot::Receiver<Verdict>>,
}

/// What was offered and how the answers of each plan went, since this was asked last.
#[derive(Message)]
#[rtype(result = "Counted")]
pub struct TakeWindows;

/// A plan has lost a worker: its requests wait for the next plan, and new ones are not admitted on it.
#[derive(Message)]
#[rtype(result = "()")]
pub struct PlanBroken(pub PlanId);

/// A plan's time to drain is over, or it was never committed: forget it.
#[derive(Message)]
#[rtype(result = "()")]
pub struct RetirePlan(pub PlanId);

/// Completes when no request runs on that plan.
#[derive(Message)]
#[rtype(result = "()")]
pub struct WhenDrained(pub PlanId);

/// Readings of the gateway's own links.
#[derive(Message)]
#[rtype(result = "Vec<LinkReport>")]
pub struct GetLinks;

/// Measure the gateway's links to these workers, and to no others, while no plan uses them.
#[derive(Message)]
#[rtype(result = "()")]
pub struct MeasureLinks(pub Vec<ProbeTarget>);

/// Admit nothing more, and complete when every admitted request is answered.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Drain;
