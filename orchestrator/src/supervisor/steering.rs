//! What a person has told the supervisor besides the policy: to leave the plan alone, to keep workers out of it, to keep
//! connections as they are.

use std::collections::BTreeSet;

use weir_shared::ids::WorkerId;
use weir_shared::plan::PlanId;

use super::actor::Supervisor;
use super::log::{About, EventKind};
use crate::clock::unix_millis;
use crate::planner::Pins;

/// What is remembered of it. A restart of the orchestrator forgets it.
#[derive(Debug, Default)]
pub(super) struct Steering {
    /// The plan stays as it is, as long as it answers.
    pub(super) paused: bool,
    /// Connections that are decided.
    pub(super) pins: Pins,
    /// Workers that are to leave the running plan; cordoned too.
    pub(super) draining: BTreeSet<WorkerId>,
    /// Whether the planner is being asked for a person.
    pub(super) forcing: bool,
}

impl Supervisor {
    /// An event is about that plan, and the decision that led to it.
    pub(super) fn about(&self, plan: PlanId) -> About {
        About { plan: Some(plan), number: self.replanning.records.number_of(plan), worker: None }
    }

    /// Writes an event down, and wakes whoever follows.
    pub(super) fn tell_people(&mut self, kind: EventKind, message: String, about: About) {
        self.log.push(unix_millis(), kind, message, about);
        self.parts.news.send_modify(|news| *news += 1);
    }
}
