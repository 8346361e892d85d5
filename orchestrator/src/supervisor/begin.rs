//! The beginning of a rollout: from a placement that was decided on to a plan that the checker has seen.

use std::collections::BTreeSet;
use std::sync::Arc;

use actix::prelude::*;
use weir_shared::ids::{Epoch, WorkerId};
use weir_shared::plan::plan::BatchNorm;
use weir_shared::plan::{Node, Plan, PlanId};

use super::actor::Supervisor;
use super::log::EventKind;
use super::replanning::Begun;
use crate::clock::{now, unix_millis};
use crate::planner::Draft;
use crate::planner::snapshot::{LinkEncoding, Placement};
use crate::replan::Decision;
use crate::replan::trace::What;
use crate::rollout::Rollout;

impl Supervisor {
    /// Begins the rollout of a decision, if it fits the cluster as it is now.
    pub(super) fn begin(&mut self, decision: Decision, batch_norm: BatchNorm, context: &mut Context<Self>) {
        let plan = match self.plan_of(&decision.new, batch_norm) {
            Ok(plan) => Arc::new(plan),
            Err(reason) => {
                tracing::debug!(%reason, "the decision does not fit the cluster any more");
                self.replanning.replanner.dropped();
                self.replanning.note(What::Dropped {});
                self.replanning.looked = None;
                return;
            }
        };
        if let Err(reason) = self.check(&decision) {
            tracing::error!(kind = %decision.kind, %reason, "the checker refuses the plan; another one is looked for");
            let age = self.replanning.age();
            self.replanning.replanner.aborted(age);
            self.replanning.note(What::Aborted {});
            self.postpone(&reason);
            if self.nobody_answers() {
                self.fall_back(context);
            }
            return;
        }
        let id = plan.id();
        self.epoch = id.epoch;
        let shifted = decision.shifted.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        tracing::info!(
            plan = %id,
            kind = %decision.kind,
            because = %decision.because,
            gain = decision.gain,
            predicted_seconds = decision.predicted.map(|terms| terms.latency_seconds),
            %shifted,
            stages = plan.draft().stages.len(),
            "rollout begins"
        );
        self.parts.metrics.replanned(decision.reason(), decision.change());
        self.parts.metrics.predicted_gain(decision.gain.unwrap_or(0.0));
        self.replanning.records.decided(unix_millis(), id, decision.clone());
        let message = format!("plan {id} is to run ({}): {}", decision.kind, decision.because);
        self.tell_people(EventKind::PlanDecided, message, self.about(id));
        self.replanning.begun = Some(Begun { decision, at: now() });
        let linked = self.linked(&plan);
        let drain_max = self.parts.drain_max;
        let (rollout, steps) = Rollout::begin(now(), plan, self.plan.clone(), drain_max, linked);
        self.rollout = Some(rollout);
        self.carry_out(steps, context);
    }

    /// Has the checker look at whatever the model has judged: solutions, runners-up, sheds, held candidates, and plans to go
    /// back to. Limits that such a plan is known to overrun are those that it is held to as overrun; memory never gives way.
    ///
    /// A bypass, an even spread and a person's plan are no model's: what they need is not known, or not the planner's to
    /// judge.
    fn check(&self, decision: &Decision) -> Result<(), String> {
        let Some(model) = self.replanning.model.as_ref().filter(|_| decision.predicted.is_some()) else {
            return Ok(());
        };
        let snapshot = self.snapshot();
        // What is gone meanwhile is the rollout's to find, and the next question's.
        model.judge(&snapshot, &decision.new).map_or(Ok(()), |judged| model.check(&snapshot, &judged))
    }

    pub(super) fn plan_of(&self, placement: &Placement, batch_norm: BatchNorm) -> Result<Plan, String> {
        let runs = |worker: &WorkerId| self.plan.as_ref().is_some_and(|plan| plan.stage_of(worker).is_some());
        let member = |worker: &WorkerId| {
            if self.cluster.is_cordoned(worker) && !runs(worker) {
                return Err(format!("worker {worker} is cordoned; uncordon it first"));
            }
            self.cluster.member(worker).ok_or_else(|| format!("worker {worker} is not there"))
        };
        let workers = placement.workers.iter().map(member).collect::<Result<_, _>>()?;
        let encoding =
            |link: &LinkEncoding| ((link.from.short().to_owned(), link.to.short().to_owned()), link.encoding);
        let draft = Draft {
            id: PlanId { term: self.parts.term, epoch: Epoch(self.epoch.0 + 1) },
            parent: self.plan.as_ref().map(|plan| plan.id()),
            network: self.parts.network,
            active: placement.active.clone(),
            cuts: placement.cuts.clone(),
            workers,
            gateway: self.parts.gateway_name.clone(),
            links: &self.parts.links,
            encodings: &placement.encodings.iter().map(encoding).collect(),
            weights: self.parts.weights.clone(),
            batch_norm,
            max_batch: self.parts.max_batch,
        };
        draft.plan().map_err(|error| weir_shared::chain(&error))
    }

    /// The workers that hold the running plan and reach by it everybody whom `plan` has them reach.
    fn linked(&self, plan: &Plan) -> BTreeSet<WorkerId> {
        let Some(old) = &self.plan else { return BTreeSet::new() };
        let reaches = |worker: &WorkerId| {
            let Some(here) = plan.stage_of(worker).map(Node::Stage) else { return false };
            let mut wanted = plan.edges().into_iter().filter(|(from, _)| *from == here);
            wanted.all(|(from, to)| {
                let route = plan.route(from, to);
                route.is_some_and(|route| {
                    let same = |open: &weir_shared::plan::Route| {
                        (&open.from, &open.to, open.address) == (&route.from, &route.to, route.address)
                    };
                    old.draft().routes.iter().any(same) && self.reaches_now(worker, &route.to)
                })
            })
        };
        let workers = plan.draft().stages.iter().map(|stage| &stage.worker);
        workers.filter(|worker| self.cluster.holds(worker, old.id()) && reaches(worker)).cloned().collect()
    }

    /// Whether the peer that `worker` sends to is still there; its own link is then open.
    fn reaches_now(&self, worker: &WorkerId, to: &weir_shared::ids::PeerName) -> bool {
        let old = self.plan.as_ref().map(|plan| plan.id());
        match to.as_worker() {
            Some(other) if other != *worker => old.is_some_and(|old| self.cluster.holds(&other, old)),
            _ => true,
        }
    }
}
