//! What becomes of a decision: it runs or it cannot, and its answers show what it was worth.

use actix::prelude::*;
use weir_shared::plan::PlanId;
use weir_shared::plan::plan::BatchNorm;

use super::actor::{Admission, Supervisor};
use super::log::EventKind;
use super::record::EventState;
use crate::clock::now;
use crate::gateway::Counted;
use crate::gateway::oip::Degraded;
use crate::replan::Outcome;
use crate::replan::trace::What;
use crate::rollout::Fault;

impl Supervisor {
    /// What was begun runs. Says how its answers are marked.
    pub(super) fn replan_committed(&mut self, plan: PlanId) -> Option<Degraded> {
        let age = self.replanning.age();
        self.replanning.replanner.committed(age);
        self.replanning.note(What::Committed {});
        let begun = self.replanning.begun.take()?;
        self.adopted(&begun.decision);
        let took = now().saturating_duration_since(begun.at);
        if let Some(event) = self.replanning.records.of(plan) {
            (event.state, event.committed_after_ms) = (EventState::Committed, Some(took.as_millis() as u64));
        }
        let degraded = self.replanning.degraded(&begun.decision);
        let loss = self.replanning.replanner.loss_points();
        let normal = self.replanning.accuracy.full_accuracy.zip(loss);
        let expected = match degraded {
            Some(degraded) => degraded.expected_accuracy,
            None => normal.map(|(full, points)| (full - points / 100.0).max(0.0)),
        };
        self.replanning.points_lost = begun.decision.degraded_points.or(loss);
        // What nobody knows of this plan is 0, and not what was known of the one before.
        let metrics = &self.parts.metrics;
        metrics.predicted_latency(begun.decision.predicted.map_or(0.0, |terms| terms.latency_seconds));
        metrics.expected_accuracy(expected.unwrap_or(0.0));
        degraded
    }

    /// What was begun could not be carried out.
    pub(super) fn replan_aborted(&mut self, plan: PlanId, reason: &str, fault: &Fault) {
        if *fault == Fault::Journal {
            // The plan is as good as before, and is tried again.
            self.replanning.replanner.dropped();
            self.replanning.note(What::Dropped {});
        } else {
            let age = self.replanning.age();
            self.replanning.replanner.aborted(age);
            self.replanning.note(What::Aborted {});
        }
        self.replanning.begun = None;
        if let Some(event) = self.replanning.records.of(plan) {
            (event.state, event.failure) = (EventState::Aborted, Some(reason.to_owned()));
        }
    }

    /// The gateway has counted what was offered and answered.
    pub(super) fn counted(&mut self, counted: &Counted, context: &mut Context<Self>) {
        self.replanning.load.fold(counted.seconds, counted.arrivals, counted.samples);
        self.answers.fold(counted);
        let Some(id) = self.plan.as_ref().map(|plan| plan.id()) else { return };
        // While another plan is rolled out or drained, answers are not this plan's doing alone; and while a person wants the
        // plan to stay, nothing is to follow from them.
        if self.rollout.is_some() || self.admission == Admission::Broken || self.steering.paused {
            return;
        }
        let window = counted.of(id);
        if window.is_idle() && !self.replanning.replanner.is_on_trial() {
            return;
        }
        let age = self.replanning.age();
        self.replanning.note(What::Measured(window));
        let finding = self.replanning.replanner.measured(age, window);
        if window.answers > 0 {
            self.parts.metrics.measured_latency(window.median_seconds);
        }
        if let Some((predicted, measured)) = finding.compared {
            self.parts.metrics.prediction_error((predicted - measured).abs() / measured);
        }
        if let Some(outcome) = finding.outcome {
            self.shown(id, outcome);
        }
        if let Some(decision) = finding.decision {
            self.replanning.note(What::Decision(Box::new(decision.clone())));
            self.begin(decision, BatchNorm::default(), context);
        }
    }

    /// The first answers of a plan have shown what the decision was worth.
    fn shown(&mut self, id: PlanId, Outcome { trial, measured_seconds }: Outcome) {
        tracing::info!(plan = %id, trial, measured_seconds, "plan measured");
        if let Some(event) = self.replanning.records.of(id) {
            (event.trial, event.measured_seconds) = (trial.map(str::to_owned), measured_seconds);
            let old = event.decision.old_predicted.map(|terms| terms.latency_seconds);
            event.measured_gain = old.zip(measured_seconds).map(|(old, measured)| 1.0 - measured / old);
            self.parts.metrics.measured_gain(event.measured_gain.unwrap_or(0.0));
        }
        let took = measured_seconds.map(|seconds| format!("{:.1} ms", seconds * 1e3));
        let message = match (trial, took) {
            (Some(ended), Some(took)) => format!("the trial of plan {id} ended: {ended} at {took}"),
            (Some(ended), None) => format!("the trial of plan {id} ended: {ended}"),
            (None, Some(took)) => format!("plan {id} takes {took}"),
            (None, None) => return,
        };
        self.tell_people(EventKind::PlanMeasured, message, self.about(id));
    }
}
