//! What the supervisor remembers of its decisions: events for people, and a trace that can be run again. Pure.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use weir_shared::plan::PlanId;

use crate::replan::Decision;
use crate::replan::trace::{Entry, Header, VERSION, What};

/// Events kept: at a decision each minute, some hours.
const EVENTS: usize = 256;

/// Trace entries kept for whoever records; a recorder asks several times a second.
const ENTRIES: usize = 512;

/// A decision and what became of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EventRecord {
    /// Rises by one from event to event.
    pub number: u64,
    /// When it was decided, in milliseconds since 1970.
    pub unix_ms: u64,
    /// Term and epoch of the new plan, as `<term>.<epoch>`.
    pub plan: String,
    /// Why, from what, to what, and what is expected of it.
    pub decision: Decision,
    /// How far it got.
    pub state: EventState,
    /// Milliseconds from the decision to the commit.
    pub committed_after_ms: Option<u64>,
    /// Latency that was measured on trial.
    pub measured_seconds: Option<f64>,
    /// Share of the old plan's latency that was gained by measurement, where the model could state the old one's.
    pub measured_gain: Option<f64>,
    /// How the trial ended: `kept`, `failed` or `undecided`.
    pub trial: Option<String>,
    /// Why it could not be rolled out.
    pub failure: Option<String>,
}

/// How far a decision got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventState {
    /// It is being rolled out.
    RollingOut,
    /// It runs, or ran.
    Committed,
    /// It could not be rolled out.
    Aborted,
}

/// The two rings.
#[derive(Debug, Default)]
pub(super) struct Records {
    /// The policy that was in force when the oldest entry was noted.
    policy: String,
    events: VecDeque<EventRecord>,
    entries: VecDeque<(u64, Entry)>,
    next_event: u64,
    next_entry: u64,
}

impl Records {
    /// Under a policy file, with nothing noted.
    pub(super) fn new(policy: String) -> Self {
        Self { policy, ..Self::default() }
    }

    /// What a trace of the entries that are kept begins with.
    pub(super) fn header(&self) -> Header {
        Header { version: VERSION, policy: self.policy.clone() }
    }

    /// Something happened that the rules were told, or that they decided.
    pub(super) fn note(&mut self, at_ms: u64, what: What) {
        if self.entries.len() == ENTRIES
            && let Some((_, Entry { what: What::Policy(text), .. })) = self.entries.pop_front()
        {
            self.policy = text;
        }
        self.entries.push_back((self.next_entry, Entry { at_ms, what }));
        self.next_entry += 1;
    }

    /// Entries behind number `after`, with the number of the last.
    pub(super) fn since(&self, after: Option<u64>) -> Vec<(u64, Entry)> {
        let wanted = |number: u64| after.is_none_or(|after| number > after);
        self.entries.iter().filter(|(number, _)| wanted(*number)).cloned().collect()
    }

    pub(super) fn decided(&mut self, unix_ms: u64, plan: PlanId, decision: Decision) {
        if self.events.len() == EVENTS {
            self.events.pop_front();
        }
        self.events.push_back(EventRecord {
            number: self.next_event,
            unix_ms,
            plan: plan.to_string(),
            decision,
            state: EventState::RollingOut,
            committed_after_ms: None,
            measured_seconds: None,
            measured_gain: None,
            trial: None,
            failure: None,
        });
        self.next_event += 1;
    }

    /// The event of a plan, to say more of it.
    pub(super) fn of(&mut self, plan: PlanId) -> Option<&mut EventRecord> {
        let plan = plan.to_string();
        self.events.iter_mut().rev().find(|event| event.plan == plan)
    }

    pub(super) fn events(&self) -> Vec<EventRecord> {
        self.events.iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_begins_with_the_policy_of_its_oldest_entry() {
        let mut records = Records::new("first".to_owned());
        records.note(0, What::Policy("second".to_owned()));
        for at in 1..ENTRIES as u64 {
            records.note(at, What::Mended {});
        }
        assert_eq!((records.since(None).len(), records.header().policy.as_str()), (ENTRIES, "first"));
        records.note(1000, What::Mended {});
        assert_eq!((records.since(None).len(), records.header().policy.as_str()), (ENTRIES, "second"));
    }
}
