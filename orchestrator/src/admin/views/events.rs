//! The past, as documents: decisions, events, and the trace.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::replan::trace::{Entry, Header};
use crate::supervisor::{Event, EventRecord};

/// `GET /api/v1/plans`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PlansDocument {
    /// The latest decisions, the newest first.
    pub plans: Vec<EventRecord>,
    /// What to give as `cursor` for older ones; null where there are none.
    pub next: Option<String>,
}

/// `GET /api/v1/events`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct EventsDocument {
    /// What happened, the oldest first.
    pub events: Vec<Event>,
    /// What to give as `cursor` for what is behind; null where there is nothing yet.
    pub next: Option<String>,
}

/// `GET /api/v1/trace?after=N`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TraceDocument {
    /// What a trace file begins with.
    #[schema(value_type = Object)]
    pub header: Header,
    /// Entries behind `after`.
    pub entries: Vec<NumberedEntry>,
}

/// An entry of a trace.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct NumberedEntry {
    /// Rises by one from entry to entry.
    pub number: u64,
    /// The line of the trace file.
    #[schema(value_type = Object)]
    pub entry: Entry,
}

impl From<(u64, Entry)> for NumberedEntry {
    fn from((number, entry): (u64, Entry)) -> Self {
        Self { number, entry }
    }
}
