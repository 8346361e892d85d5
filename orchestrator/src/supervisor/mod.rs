//! The one actor that decides.
//!
//! It reconciles: on a timer and on every event it compares the committed plan with the cluster as it is, and
//! begins a rollout when they do not fit. It may be woken at any time, any number of times, without harm.

mod actor;
mod begin;
mod choice;
mod handlers;
mod measuring;
mod messages;
mod outcome;
mod record;
mod replanning;
mod term;

pub use actor::{Policy, Supervisor, SupervisorParts};
pub use choice::{Choice, PlanSource};
pub use messages::{
    Directive, GatewayConnected, GetEvents, GetSnapshot, GetStatus, GetTrace, PlanDrained, Seen, SetPolicy,
    Status, TraceLines, WorkerJoined, WorkerLeft, WorkerSaid,
};
pub use record::{EventRecord, EventState};
