//! What happened, one sentence for each thing, for people who watch. Pure.
//!
//! A ring with numbers that only grow. Whoever follows it names the last event that was seen and gets what is behind
//! it; after a restart of the orchestrator numbers begin anew, so an id names the start too.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use weir_shared::ids::WorkerId;
use weir_shared::plan::PlanId;

/// Events kept: at some each minute, half a day.
const KEPT: usize = 1024;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Event {
    /// `<start>-<number>`: names the start of the orchestrator, and rises by one from event to event.
    pub id: String,
    /// When, in milliseconds since 1970.
    pub unix_ms: u64,
    /// What.
    pub kind: EventKind,
    /// A sentence for people.
    pub message: String,
    /// The worker that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worker: Option<String>,
    /// The plan that it is about, as `<term>.<epoch>`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    /// The number of the decision that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<u64>,
}

/// What kind of thing happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// A worker has a session.
    WorkerJoined,
    /// It has none any more.
    WorkerLost,
    /// No new plan gives it a stage.
    WorkerCordoned,
    /// It leaves the running plan.
    WorkerDrained,
    /// Plans may use it again.
    WorkerUncordoned,
    /// Another plan is to run.
    PlanDecided,
    /// It runs.
    PlanCommitted,
    /// It could not be rolled out.
    PlanAborted,
    /// Its trial is over.
    PlanMeasured,
    /// Another policy is in force.
    PolicyChanged,
    /// The plan stays as it is, as long as it can.
    ReplanningPaused,
    /// It adapts again.
    ReplanningResumed,
    /// The planner was asked by a person.
    ReplanningForced,
    /// Other connections are pinned.
    PinsChanged,
    /// The log says more, or less.
    LogLevelChanged,
}

/// What an event is about.
#[derive(Debug, Clone, Default)]
pub(super) struct About {
    pub(super) worker: Option<WorkerId>,
    pub(super) plan: Option<PlanId>,
    pub(super) number: Option<u64>,
}

/// A place in the log: of which start, and behind which number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    start: String,
    number: u64,
}

/// A piece of the log.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LogPage {
    /// Oldest first.
    pub events: Vec<Event>,
    /// Whether there are more behind them.
    pub more: bool,
}

/// The ring.
#[derive(Debug)]
pub(super) struct Log {
    start: String,
    next: u64,
    events: VecDeque<Event>,
}

impl Cursor {
    /// Reads an event's id; none if it is of another form.
    pub fn parse(id: &str) -> Option<Self> {
        let (start, number) = id.rsplit_once('-')?;
        let named = !start.is_empty() && start.chars().all(|letter| letter.is_ascii_hexdigit());
        Some(Self { start: start.to_owned(), number: number.parse().ok().filter(|_| named)? })
    }
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.start, self.number)
    }
}

impl Log {
    /// An empty log of an orchestrator that started then.
    pub(super) fn new(unix_ms: u64) -> Self {
        Self { start: format!("{unix_ms:x}"), next: 1, events: VecDeque::new() }
    }

    pub(super) fn push(&mut self, unix_ms: u64, kind: EventKind, message: String, about: About) {
        if self.events.len() == KEPT {
            self.events.pop_front();
        }
        self.events.push_back(Event {
            id: format!("{}-{}", self.start, self.next),
            unix_ms,
            kind,
            message,
            worker: about.worker.map(|worker| worker.to_string()),
            plan: about.plan.map(|plan| plan.to_string()),
            number: about.number,
        });
        self.next += 1;
    }

    /// The place behind the newest event.
    pub(super) fn end(&self) -> Cursor {
        Cursor { start: self.start.clone(), number: self.next - 1 }
    }

    /// At most `limit` events behind `after`; the oldest that are kept, where that is of another start or none.
    pub(super) fn since(&self, after: Option<&Cursor>, limit: usize) -> LogPage {
        let seen = after.filter(|cursor| cursor.start == self.start).map_or(0, |cursor| cursor.number);
        let oldest = self.next - self.events.len() as u64;
        let skipped = seen.saturating_add(1).saturating_sub(oldest);
        let skipped = usize::try_from(skipped).unwrap_or(usize::MAX);
        let events: Vec<_> = self.events.iter().skip(skipped).take(limit).cloned().collect();
        let more = skipped.saturating_add(events.len()) < self.events.len();
        LogPage { events, more }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(page: &LogPage) -> Vec<String> {
        page.events.iter().map(|event| event.message.clone()).collect()
    }

    #[test]
    fn a_reader_goes_on_behind_what_was_seen_and_begins_anew_after_a_restart() {
        let mut log = Log::new(0xabc);
        for number in 1..=5 {
            log.push(0, EventKind::WorkerJoined, number.to_string(), About::default());
        }
        let page = log.since(None, 2);
        assert_eq!((numbers(&page), page.more), (vec!["1".to_owned(), "2".to_owned()], true));
        let cursor = Cursor::parse(&page.events[1].id).unwrap();
        let page = log.since(Some(&cursor), 10);
        assert_eq!(
            (numbers(&page), page.more),
            (vec!["3".to_owned(), "4".to_owned(), "5".to_owned()], false)
        );
        assert_eq!(log.since(Some(&log.end()), 10), LogPage::default());
        assert_eq!(log.since(Cursor::parse("fff-4").as_ref(), 10).events.len(), 5);
        assert_eq!(log.since(Cursor::parse("abc-18446744073709551614").as_ref(), 10), LogPage::default());
        assert_eq!((Cursor::parse("4"), Cursor::parse("-4"), Cursor::parse("abc-x")), (None, None, None));
    }

    #[test]
    fn the_oldest_give_way() {
        let mut log = Log::new(1);
        for number in 0..KEPT + 3 {
            log.push(0, EventKind::WorkerLost, number.to_string(), About::default());
        }
        let page = log.since(None, 1);
        assert_eq!((numbers(&page), page.more), (vec!["3".to_owned()], true));
    }
}
