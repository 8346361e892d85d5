//! The supervisor's side of re-planning: takes snapshots, has the planner asked off this thread, and lets the rules decide.
//! What decides is in [`crate::replan`]; what is decided goes on in `begin.rs`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::prelude::*;
use weir_shared::ids::WorkerId;
use weir_shared::plan::ActiveSet;
use weir_shared::plan::plan::BatchNorm;
use weir_shared::profile::{Loss, Profile, weights_digest};
use weir_shared::telemetry::Absurdity;

use super::actor::{Admission, Supervisor};
use super::choice::{Choice, PlanSource};
use super::messages::Thought;
use super::pins;
use super::record::Records;
use crate::clock::{now, unix_millis};
use crate::cluster::{SnapshotInput, accuracy_table, full_only};
use crate::gateway::oip::Degraded;
use crate::planner::SnapshotError;
use crate::planner::snapshot::{AccuracyTable, Placement, Snapshot};
use crate::replan::trace::What;
use crate::replan::{Decision, Kind, Load, Model, Replanner, Rules};

/// Readings come four times a second; looking more often shows nothing new.
const LOOK: Duration = Duration::from_millis(200);

/// Workers have this long from the last change of the cluster to send first readings, before a first plan is made
/// without them.
const FIRST_READINGS: Duration = Duration::from_millis(1_500);

/// Everything that re-planning remembers.
pub(super) struct Replanning {
    pub(super) replanner: Replanner,
    /// The optimisation model; none where plans come from a file or are balanced.
    pub(super) model: Option<Arc<dyn Model>>,
    pub(super) load: Load,
    pub(super) records: Records,
    pub(super) begun: Option<Begun>,
    pub(super) profile: Option<Profile>,
    pub(super) accuracy: AccuracyTable,
    started: Instant,
    thinking: bool,
    pub(super) looked: Option<Instant>,
    /// Workers whose readings the planner cannot use, as they were logged.
    unusable: Vec<WorkerId>,
    /// Why the plan stays as it is, as it was logged, without its figures.
    told: Option<String>,
    /// The policy as a person wrote it.
    pub(super) policy: String,
    /// Points of accuracy that the committed plan loses, as far as the profile says.
    pub(super) points_lost: Option<f64>,
}

/// A decision that is being rolled out.
pub(super) struct Begun {
    pub(super) decision: Decision,
    pub(super) at: Instant,
}

impl Replanning {
    pub(super) fn new(
        rules: Rules,
        model: Option<Arc<dyn Model>>,
        policy: String,
        profile: Option<Profile>,
    ) -> Self {
        let accuracy = profile.as_ref().map_or_else(|| full_only(None), accuracy_table);
        Self {
            replanner: Replanner::new(rules, Duration::ZERO),
            model,
            load: Load::default(),
            records: Records::new(policy.clone()),
            begun: None,
            profile,
            accuracy,
            started: now(),
            thinking: false,
            looked: None,
            unusable: Vec::new(),
            told: None,
            policy,
            points_lost: None,
        }
    }

    /// The orchestrator's age in whole milliseconds, so that a replay sees the very same times.
    pub(super) fn age(&self) -> Duration {
        Duration::from_millis(now().saturating_duration_since(self.started).as_millis() as u64)
    }

    pub(super) fn note(&mut self, what: What) {
        let at_ms = self.age().as_millis() as u64;
        self.records.note(at_ms, what);
    }

    /// Points of accuracy that answers under `active` lose, with the margin where it is predicted.
    fn loss_points(&self, active: &ActiveSet) -> Option<f64> {
        match self.profile.as_ref()?.loss(active) {
            Loss::Measured { points, .. } => Some(points.max(0.0)),
            Loss::Predicted { points, margin } => Some((points + margin).max(0.0)),
            Loss::Unknown => None,
        }
    }

    /// Nothing is to be planned with these workers for now.
    fn leave_out(&mut self, workers: Vec<WorkerId>) {
        if self.replanner.left_out() != workers {
            self.replanner.leave_out(&workers);
            self.note(What::LeftOut { workers });
        }
    }

    /// A worker is another process than before.
    pub(super) fn restarted(&mut self, worker: &WorkerId) {
        self.replanner.restarted(worker);
        self.note(What::Restarted { worker: worker.clone() });
    }

    pub(super) fn degraded(&self, decision: &Decision) -> Option<Degraded> {
        let full = self.accuracy.full_accuracy;
        let expected = full.zip(decision.degraded_points);
        let expected_accuracy = expected.map(|(full, points)| (full - points / 100.0).max(0.0));
        (decision.kind == Kind::Bypass).then_some(Degraded { expected_accuracy })
    }
}

impl Supervisor {
    /// The planner's input as it is now.
    pub(super) fn snapshot(&self) -> Snapshot {
        self.freeze().0
    }

    pub(super) fn freeze(&self) -> (Snapshot, Vec<(WorkerId, SnapshotError)>) {
        let input = SnapshotInput {
            taken_unix_ms: unix_millis(),
            network: self.parts.network,
            weights: weights_digest(&self.parts.weights),
            gateway: self.parts.gateway_name.clone(),
            batch: self.replanning.load.batch(),
            offered_load: self.replanning.load.requests_per_second(),
            accuracy: &self.replanning.accuracy,
            current: self.replanning.replanner.running().cloned(),
        };
        self.cluster.freeze(now(), &input)
    }

    /// Each worker whose readings the planner cannot use is counted and named once, when that begins.
    fn tell_unusable(&mut self, unusable: Vec<(WorkerId, SnapshotError)>) {
        for (worker, error) in &unusable {
            if !self.replanning.unusable.contains(worker) {
                self.parts.metrics.telemetry_rejected(Absurdity::NotFinite);
                let reason = weir_shared::chain(error);
                tracing::warn!(%worker, %reason, "no plan is made with this worker: its readings cannot be");
            }
        }
        self.replanning.unusable = unusable.into_iter().map(|(worker, _)| worker).collect();
    }

    /// Why nothing better runs is logged when that changes, whatever its figures are.
    fn tell_blocked(&mut self) {
        let blocked = self.replanning.replanner.blocked().map(str::to_owned);
        let words = blocked.as_ref().map(|reason| reason.replace(|c: char| c.is_ascii_digit(), ""));
        if let Some(reason) = blocked.filter(|_| words != self.replanning.told) {
            tracing::warn!(%reason, "the plan stays as it is");
            self.last_abort = Some(reason);
        }
        self.replanning.told = words;
    }

    /// Asks the planner, if something that matters has changed and it is not being asked already.
    pub(super) fn think(&mut self, context: &mut Context<Self>) {
        let Some(model) = self.replanning.model.clone() else { return };
        let at = now();
        let urgent = self.replanning.looked.is_none_or(|looked| at >= looked + LOOK || self.changed > looked);
        if self.replanning.thinking || !urgent {
            return;
        }
        self.replanning.looked = Some(at);
        let (snapshot, unusable) = self.freeze();
        self.tell_unusable(unusable);
        let in_snapshot = |worker: &WorkerId| snapshot.workers.iter().any(|known| known.name == *worker);
        let left_out = self.cluster.left_out(at).into_iter().filter(in_snapshot).collect();
        self.replanning.leave_out(left_out);
        let waits =
            snapshot.workers.len() < self.cluster.members(at).len() && at < self.changed + FIRST_READINGS;
        if self.plan.is_none() && waits {
            return;
        }
        let age = self.replanning.age();
        let Some(question) = self.replanning.replanner.ask(age, snapshot.clone()) else {
            return self.tell_blocked();
        };
        self.replanning.note(What::Snapshot(Box::new(snapshot)));
        self.replanning.thinking = true;
        // The solver may take long; sessions and rollouts go on meanwhile.
        let thought = actix_rt::task::spawn_blocking(move || question.answer(&*model)).into_actor(self);
        context.spawn(thought.map(move |thought, supervisor, context| {
            supervisor.replanning.thinking = false;
            supervisor.parts.metrics.decided(now().saturating_duration_since(at));
            match thought {
                Ok(answer) => context.notify(Thought(Box::new(answer))),
                Err(_) => tracing::error!("the planner panicked; the running plan goes on"),
            }
        }));
    }

    /// The planner has answered.
    pub(super) fn thought(&mut self, answer: &crate::replan::Answer, context: &mut Context<Self>) {
        if self.rollout.is_some() {
            // Another plan is on its way; what was thought is about the one before.
            return;
        }
        let age = self.replanning.age();
        self.replanning.note(What::Answered {});
        let decided = self.replanning.replanner.decide(age, answer);
        match decided {
            Some(decision) => {
                self.replanning.note(What::Decision(Box::new(decision.clone())));
                self.begin(decision, BatchNorm::default(), context);
            }
            None if answer.best.is_err() && self.nobody_answers() => self.fall_back(context),
            None => self.tell_blocked(),
        }
    }

    pub(super) fn nobody_answers(&self) -> bool {
        self.plan.is_none() || self.admission == Admission::Broken
    }

    /// Nothing answers and the planner has no plan: work is spread evenly until it has.
    pub(super) fn fall_back(&mut self, context: &mut Context<Self>) {
        if let Some(reason) = self.replanning.replanner.blocked() {
            tracing::warn!(%reason, "no plan within the policy; work is spread evenly");
        }
        let choice = self.choose(&PlanSource::Balanced);
        if let Ok(Some(choice)) = choice {
            self.begin_choice(&choice, "nothing within the policy is possible", context);
        }
    }

    /// Rolls out what was chosen without the model.
    pub(super) fn begin_choice(&mut self, choice: &Choice, because: &str, context: &mut Context<Self>) {
        let kind = match (self.replanning.replanner.running(), self.admission) {
            (None, _) => Kind::First,
            (Some(_), Admission::Broken) => Kind::WorkerLost,
            (Some(_), Admission::Open) if self.replanning.replanner.is_degraded() => Kind::Restore,
            (Some(_), Admission::Open) => Kind::Improvement,
        };
        self.begin_as(kind, choice, because, context);
    }

    /// Rolls out what was chosen without the model, for a stated kind of reason.
    pub(super) fn begin_as(
        &mut self,
        kind: Kind,
        choice: &Choice,
        because: &str,
        context: &mut Context<Self>,
    ) {
        self.begin_placement(kind, choice.placement(), choice.batch_norm, because, context);
    }

    /// Rolls a placement out that no model has judged.
    pub(super) fn begin_placement(
        &mut self,
        kind: Kind,
        new: Placement,
        batch_norm: BatchNorm,
        because: &str,
        context: &mut Context<Self>,
    ) {
        let old = self.replanning.replanner.running().cloned();
        let decision = Decision {
            kind,
            because: because.to_owned(),
            old,
            new,
            old_predicted: None,
            predicted: None,
            gain: None,
            shifted: Vec::new(),
            degraded_points: None,
        };
        self.replanning.note(What::Chosen(Box::new(decision.clone())));
        self.replanning.replanner.begin(decision.clone());
        self.begin(decision, batch_norm, context);
    }

    /// A worker of the running plan is lost: the others go on at once, if they can.
    pub(super) fn emergency(&mut self, context: &mut Context<Self>) {
        let Some(running) = self.replanning.replanner.running().cloned() else { return };
        let gone = |worker: &&WorkerId| self.cluster.member(worker).is_none();
        let lost: Vec<WorkerId> = running.workers.iter().filter(gone).cloned().collect();
        // Whoever is there and does not hold the plan has begun anew before anybody missed it.
        let plan = self.plan.as_ref().map(|plan| plan.id());
        let anew =
            |worker: &&WorkerId| !gone(worker) && !plan.is_some_and(|id| self.cluster.holds(worker, id));
        let restarted = running.workers.iter().filter(anew).map(|worker| format!("{worker} restarted"));
        let each = lost.iter().map(|worker| format!("{worker} lost")).chain(restarted);
        let why = each.collect::<Vec<_>>().join(", ");
        self.replanning.replanner.broken(&why);
        self.replanning.note(What::Broken(why));
        if self.rollout.is_some() || lost.is_empty() {
            return;
        }
        self.bypass(&lost, context);
    }

    /// The others answer in the place of those that are `lost`, if their blocks can be the identity.
    pub(super) fn bypass(&mut self, lost: &[WorkerId], context: &mut Context<Self>) {
        let Some(running) = self.replanning.replanner.running().cloned() else { return };
        let network = self.parts.network.network();
        let bypass = crate::replan::bypass(&network, &running, lost);
        if bypass
            .as_ref()
            .is_some_and(|placement| !pins::agree(&self.steering.pins, &placement.active, &network))
        {
            // What a person keeps active is not given up; requests wait for the next plan.
            return;
        }
        let loss_points = bypass.and_then(|placement| {
            let of_set = self.replanning.loss_points(&placement.active)?;
            crate::replan::bypass::lost_points(self.snapshot(), &placement, of_set)
        });
        self.replanning.note(What::Lost { workers: lost.to_vec(), loss_points });
        if let Some(decision) = self.replanning.replanner.emergency(&network, lost, |_| loss_points) {
            self.replanning.note(What::Decision(Box::new(decision.clone())));
            let batch_norm =
                self.plan.as_ref().map_or_else(BatchNorm::default, |plan| plan.draft().batch_norm);
            self.begin(decision, batch_norm, context);
        }
    }
}
