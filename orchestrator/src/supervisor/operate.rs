//! What a person does to the cluster: keeps workers out of plans, leaves the plan alone, or writes it.

use actix::prelude::*;
use weir_shared::arch::Network;
use weir_shared::ids::WorkerId;
use weir_shared::plan::PlanId;

use super::actor::{Supervisor, says_the_same};
use super::choice::{Choice, PlanSource};
use super::log::{About, EventKind};
use super::messages::*;
use super::pins;
use crate::clock::now;
use crate::planner::snapshot::Terms;
use crate::planner::{PlanFile, PlanFileError};
use crate::replan::Kind;

impl Supervisor {
    /// What a source chooses, with the connections that a person has decided on.
    pub(super) fn choose(&self, source: &PlanSource) -> Result<Option<Choice>, PlanFileError> {
        let choice = source.choose(self.parts.network, &self.cluster, now())?;
        let network = self.parts.network.network();
        Ok(choice.map(|choice| self.with_pins(choice, &network)))
    }

    fn with_pins(&self, choice: Choice, network: &Network) -> Choice {
        Choice { active: pins::obeyed(&self.steering.pins, &choice.active, network), ..choice }
    }

    fn named(&self, name: &str) -> Result<WorkerId, Refusal> {
        let found = self.cluster.worker(name).map(|(worker, _)| worker.clone());
        found.ok_or_else(|| Refusal::NoSuchWorker(name.to_owned()))
    }

    fn cordon(&mut self, worker: &WorkerId, kind: EventKind, message: String) {
        self.cluster.cordon(worker);
        if kind == EventKind::WorkerDrained {
            self.steering.draining.insert(worker.clone());
        }
        tracing::info!(%worker, %message, "worker cordoned");
        self.tell_people(kind, message, About { worker: Some(worker.clone()), ..About::default() });
    }

    /// Has the worker leave, where the model does not choose plans.
    fn drain_without_model(&mut self, worker: &WorkerId, context: &mut Context<Self>) -> Result<(), Refusal> {
        let others = self.cluster.members(now()).iter().any(|member| member.worker != *worker);
        match &self.parts.source {
            PlanSource::File(file) if file.workers.contains(worker) => Err(Refusal::Conflict(format!(
                "the plan file gives {worker} a stage; put another plan in force first (PUT /api/v1/plan)"
            ))),
            _ if !others => {
                Err(Refusal::Conflict(format!("there is no plan without {worker}: nobody else is there")))
            }
            _ => {
                self.cordon(
                    worker,
                    EventKind::WorkerDrained,
                    format!("worker {worker} is to leave the plan"),
                );
                self.reconcile(context);
                Ok(())
            }
        }
    }

    fn by_hand(&self, text: &str) -> Result<(Choice, ByHand), Refusal> {
        let unusable = |error: String| Refusal::Unusable(error);
        let network = self.parts.network.network();
        let file = PlanFile::parse(text, &network).map_err(|error| unusable(weir_shared::chain(&error)))?;
        if let Some(missing) = file.workers.iter().find(|worker| self.cluster.member(worker).is_none()) {
            let there: Vec<_> = self.cluster.connected().map(|(worker, _)| worker.to_string()).collect();
            return Err(unusable(format!("worker {missing} is not there; connected: {}", there.join(", "))));
        }
        if let Some(closed) = file.workers.iter().find(|worker| self.cluster.is_cordoned(worker)) {
            return Err(unusable(format!("worker {closed} is cordoned; uncordon it first")));
        }
        let choice = PlanSource::File(file).choose(self.parts.network, &self.cluster, now());
        let choice = choice.map_err(|error| unusable(weir_shared::chain(&error)))?;
        let choice = choice.ok_or_else(|| unusable("a worker of the plan is gone".to_owned()))?;
        if !pins::agree(&self.steering.pins, &choice.active, &network) {
            return Err(unusable("the plan's `off` goes against the pins; change one of them".to_owned()));
        }
        let plan = self.plan_of(&choice.placement(), choice.batch_norm).map_err(unusable)?;
        let predicted = self.judged(&choice).map_err(unusable)?;
        Ok((choice, ByHand { plan, predicted }))
    }

    /// What the model and the checker say of it; nothing, where plans do not adapt.
    fn judged(&self, choice: &Choice) -> Result<Option<Terms>, String> {
        let Some(model) = &self.replanning.model else { return Ok(None) };
        let mut snapshot = self.snapshot();
        self.replanning.replanner.corrected(&mut snapshot);
        let judged = model.judge(&snapshot, &choice.placement())?;
        model.check(&snapshot, &judged)?;
        Ok(Some(judged.terms))
    }

    fn pause(&mut self, message: &str) {
        if !self.steering.paused {
            self.steering.paused = true;
            tracing::info!("re-planning paused");
            self.tell_people(EventKind::ReplanningPaused, message.to_owned(), About::default());
        }
    }
}

impl Handler<Cordon> for Supervisor {
    type Result = Result<(), Refusal>;

    fn handle(&mut self, Cordon(name): Cordon, _: &mut Self::Context) -> Self::Result {
        let worker = self.named(&name)?;
        if !self.cluster.is_cordoned(&worker) {
            let message = format!("worker {worker} is cordoned: no new plan gives it a stage");
            self.cordon(&worker, EventKind::WorkerCordoned, message);
        }
        Ok(())
    }
}

impl Handler<Uncordon> for Supervisor {
    type Result = Result<(), Refusal>;

    fn handle(&mut self, Uncordon(name): Uncordon, context: &mut Self::Context) -> Self::Result {
        let worker = self.named(&name)?;
        if self.cluster.is_cordoned(&worker) {
            self.cluster.uncordon(&worker);
            self.steering.draining.remove(&worker);
            self.replanning.looked = None;
            tracing::info!(%worker, "worker uncordoned");
            let about = About { worker: Some(worker.clone()), ..About::default() };
            let message = format!("worker {worker} is uncordoned: plans may use it again");
            self.tell_people(EventKind::WorkerUncordoned, message, about);
            self.reconcile(context);
        }
        Ok(())
    }
}

impl Handler<DrainWorker> for Supervisor {
    type Result = ResponseActFuture<Self, Result<(), Refusal>>;

    fn handle(&mut self, DrainWorker(name): DrainWorker, context: &mut Self::Context) -> Self::Result {
        let ready = |result| -> Self::Result { Box::pin(fut::ready(result)) };
        let worker = match self.named(&name) {
            Ok(worker) if self.steering.draining.contains(&worker) => return ready(Ok(())),
            Ok(worker) => worker,
            Err(refusal) => return ready(Err(refusal)),
        };
        let message = format!("worker {worker} is to leave the plan");
        if self.plan.as_ref().is_none_or(|plan| plan.stage_of(&worker).is_none()) && self.rollout.is_none() {
            self.cordon(&worker, EventKind::WorkerDrained, message);
            return ready(Ok(()));
        }
        if self.replanning.model.is_none() {
            let done = self.drain_without_model(&worker, context);
            return ready(done);
        }
        let leaving: Vec<_> = self.steering.draining.iter().chain([&worker]).cloned().collect();
        let asked = match self.ask_for_person(&leaving) {
            Ok(asked) => asked,
            Err(refusal) => return ready(Err(refusal)),
        };
        Box::pin(asked.map(move |answer, supervisor, context| {
            let answer = answer?;
            if let Err(why) = &answer.best {
                return Err(Refusal::Conflict(format!("there is no plan without {worker}: {why}")));
            }
            let because = format!("a person wants {worker} to leave the plan");
            supervisor.cordon(&worker, EventKind::WorkerDrained, message);
            if let Err(reason) = supervisor.begin_forced(Kind::Drained, &because, &answer, context) {
                // It is asked again until the worker has left.
                supervisor.postpone(&reason.to_string());
            }
            Ok(())
        }))
    }
}

impl Handler<PauseReplanning> for Supervisor {
    type Result = ();

    fn handle(&mut self, _: PauseReplanning, _: &mut Self::Context) {
        self.pause("re-planning is paused: the plan stays as it is, as long as it answers");
    }
}

impl Handler<ResumeReplanning> for Supervisor {
    type Result = ();

    fn handle(&mut self, _: ResumeReplanning, context: &mut Self::Context) {
        if self.steering.paused {
            self.steering.paused = false;
            self.replanning.looked = None;
            tracing::info!("re-planning resumed");
            self.tell_people(
                EventKind::ReplanningResumed,
                "re-planning goes on".to_owned(),
                About::default(),
            );
            self.reconcile(context);
        }
    }
}

impl Handler<ApplyPlan> for Supervisor {
    type Result = Result<ByHand, Refusal>;

    fn handle(&mut self, ApplyPlan { text, intent }: ApplyPlan, context: &mut Self::Context) -> Self::Result {
        let (choice, by_hand) = self.by_hand(&text)?;
        if intent == Intent::DryRun {
            return Ok(by_hand);
        }
        if self.rollout.is_some() {
            return Err(Refusal::Conflict("another plan is on its way; try again in a moment".to_owned()));
        }
        let paused = self.steering.paused;
        self.pause("re-planning is paused: a plan written by a person runs");
        if self.plan.as_ref().is_some_and(|old| says_the_same(old, &by_hand.plan)) {
            return Ok(by_hand);
        }
        let id: PlanId = by_hand.plan.id();
        self.begin_as(Kind::ByHand, &choice, "a person wrote it", context);
        if self.rollout.as_ref().is_none_or(|rollout| rollout.plan().id() != id) {
            self.steering.paused = paused;
            return Err(Refusal::Conflict(
                "the plan does not fit the cluster any more; try again".to_owned(),
            ));
        }
        Ok(by_hand)
    }
}
