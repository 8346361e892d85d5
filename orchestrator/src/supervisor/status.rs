//! What the supervisor believes and does, at one moment, as the admin API asks for it.

use std::collections::BTreeSet;
use std::sync::Arc;

use actix::MessageResponse;
use weir_shared::arch::NetworkSpec;
use weir_shared::ids::{PeerName, WorkerId};
use weir_shared::plan::{Connection, Plan};

use super::actor::{Admission, Supervisor};
use super::answers::AnswerRates;
use crate::cluster::Cluster;
use crate::planner::Pins;
use crate::planner::snapshot::Terms;

/// What the supervisor believes and does, at one moment.
#[derive(Debug, Clone, MessageResponse)]
pub struct Status {
    /// The workers and their links.
    pub cluster: Cluster,
    /// The network that is served.
    pub network: NetworkSpec,
    /// The gateway's name.
    pub gateway: PeerName,
    /// The committed plan.
    pub plan: Option<Arc<Plan>>,
    /// Whether requests are admitted on it.
    pub admitting: bool,
    /// Why the last rollout failed, if it did.
    pub last_abort: Option<String>,
    /// Whether the plan adapts.
    pub replanning: ReplanningState,
    /// Why a better plan, or any, is not run; for people.
    pub blocked: Option<String>,
    /// The policy's text, where plans adapt.
    pub policy: Option<String>,
    /// Connections that a person has decided on.
    pub pins: Pins,
    /// Workers that are to leave the running plan.
    pub draining: BTreeSet<WorkerId>,
    /// Connections that a plan may switch off, because it is known what that costs.
    pub droppable: BTreeSet<Connection>,
    /// Requests per second that are offered.
    pub offered_per_second: f64,
    /// Images in one request.
    pub batch: u16,
    /// How answers went in the last seconds; none where there was none.
    pub answers: Option<AnswerRates>,
    /// What the profile says of the answers; none without a profile or a plan.
    pub accuracy: Option<AccuracyStatus>,
    /// What the optimisation model states for the plan; none where it has not judged it.
    pub predicted: Option<Terms>,
}

/// Whether the plan adapts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReplanningState {
    /// It does.
    Running,
    /// It stays as it is, as long as it can.
    Paused,
    /// Plans come from a file or are balanced.
    Off,
}

/// What the profile says of the answers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AccuracyStatus {
    /// With everything active and f32, 0 to 1.
    pub full: f64,
    /// Of the running plan, 0 to 1; none where nobody knows.
    pub expected: Option<f64>,
    /// Points between the two.
    pub points_lost: Option<f64>,
    /// Whether survivors answer in a dead worker's place.
    pub degraded: bool,
}

impl Supervisor {
    pub(super) fn status(&self) -> Status {
        let replanning = &self.replanning;
        let off = |set: &weir_shared::plan::ActiveSet| set.off().collect::<Vec<_>>();
        Status {
            cluster: self.cluster.clone(),
            network: self.parts.network,
            gateway: self.parts.gateway_name.clone(),
            plan: self.plan.clone(),
            admitting: self.plan.is_some() && self.admission == Admission::Open,
            last_abort: self.last_abort.clone(),
            replanning: self.replanning_state(),
            blocked: replanning.replanner.blocked().map(str::to_owned).or_else(|| self.last_abort.clone()),
            policy: replanning.model.is_some().then(|| replanning.policy.clone()),
            pins: self.steering.pins.clone(),
            draining: self.steering.draining.clone(),
            droppable: replanning.accuracy.candidates.iter().flat_map(|one| off(&one.active)).collect(),
            offered_per_second: replanning.load.requests_per_second(),
            batch: replanning.load.batch(),
            answers: self.answers.rates(),
            accuracy: self.plan.as_ref().and_then(|_| self.accuracy_status()),
            predicted: self.plan.as_ref().and_then(|_| replanning.replanner.predicted()),
        }
    }

    pub(super) fn replanning_state(&self) -> ReplanningState {
        match (&self.replanning.model, self.steering.paused) {
            (_, true) => ReplanningState::Paused,
            (Some(_), false) => ReplanningState::Running,
            (None, false) => ReplanningState::Off,
        }
    }

    fn accuracy_status(&self) -> Option<AccuracyStatus> {
        let full = self.replanning.accuracy.full_accuracy?;
        let points_lost = self.replanning.points_lost;
        Some(AccuracyStatus {
            full,
            expected: points_lost.map(|points| (full - points / 100.0).max(0.0)),
            points_lost,
            degraded: self.replanning.replanner.is_degraded(),
        })
    }
}
