//! A decision and its reasons, as they are carried out, shown and recorded.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::planner::snapshot::{Placement, Terms};

/// To run another placement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Decision {
    /// Why.
    pub kind: Kind,
    /// The details, for people.
    pub because: String,
    /// What runs until then.
    pub old: Option<Placement>,
    /// What will run.
    pub new: Placement,
    /// The old plan's terms on the snapshot of the decision, where it could have gone on.
    pub old_predicted: Option<Terms>,
    /// The new plan's terms; none for a bypass and a fallback, which no model has judged.
    pub predicted: Option<Terms>,
    /// Share of the objective that is gained; none where there is nothing to compare with.
    pub gain: Option<f64>,
    /// What has changed most since the old plan was chosen, the largest first.
    pub shifted: Vec<Shift>,
    /// Points of accuracy that answers lose, on a bypass; none where it is unknown or nothing is bypassed.
    pub degraded_points: Option<f64>,
}

/// Why the plan changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// There was none.
    First,
    /// It ran before the orchestrator's restart.
    Adopted,
    /// A worker of the running plan is gone.
    WorkerLost,
    /// A link of the running plan is gone.
    LinkLost,
    /// The running plan breaks a bound of the policy.
    Infeasible,
    /// Another plan is better.
    Improvement,
    /// The same partition with other connections is better at once.
    Shed,
    /// Accuracy comes back.
    Restore,
    /// Survivors answer in a dead worker's place.
    Bypass,
    /// The plan on trial did not deliver.
    Rollback,
    /// The policy has changed.
    Policy,
    /// A person asked the planner.
    Forced,
    /// A person wants a worker to leave the plan.
    Drained,
    /// A person wrote the plan.
    ByHand,
}

/// Something that has changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Shift {
    /// What, as in `goodput of camera -> router`.
    pub what: String,
    /// Then; none if it was not there.
    pub before: Option<f64>,
    /// Now; none if it is gone.
    pub after: Option<f64>,
}

impl Decision {
    /// The value of the metric label `reason`: what made the plan change, as [`weir_shared::metric_names`] lists it.
    pub fn reason(&self) -> &'static str {
        match self.kind {
            Kind::First | Kind::Adopted => "first",
            Kind::WorkerLost | Kind::Bypass => "worker_lost",
            Kind::LinkLost => "link_changed",
            Kind::Policy => "policy_changed",
            Kind::Rollback => "trial_failed",
            Kind::Forced | Kind::Drained | Kind::ByHand => "operator",
            Kind::Infeasible | Kind::Improvement | Kind::Shed | Kind::Restore => {
                self.shifted.first().map_or("worker_changed", Shift::reason)
            }
        }
    }

    /// The value of the metric label `kind`: what the change does.
    pub fn change(&self) -> &'static str {
        let same = |old: &Placement| (&old.cuts, &old.workers) == (&self.new.cuts, &self.new.workers);
        match self.kind {
            Kind::Bypass => "bypass",
            _ if self.old.as_ref().is_some_and(same) => "switch",
            _ => "recut",
        }
    }
}

impl Shift {
    fn reason(&self) -> &'static str {
        match (self.what.contains(" -> "), self.what.starts_with("offered load"), self.before) {
            (_, true, _) => "load_changed",
            (true, ..) => "link_changed",
            (false, false, None) => "worker_joined",
            (false, false, Some(_)) => "worker_changed",
        }
    }
}

impl Kind {
    /// The value of the metric label `kind`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Adopted => "adopted",
            Self::WorkerLost => "worker_lost",
            Self::LinkLost => "link_lost",
            Self::Infeasible => "infeasible",
            Self::Improvement => "improvement",
            Self::Shed => "shed",
            Self::Restore => "restore",
            Self::Bypass => "bypass",
            Self::Rollback => "rollback",
            Self::Policy => "policy",
            Self::Forced => "forced",
            Self::Drained => "drained",
            Self::ByHand => "by_hand",
        }
    }

    /// Whether the rules of damping apply.
    pub const fn is_soft(self) -> bool {
        matches!(self, Self::Improvement | Self::Shed | Self::Restore | Self::Infeasible)
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl std::fmt::Display for Shift {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let number = |number: Option<f64>| number.map_or_else(|| "nothing".to_owned(), |n| format!("{n:.4}"));
        write!(f, "{} from {} to {}", self.what, number(self.before), number(self.after))
    }
}
