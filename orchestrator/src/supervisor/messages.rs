//! Everything that the supervisor can be told or asked.

use std::net::IpAddr;
use std::time::Duration;

use actix::prelude::*;
use weir_shared::ids::WorkerId;
use weir_shared::plan::{Plan, PlanId};
use weir_shared::wire::control::{FromWorker, Hello, ToWorker};

use super::log::{Cursor, Event, EventKind, LogPage};
use super::record::EventRecord;
use super::status::Status;
use crate::cluster::SessionId;
use crate::planner::Pins;
use crate::planner::snapshot::{Snapshot, Terms};
use crate::replan::trace::{Entry, Header};
use crate::replan::{Answer, Decision};

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

/// The journal has, or cannot have, that plan.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Remembered {
    /// About to be committed.
    pub plan: PlanId,
    /// How long the disk took.
    pub took: Duration,
    /// Why it is not on the disk, if it is not.
    pub failure: Option<String>,
}

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

/// Why the supervisor does not do what a person asks. Nothing has changed then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no such worker.
    #[error("there is no worker {0:?}")]
    NoSuchWorker(String),
    /// What was asked for is no more as the person has seen it.
    #[error("it has changed since it was read; read it again")]
    Changed,
    /// It cannot be done now.
    #[error("{0}")]
    Conflict(String),
    /// It makes no sense.
    #[error("{0}")]
    Unusable(String),
}

/// Plan by this policy from now on, if the policy in force is still the one that was seen.
#[derive(Message)]
#[rtype(result = "Result<(), Refusal>")]
pub struct ChangePolicy {
    /// The text of a policy file.
    pub text: String,
    /// What was seen; none: whatever it is.
    pub seen: Option<String>,
}

/// Keep these connections as they are from now on, if the pins in force are still those that were seen.
#[derive(Message)]
#[rtype(result = "Result<(), Refusal>")]
pub struct ChangePins {
    /// By name, as in `F:layer2.1`.
    pub pins: Pins,
    /// What was seen; none: whatever they are.
    pub seen: Option<Pins>,
}

/// What the planner would be asked now; the policy with the pins in it.
#[derive(Message)]
#[rtype(result = "Result<Premise, Refusal>")]
pub struct GetPremise {
    /// Another policy than the one in force.
    pub policy: Option<String>,
}

/// What the planner would be asked.
#[derive(Debug, Clone)]
pub struct Premise {
    /// Without workers that are cordoned or left out.
    pub snapshot: Snapshot,
    /// With them, so that what runs can be judged.
    pub whole: Snapshot,
    /// The text of a policy file; the default where plans do not adapt.
    pub policy: String,
}

/// Ask the planner now, and take its best whatever it gains.
#[derive(Message)]
#[rtype(result = "Result<Forced, Refusal>")]
pub struct ForceReplan;

/// What came of it.
#[derive(Debug, Clone)]
pub struct Forced {
    /// What is being rolled out; none where the best runs already.
    pub decision: Option<Decision>,
    /// Why, for people.
    pub reason: String,
}

/// Leave the plan as it is, as long as it answers.
#[derive(Message)]
#[rtype(result = "()")]
pub struct PauseReplanning;

/// Let the plan adapt again.
#[derive(Message)]
#[rtype(result = "()")]
pub struct ResumeReplanning;

/// Give the worker of that name no stage in new plans.
#[derive(Message)]
#[rtype(result = "Result<(), Refusal>")]
pub struct Cordon(pub String);

/// Have the worker of that name leave the running plan too.
#[derive(Message)]
#[rtype(result = "Result<(), Refusal>")]
pub struct DrainWorker(pub String);

/// Let plans use the worker of that name again.
#[derive(Message)]
#[rtype(result = "Result<(), Refusal>")]
pub struct Uncordon(pub String);

/// Run a plan that a person wrote, and leave it as it is.
#[derive(Message)]
#[rtype(result = "Result<ByHand, Refusal>")]
pub struct ApplyPlan {
    /// The plan file.
    pub text: String,
    /// Whether it is to be done.
    pub intent: Intent,
}

/// Whether something is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Intent {
    /// It is.
    Act,
    /// Only say what would happen.
    DryRun,
}

/// A plan that a person wrote, as it would run.
#[derive(Debug, Clone)]
pub struct ByHand {
    /// The plan.
    pub plan: Plan,
    /// What the optimisation model states for it, where plans adapt.
    pub predicted: Option<Terms>,
}
