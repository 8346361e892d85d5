//! Everything that the supervisor can be told or asked.

use std::net::IpAddr;
use std::sync::Arc;

use actix::prelude::*;
use weir_shared::ids::WorkerId;
use weir_shared::plan::{Plan, PlanId};
use weir_shared::wire::control::{FromWorker, Hello, ToWorker};

use crate::cluster::{Cluster, SessionId};

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
