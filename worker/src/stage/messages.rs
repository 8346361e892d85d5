//! Everything that the stage actor can be told or asked.

use actix::prelude::*;
use weir_shared::ids::{PeerName, Term};
use weir_shared::plan::{Plan, PlanHash, PlanId};
use weir_shared::transport::activation::Activation;
use weir_shared::wire::control::{Loaded, Report};

use crate::plans::PlanRefusal;

/// An activation has arrived whole and fits its plan.
#[derive(Message)]
#[rtype(result = "()")]
pub struct ActivationArrived(pub Activation);

/// An orchestrator of this term is in charge.
#[derive(Message)]
#[rtype(result = "Result<(), PlanRefusal>")]
pub struct ObeyTerm(pub Term);

/// Load, verify and try a plan; let its peers in.
#[derive(Message)]
#[rtype(result = "Result<(PlanHash, Loaded), String>")]
pub struct PreparePlan(pub Plan);

/// Reach every peer that a plan sends to.
#[derive(Message)]
#[rtype(result = "Result<(), NotConnected>")]
pub struct ConnectPlan(pub PlanId);

/// Why not every peer was reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotConnected {
    /// For people.
    pub reason: String,
    /// The peers that were not.
    pub unreachable: Vec<PeerName>,
}

/// New requests use this plan from now on.
#[derive(Message)]
#[rtype(result = "()")]
pub struct CommitPlan(pub PlanId);

/// Forget a plan.
#[derive(Message)]
#[rtype(result = "()")]
pub struct RetirePlan(pub PlanId);

/// What the stage knows for a report, and the plans that are alive.
#[derive(Message)]
#[rtype(result = "(Report, Term, Vec<PlanId>)")]
pub struct GetReport;
