//! The one actor that decides.
//!
//! It reconciles: on a timer and on every event it compares the committed plan with the cluster as it is, and
//! begins a rollout when they do not fit. It may be woken at any time, any number of times, without harm.

mod actor;
mod answers;
mod begin;
mod choice;
mod force;
mod handlers;
mod history;
mod log;
mod measuring;
mod memory;
mod messages;
mod noted;
mod operate;
mod outcome;
mod pins;
mod policy;
mod record;
mod replanning;
mod silence;
mod status;
mod steering;
mod term;

pub use actor::{Policy, Supervisor, SupervisorParts};
pub use answers::AnswerRates;
pub use choice::{Choice, PlanSource};
pub use log::{Cursor, Event, EventKind, LogPage};
pub use messages::{
    ApplyPlan, ByHand, ChangePins, ChangePolicy, Cordon, Directive, DrainWorker, ForceReplan, Forced,
    GatewayConnected, GetDecisions, GetEvents, GetNews, GetPremise, GetSnapshot, GetStatus, GetTrace, Intent,
    News, PauseReplanning, PlanDrained, PlansPage, Premise, Refusal, Remark, ResumeReplanning, Seen,
    SetPolicy, TraceLines, Uncordon, WorkerFellSilent, WorkerJoined, WorkerLeft, WorkerSaid,
    WorkerSpokeAgain,
};
pub use noted::LogLevelSet;
pub use record::{EventRecord, EventState};
pub use status::{AccuracyStatus, ReplanningState, Status};
