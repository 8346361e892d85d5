//! What outlives the orchestrator: each plan is in the journal before it is committed, and the plan that ran before a
//! restart runs again as soon as its workers are back.
//!
//! A plan is adopted by being proposed anew, with equal contents, as the first plan of the new term: workers hold its
//! weights already and load nothing, and every rule of a rollout holds for it as for any other. It then rests for the dwell
//! time, in which only hard reasons change it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::prelude::*;
use weir_shared::arch::LayerId;
use weir_shared::ids::Term;
use weir_shared::plan::{Encoding, Plan, PlanId};

use super::actor::Supervisor;
use super::choice::PlanSource;
use super::messages::Remembered;
use crate::clock::now;
use crate::cluster::Cluster;
use crate::journal::{Entry, JournalError, Writer, Written};
use crate::planner::snapshot::{LinkEncoding, Placement};
use crate::replan::{Decision, Kind};
use crate::rollout::Event;

/// Workers of the plan before the restart have this long to come back. They notice within a second that the orchestrator
/// is gone, and dial every half second; a dial that began while nobody listened is repeated after one second, then two.
const RETURN: Duration = Duration::from_secs(5);

/// What outlives the orchestrator.
pub(super) struct Memory {
    journal: Option<Writer>,
    /// The plan before the restart, until another one runs or it is given up.
    before: Option<Arc<Plan>>,
    return_until: Instant,
    rest_until: Instant,
}

/// What can be done about the plan before the restart.
#[derive(Debug, PartialEq, Eq)]
enum Prospect {
    /// Everybody is there and holds it.
    Ready,
    /// Somebody may still come back.
    Waits,
    /// It will not run again; why.
    Hopeless(String),
}

impl Memory {
    pub(super) fn new(journal: Option<Writer>, before: Option<Plan>) -> Self {
        let at = now();
        Self { journal, before: before.map(Arc::new), return_until: at + RETURN, rest_until: at }
    }

    /// The plan before the restart, while it may run again: its workers must keep what they hold.
    pub(super) const fn before(&self) -> Option<&Arc<Plan>> {
        self.before.as_ref()
    }

    /// Another plan runs, or the one before could not be rolled out.
    pub(super) fn forget(&mut self) {
        self.before = None;
    }

    /// Whether an adopted plan rests.
    pub(super) fn rests(&self, at: Instant) -> bool {
        at < self.rest_until
    }

    /// No incarnation after this one may use `term` or a lower one. Waits for the disk: the term is raised at most a few
    /// times, and only before the first plan, when no request waits.
    pub(super) fn raise(&self, term: Term) -> Result<(), JournalError> {
        self.journal.as_ref().map_or(Ok(()), |journal| journal.append_now(Entry::Term(term)))
    }
}

impl Supervisor {
    /// Has the plan written down that is about to be committed.
    pub(super) fn remember(&mut self, plan: &Arc<Plan>, context: &mut Context<Self>) {
        if self.memory.journal.is_none() {
            return self.advance(Event::Remembered, context);
        }
        self.write_down(plan, context);
    }

    fn write_down(&self, plan: &Arc<Plan>, context: &mut Context<Self>) {
        let Some(journal) = &self.memory.journal else { return };
        let (id, supervisor) = (plan.id(), context.address());
        journal.append(Entry::Committing(Box::new((**plan).clone())), move |Written { outcome, took }| {
            let failure = outcome.err().map(|error| weir_shared::chain(&error));
            // One for each rollout.
            supervisor.do_send(Remembered { plan: id, took, failure });
        });
    }

    /// Lets the plan before the restart run again, if it can. Says whether no other plan is to be made meanwhile.
    pub(super) fn adopt(&mut self, context: &mut Context<Self>) -> bool {
        let Some(before) = self.memory.before.clone() else { return false };
        let prospect = self.unfit(&before).map_or_else(
            || prospect(&self.cluster, &before, now() < self.memory.return_until),
            |why| Prospect::Hopeless(why.to_owned()),
        );
        let reason = match prospect {
            Prospect::Waits => return true,
            Prospect::Hopeless(why) => why,
            Prospect::Ready => {
                let because = format!("plan {} ran before the restart", before.id());
                let batch_norm = before.draft().batch_norm;
                self.begin_placement(Kind::Adopted, placement(&before), batch_norm, &because, context);
                if self.rollout.is_some() {
                    return true;
                }
                "it does not fit the cluster any more".to_owned()
            }
        };
        tracing::warn!(plan = %before.id(), %reason, "the plan before the restart is not adopted");
        self.memory.forget();
        false
    }

    /// Why this orchestrator would not make such a plan.
    fn unfit(&self, before: &Plan) -> Option<&'static str> {
        let draft = before.draft();
        if (draft.network, &draft.weights) != (self.parts.network, &self.parts.weights) {
            return Some("another network or other weights are served now");
        }
        if self.replanning.model.is_none() {
            return matches!(self.parts.source, PlanSource::File(_))
                .then_some("the plan file says what runs");
        }
        let known = self.replanning.accuracy.candidates.iter().any(|one| one.active == draft.active);
        (!known).then_some("it is not known what its connections cost in accuracy")
    }

    /// The plan before the restart runs.
    pub(super) fn adopted(&mut self, decision: &Decision) {
        if decision.kind == Kind::Adopted {
            self.memory.rest_until = now() + self.replanning.replanner.rules().dwell();
        }
        self.memory.forget();
    }
}

impl Handler<Remembered> for Supervisor {
    type Result = ();

    fn handle(&mut self, Remembered { plan, took, failure }: Remembered, context: &mut Self::Context) {
        let outcome = if failure.is_none() { "written" } else { "failed" };
        self.parts.metrics.journal_written(outcome, took);
        let waits = self.rollout.as_ref().is_some_and(|rollout| rollout.plan().id() == plan);
        match failure {
            Some(reason) if waits => self.advance(Event::NotRemembered(reason), context),
            Some(reason) => tracing::error!(%plan, %reason, "plan not in the journal"),
            None if waits => self.advance(Event::Remembered, context),
            // Its rollout failed while the disk took its time: what is committed is to be found by the next incarnation.
            None => {
                if let Some(committed) = self.plan.clone().filter(|committed| committed.id() != plan) {
                    self.write_down(&committed, context);
                }
            }
        }
    }
}

/// What can be done about `before`, given who is there.
fn prospect(cluster: &Cluster, before: &Plan, may_return: bool) -> Prospect {
    let id: PlanId = before.id();
    let mut missing = Vec::new();
    for stage in &before.draft().stages {
        if cluster.holds(&stage.worker, id) {
            continue;
        }
        if cluster.member(&stage.worker).is_some() {
            return Prospect::Hopeless(format!("worker {} holds it no more", stage.worker));
        }
        missing.push(stage.worker.as_str());
    }
    match (missing.is_empty(), may_return) {
        (true, _) => Prospect::Ready,
        (false, true) => Prospect::Waits,
        (false, false) => {
            Prospect::Hopeless(format!("{} did not come back within {RETURN:?}", missing.join(", ")))
        }
    }
}

/// What a planner would have said to get this plan.
fn placement(plan: &Plan) -> Placement {
    let draft = plan.draft();
    let rounded = draft.routes.iter().filter(|route| route.encoding != Encoding::default());
    let mut encodings: Vec<_> = rounded
        .map(|route| LinkEncoding {
            from: route.from.clone(),
            to: route.to.clone(),
            encoding: route.encoding,
        })
        .collect();
    encodings.sort();
    Placement {
        active: draft.active.clone(),
        cuts: draft.stages.iter().skip(1).map(|stage| LayerId(stage.layers.start)).collect(),
        workers: draft.stages.iter().map(|stage| stage.worker.clone()).collect(),
        encodings,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::planner::tests::two_stage_plan;

    #[test]
    fn a_plan_is_adopted_when_all_its_workers_hold_it_and_given_up_when_one_does_not() {
        let plan = two_stage_plan(7);
        let mut cluster = Cluster::default();
        assert_eq!(prospect(&cluster, &plan, true), Prospect::Waits);
        crate::cluster::tests::join(&mut cluster, "a", 1, vec![plan.id()]);
        assert_eq!(prospect(&cluster, &plan, true), Prospect::Waits);
        let late = prospect(&cluster, &plan, false);
        assert!(
            matches!(&late, Prospect::Hopeless(why) if why.starts_with("b did not come back")),
            "{late:?}"
        );
        crate::cluster::tests::join(&mut cluster, "b", 2, vec![plan.id()]);
        assert_eq!(prospect(&cluster, &plan, false), Prospect::Ready);
        crate::cluster::tests::join(&mut cluster, "b", 3, vec![]);
        let anew = prospect(&cluster, &plan, true);
        assert!(matches!(&anew, Prospect::Hopeless(why) if why.contains("b holds it no more")), "{anew:?}");
    }

    #[test]
    fn a_plan_says_what_it_was_made_of() {
        let made_of = placement(&two_stage_plan(1));
        assert_eq!(made_of.cuts, [LayerId(13)]);
        assert_eq!(made_of.workers.len(), 2);
        assert!(made_of.encodings.is_empty());
    }
}
