//! The planner asked by a person: what is best now, undamped, and what is best without a worker that is to leave.

use actix::prelude::*;
use weir_shared::ids::WorkerId;
use weir_shared::plan::plan::BatchNorm;

use super::actor::Supervisor;
use super::log::{About, EventKind};
use super::messages::{ForceReplan, Forced, GetPremise, Premise, Refusal};
use crate::clock::now;
use crate::planner::snapshot::Snapshot;
use crate::replan::trace::What;
use crate::replan::{Answer, Decision, Kind};

/// What the planner says, when it has.
pub(super) type Asked = ResponseActFuture<Supervisor, Result<Answer, Refusal>>;

impl Supervisor {
    /// Asks the planner off this thread; `without` these workers, be they in use or not.
    pub(super) fn ask_for_person(&mut self, without: &[WorkerId]) -> Result<Asked, Refusal> {
        let Some(model) = self.replanning.model.clone() else {
            let why =
                "plans do not adapt here; put a policy in force, or start weir-orchestrator without --plan";
            return Err(Refusal::Conflict(why.to_owned()));
        };
        if self.steering.forcing || self.rollout.is_some() {
            return Err(Refusal::Conflict("another plan is on its way; ask again in a moment".to_owned()));
        }
        let mut snapshot = self.snapshot();
        remove(&mut snapshot, without);
        snapshot.check().map_err(|error| Refusal::Conflict(weir_shared::chain(&error)))?;
        let question = self.replanning.replanner.question(self.replanning.age(), snapshot);
        self.steering.forcing = true;
        let answered = actix_rt::task::spawn_blocking(move || question.answer(&*model)).into_actor(self);
        Ok(Box::pin(answered.map(|answered, supervisor, _| {
            supervisor.steering.forcing = false;
            answered.map_err(|_| Refusal::Conflict("the planner failed; the log says why".to_owned()))
        })))
    }

    /// Rolls the best of an answer out. None, where it runs already.
    pub(super) fn begin_forced(
        &mut self,
        kind: Kind,
        because: &str,
        answer: &Answer,
        context: &mut Context<Self>,
    ) -> Result<Option<Decision>, Refusal> {
        if self.rollout.is_some() {
            return Err(Refusal::Conflict("another plan is on its way; ask again in a moment".to_owned()));
        }
        let decided = self.replanning.replanner.forced(kind, because, answer).map_err(Refusal::Conflict)?;
        let Some(decision) = decided else { return Ok(None) };
        self.replanning.note(What::Chosen(Box::new(decision.clone())));
        self.replanning.replanner.begin(decision.clone());
        self.begin(decision.clone(), BatchNorm::default(), context);
        if self.rollout.is_none() {
            let why = self.last_abort.clone().unwrap_or_else(|| "the plan does not fit any more".to_owned());
            return Err(Refusal::Conflict(why));
        }
        Ok(Some(decision))
    }

    /// Whether a worker that is to leave has a stage in the running plan.
    pub(super) fn is_anybody_to_leave(&self) -> bool {
        let runs = |worker: &WorkerId| self.plan.as_ref().is_some_and(|plan| plan.stage_of(worker).is_some());
        self.steering.draining.iter().any(runs)
    }

    /// Makes a plan without the workers that are to leave, if they have not left by the plan that was made when a person
    /// asked.
    pub(super) fn expel(&mut self, context: &mut Context<Self>) {
        let leaving: Vec<WorkerId> = self.steering.draining.iter().cloned().collect();
        let Ok(asked) = self.ask_for_person(&leaving) else { return };
        context.spawn(asked.map(|answer, supervisor, context| {
            let because = "a person wants workers to leave the plan";
            let begun =
                answer.and_then(|answer| supervisor.begin_forced(Kind::Drained, because, &answer, context));
            if let Err(reason) = begun {
                supervisor.postpone(&reason.to_string());
            }
        }));
    }
}

impl Handler<ForceReplan> for Supervisor {
    type Result = ResponseActFuture<Self, Result<Forced, Refusal>>;

    fn handle(&mut self, _: ForceReplan, _: &mut Self::Context) -> Self::Result {
        let leaving: Vec<WorkerId> = self.steering.draining.iter().cloned().collect();
        let asked = match self.ask_for_person(&leaving) {
            Ok(asked) => asked,
            Err(refusal) => return Box::pin(fut::ready(Err(refusal))),
        };
        Box::pin(asked.map(|answer, supervisor, context| {
            let answer = answer?;
            supervisor.tell_people(
                EventKind::ReplanningForced,
                "the planner was asked by a person".to_owned(),
                About::default(),
            );
            let decision =
                supervisor.begin_forced(Kind::Forced, "a person asked the planner", &answer, context)?;
            let reason = match (&decision, &answer.unmet) {
                (Some(decision), _) => decision.because.clone(),
                (None, None) => "the best plan runs already".to_owned(),
                (None, Some(unmet)) => format!("the best plan runs already; {unmet}"),
            };
            Ok(Forced { decision, reason })
        }))
    }
}

impl Handler<GetPremise> for Supervisor {
    type Result = Result<Premise, Refusal>;

    fn handle(&mut self, GetPremise { policy }: GetPremise, _: &mut Self::Context) -> Self::Result {
        let text = policy.as_ref().unwrap_or(&self.replanning.policy);
        let policy = self.effective(text).map_err(Refusal::Unusable)?;
        let mut whole = self.snapshot();
        whole.current = self.replanning.replanner.running().cloned();
        self.replanning.replanner.corrected(&mut whole);
        let mut snapshot = whole.clone();
        remove(&mut snapshot, &self.cluster.left_out(now()));
        Ok(Premise { snapshot, whole, policy })
    }
}

/// Nothing is to be planned with these workers.
fn remove(snapshot: &mut Snapshot, workers: &[WorkerId]) {
    snapshot.workers.retain(|worker| !workers.contains(&worker.name));
    let gone = |peer: &weir_shared::ids::PeerName| workers.iter().any(|worker| worker.peer() == *peer);
    snapshot.links.retain(|link| !gone(&link.from) && !gone(&link.to));
}
