//! Everything that the supervisor can be told or asked.

use std::net::IpAddr;

use actix::prelude::*;
use weir_shared::ids::WorkerId;
use weir_shared::plan::PlanId;
use weir_shared::wire::control::{FromWorker, Hello, ToWorker};

use super::log::{Cursor, Event, EventKind, LogPage};
use super::record::EventRecord;
use super::status::Status;
use crate::cluster::SessionId;
use crate::planner::snapshot::Snapshot;
use crate::replan::Answer;
use crate::replan::trace::{Entry, Header};

/// Something to tell a worker. Sent by the supervisor, carried out by a session.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Directive(pub ToWorker);

/// A worker has opened a session.
#[derive(Message)]
#[rtype(result = "()")]
pub struct WorkerJoined {
    /// Who.
    pub worker: WorkerId,
    /// Which session.
    pub session: SessionId,
    /// How it introduced itself.
    pub hello: Hello,
    /// Where the two ends of its connection are.
    pub seen: Seen,
    /// Where its directives go.
    pub directives: Recipient<Directive>,
}

/// The addresses of a session's two ends, as this machine sees them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// Where the worker is.
    pub worker: IpAddr,
    /// Where the worker has found us, if the system tells.
    pub orchestrator: Option<IpAddr>,
}

/// A session has ended.
#[derive(Message)]
#[rtype(result = "()")]
pub struct WorkerLeft {
    /// Who.
    pub worker: WorkerId,
    /// Which session.
    pub session: SessionId,
}

/// A worker has said nothing for a while, be it a report or an acknowledgement.
#[derive(Message)]
#[rtype(result = "()")]
pub struct WorkerFellSilent {
    /// Who.
    pub worker: WorkerId,
    /// In which session.
    pub session: SessionId,
}

/// A worker that was silent has been heard.
#[derive(Message)]
#[rtype(result = "()")]
pub struct WorkerSpokeAgain {
    /// Who.
    pub worker: WorkerId,
    /// In which session.
    pub session: SessionId,
}

/// A worker has said something about itself or a plan.
#[derive(Message)]
#[rtype(result = "()")]
pub struct WorkerSaid {
    /// Who.
    pub worker: WorkerId,
    /// In which session.
    pub session: SessionId,
    /// What.
    pub message: FromWorker,
}

/// The gateway has reached the first stage of a plan.
#[derive(Message)]
#[rtype(result = "()")]
pub struct GatewayConnected(pub PlanId);

/// No request runs on that plan any more.
#[derive(Message)]
#[rtype(result = "()")]
pub struct PlanDrained(pub PlanId);

/// The planner has answered the latest question.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Thought(pub Box<Answer>);

/// Plan by this policy from now on; the text of a policy file. The running plan goes on whatever is wrong with it.
#[derive(Message)]
#[rtype(result = "Result<(), String>")]
pub struct SetPolicy(pub String);

/// The planner's input as it is now.
#[derive(Message)]
#[rtype(result = "Box<Snapshot>")]
pub struct GetSnapshot;

/// The latest decisions, the newest first.
#[derive(Message)]
#[rtype(result = "PlansPage")]
pub struct GetDecisions {
    /// Only those with a smaller number.
    pub before: Option<u64>,
    /// The most to answer.
    pub limit: usize,
}

/// A piece of the history of decisions.
#[derive(Debug, Clone, MessageResponse)]
pub struct PlansPage {
    /// The newest first.
    pub plans: Vec<EventRecord>,
    /// Whether there are older ones.
    pub more: bool,
}

/// What happened, the oldest first.
#[derive(Message)]
#[rtype(result = "LogPage")]
pub struct GetEvents {
    /// Only what is behind this place; all that is kept, where none is named.
    pub after: Option<Cursor>,
    /// The most to answer.
    pub limit: usize,
}

/// What is new to a follower.
#[derive(Message)]
#[rtype(result = "News")]
pub struct GetNews {
    /// Where it has read the log up to; none: nothing of the past.
    pub after: Option<Cursor>,
    /// What it has seen of decisions; none: nothing of the past.
    pub revision: Option<u64>,
}

/// What is new to a follower.
#[derive(Debug, Clone, MessageResponse)]
pub struct News {
    /// Behind the place, the oldest first.
    pub events: Vec<Event>,
    /// Decisions that were made or of which more is known.
    pub plans: Vec<EventRecord>,
    /// Where to go on.
    pub after: Cursor,
    /// Where to go on.
    pub revision: u64,
}

/// Something happened elsewhere that people who follow should see.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Remark {
    /// What kind of thing.
    pub kind: EventKind,
    /// A sentence.
    pub message: String,
}

/// What the rules were told and decided behind the entry of this number; all that is kept if none is named.
#[derive(Message)]
#[rtype(result = "TraceLines")]
pub struct GetTrace {
    /// The last entry that is known already.
    pub after: Option<u64>,
}

/// A piece of a trace.
#[derive(Debug, Clone, MessageResponse)]
pub struct TraceLines {
    /// What a trace begins with.
    pub header: Header,
    /// Entries with their numbers.
    pub entries: Vec<(u64, Entry)>,
}

/// What the supervisor believes and does.
#[derive(Message)]
#[rtype(result = "Status")]
pub struct GetStatus;
