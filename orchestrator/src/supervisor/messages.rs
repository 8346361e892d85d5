//! Everything that the supervisor can be told or asked.

use std::net::IpAddr;
use std::sync::Arc;

use actix::prelude::*;
use weir_shared::ids::WorkerId;
use weir_shared::plan::{Plan, PlanId};
use weir_shared::wire::control::{FromWorker, Hello, ToWorker};

use super::record::EventRecord;
use crate::cluster::{Cluster, SessionId};
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

/// The latest decisions, the oldest first.
#[derive(Message)]
#[rtype(result = "Vec<EventRecord>")]
pub struct GetEvents;

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

/// What the supervisor believes and does, at one moment.
#[derive(Debug, Clone, MessageResponse)]
pub struct Status {
    /// The workers and their links.
    pub cluster: Cluster,
    /// The committed plan.
    pub plan: Option<Arc<Plan>>,
    /// Whether requests are admitted on it.
    pub admitting: bool,
    /// Why the last rollout failed, if it did.
    pub last_abort: Option<String>,
}
