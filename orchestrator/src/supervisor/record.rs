//! What the supervisor remembers of its decisions: events for people, and a trace that can be run again. Pure.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use weir_shared::plan::PlanId;

use crate::planner::snapshot::{EncodingLoss, LinkState, WorkerState};
use crate::replan::Decision;
use crate::replan::trace::{Entry, Header, VERSION, What};

/// Events kept: at a decision each minute, some hours.
const EVENTS: usize = 256;

/// Trace entries kept for whoever records; a recorder asks several times a second.
const ENTRIES: usize = 512;

/// And of these no more than so many bytes: in a large cluster a snapshot alone is some megabytes.
const BYTES_MAX: usize = 64 << 20;

/// A decision and what became of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
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
    /// Latency of its first answers, once there are enough.
    pub measured_seconds: Option<f64>,
    /// Share of the old plan's latency that was gained by measurement, where the model could state the old one's.
    pub measured_gain: Option<f64>,
    /// How the trial ended: `kept`, `failed` or `undecided`; none for a plan that was not on trial.
    pub trial: Option<String>,
    /// Why it could not be rolled out.
    pub failure: Option<String>,
}

/// How far a decision got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
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
    /// Each with the revision at which it was last changed.
    events: VecDeque<(u64, EventRecord)>,
    /// Rises with each change of an event.
    revision: u64,
    entries: VecDeque<(u64, Entry)>,
    /// What the entries take in memory, about.
    bytes: usize,
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
        self.bytes += bytes(&what);
        self.entries.push_back((self.next_entry, Entry { at_ms, what }));
        self.next_entry += 1;
        // The newest is kept, however large.
        while self.entries.len() > ENTRIES || self.bytes > BYTES_MAX && self.entries.len() > 1 {
            let Some((_, Entry { what, .. })) = self.entries.pop_front() else { break };
            self.bytes = self.bytes.saturating_sub(bytes(&what));
            if let What::Policy(text) = what {
                self.policy = text;
            }
        }
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
        self.revision += 1;
        let event = EventRecord {
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
        };
        self.events.push_back((self.revision, event));
        self.next_event += 1;
    }

    /// The event of a plan, to say more of it.
    pub(super) fn of(&mut self, plan: PlanId) -> Option<&mut EventRecord> {
        let plan = plan.to_string();
        let (revision, event) = self.events.iter_mut().rev().find(|(_, event)| event.plan == plan)?;
        self.revision += 1;
        *revision = self.revision;
        Some(event)
    }

    /// The number of a plan's event.
    pub(super) fn number_of(&self, plan: PlanId) -> Option<u64> {
        let plan = plan.to_string();
        self.events.iter().rev().find(|(_, event)| event.plan == plan).map(|(_, event)| event.number)
    }

    /// At most `limit` events with smaller numbers than `before`, the newest first; and whether there are older ones.
    pub(super) fn newest(&self, before: Option<u64>, limit: usize) -> (Vec<EventRecord>, bool) {
        let older = |event: &&EventRecord| before.is_none_or(|before| event.number < before);
        let mut found = self.events.iter().rev().map(|(_, event)| event).filter(older);
        let page = found.by_ref().take(limit).cloned().collect();
        (page, found.next().is_some())
    }

    /// Events that were changed behind a revision, and the revision now.
    pub(super) fn changed_since(&self, revision: u64) -> (Vec<EventRecord>, u64) {
        let changed = self.events.iter().filter(|(at, _)| *at > revision);
        (changed.map(|(_, event)| event.clone()).collect(), self.revision)
    }
}

/// What an entry takes in memory, about: only snapshots are large.
fn bytes(what: &What) -> usize {
    /// Names and a placement.
    const SMALL: usize = 1024;
    /// The two names of a link, and one of a worker, beside their structures.
    const NAMES: usize = 64;
    let What::Snapshot(snapshot) = what else { return SMALL };
    let layers = |worker: &WorkerState| worker.layer_seconds.len() * size_of::<Option<f64>>();
    let workers = snapshot.workers.iter().map(|worker| size_of::<WorkerState>() + NAMES + layers(worker));
    let links = snapshot.links.len() * (size_of::<LinkState>() + NAMES);
    let accuracy = snapshot.accuracy.candidates.len() * SMALL / 4
        + snapshot.accuracy.encodings.len() * size_of::<EncodingLoss>();
    SMALL + workers.sum::<usize>() + links + accuracy
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
