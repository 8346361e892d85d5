//! The stage: gathers what a request needs, computes it on a thread of its own, and hands the results on.
//!
//! [`StageActor`] owns the live plans, the bounded queues and the links. It never computes and never waits: the
//! compute thread has a queue of its own, and a full queue is refused at once.

mod actor;
mod compute;
mod gather;
mod messages;
mod traces;

pub use actor::{StageActor, StageParts};
pub use compute::{Compute, ComputeFailed, ComputeThread, Job, LoadStage, Outcome, Outcomes};
pub use gather::{Gather, Offer};
pub use messages::{
    ActivationArrived, CommitPlan, ConnectPlan, GetReport, NotConnected, ObeyTerm, PreparePlan, RetirePlan,
};
