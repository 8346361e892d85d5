//! What the windows of answers tell the rules: how wrong the model is, and how the plan on trial does.

use std::time::Duration;

use super::correction;
use super::decision::{Decision, Kind};
use super::replanner::Replanner;
use super::trial::{Trial, Verdict, Window};
use crate::planner::snapshot::{Snapshot, Terms};

/// Above this use of the slowest part, requests queue, and their latency says little about the model.
const USE_MAX: f64 = 0.5;

/// A link that is worse by this factor than when the running plan was chosen ends that plan's trial.
const LINK_WORSE: f64 = 2.0;

/// Arrivals are averaged over this time: a few a second scatter too much in one window to be compared.
const ARRIVALS_SPAN: f64 = 5.0;

/// What a window of answers shows.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Finding {
    /// Predicted and measured latency of the running plan in seconds, where requests did not queue.
    pub compared: Option<(f64, f64)>,
    /// What the plan's first answers have shown, once there are enough.
    pub outcome: Option<Outcome>,
    /// To go back to the plan before.
    pub decision: Option<Decision>,
}

/// What a plan's first answers have shown.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Outcome {
    /// How its trial ended, if it was on trial: `kept`, `failed` or `undecided`.
    pub trial: Option<&'static str>,
    /// The latency that was measured, if enough answers came.
    pub measured_seconds: Option<f64>,
}

/// What was measured lately, of whatever ran.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Recent {
    /// Requests per second that were offered.
    pub(super) rate: Option<f64>,
    /// The last median of the running plan.
    pub(super) median_seconds: Option<f64>,
}

impl Recent {
    /// Windows in which nobody asked say nothing of the load while somebody does.
    fn fold(&mut self, window: &Window) {
        if window.is_idle() {
            return;
        }
        let share = 1.0 - (-window.seconds / ARRIVALS_SPAN).exp();
        let rate = self.rate.map_or(window.rate(), |known| known + (window.rate() - known) * share);
        self.rate = Some(rate);
        if window.answers > 0 {
            self.median_seconds = Some(window.median_seconds);
        }
    }
}

impl Replanner {
    /// Whether the running plan still has to show what it can: then windows without an answer count too.
    pub fn is_on_trial(&self) -> bool {
        self.running.as_ref().is_some_and(|running| running.trial.as_ref().is_some_and(Trial::is_judged))
    }

    /// A window of the running plan has ended, in which no other plan had requests.
    pub fn measured(&mut self, at: Duration, window: Window) -> Finding {
        let mut finding = Finding::default();
        let Some(running) = self.running.as_mut().filter(|_| window.is_sane()) else { return finding };
        self.recent.fold(&window);
        let quiet = |terms: &Terms| window.answers > 0 && window.rate() * terms.period_seconds < USE_MAX;
        if let Some((terms, asked)) = running.predicted.filter(quiet).zip(self.asked.as_ref()) {
            finding.compared = Some((terms.latency_seconds, window.median_seconds));
            if asked.current.as_ref() == Some(&running.placement) {
                self.corrections.learn(&correction::parts(asked, &running.placement), window.median_seconds);
            }
        }
        let judged = running.trial.as_ref().is_some_and(Trial::is_judged);
        let verdict = running.trial.as_mut().map(|trial| trial.window(at, &window, &self.rules));
        let (trial, measured_seconds, fault) = match verdict {
            None | Some(Verdict::Open) => return finding,
            Some(Verdict::Kept(measured)) => ("kept", Some(measured), None),
            Some(Verdict::Undecided) => ("undecided", None, None),
            Some(Verdict::Failed(fault)) => ("failed", fault.seconds(), Some(fault)),
        };
        finding.outcome = Some(Outcome { trial: judged.then_some(trial), measured_seconds });
        running.trial = None;
        if let Some((fault, (previous, predicted))) = fault.zip(running.previous.clone()) {
            let failed = running.placement.clone();
            let decision = Decision {
                kind: Kind::Rollback,
                because: fault.to_string(),
                old: Some(failed.clone()),
                new: previous,
                old_predicted: running.predicted,
                predicted,
                gain: None,
                shifted: Vec::new(),
                degraded_points: None,
            };
            self.penalties.add(at, failed, self.rules.penalty());
            self.again = true;
            self.remember_brakes();
            self.brakes.rolled_back(at);
            self.begun = Some(decision.clone());
            finding.decision = Some(decision);
        }
        finding
    }

    /// A plan whose links became much worse since it was chosen is not to blame; the planner knows the links of now.
    pub(super) fn end_trial_if_links_are_worse(&mut self, snapshot: &Snapshot) {
        let Some(running) = self.running.as_mut().filter(|running| running.trial.is_some()) else { return };
        let Some(chosen_on) = &running.chosen_on else { return };
        let used = correction::parts(snapshot, &running.placement);
        let worse = used.iter().any(|(part, _)| {
            let correction::Part::Link(from, to) = part else { return false };
            let link =
                |of: &Snapshot| of.links.iter().find(|link| link.from == *from && link.to == *to).cloned();
            link(chosen_on).zip(link(snapshot)).is_some_and(|(then, now)| {
                now.goodput * LINK_WORSE < then.goodput || now.rtt_seconds > then.rtt_seconds * LINK_WORSE
            })
        });
        if worse {
            running.trial = None;
        }
    }
}
