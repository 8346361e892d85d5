//! The rules of re-planning as a state machine: what runs, what is held back and why, what was learnt.

use std::time::Duration;

use weir_shared::arch::Network;
use weir_shared::ids::WorkerId;

use super::bypass::bypass;
use super::correction::{self, Corrections};
use super::damping::{Brakes, Noise};
use super::decision::{Decision, Kind, Shift};
use super::flap::{Flaps, Pair};
use super::measured::Recent;
use super::penalties::Penalties;
use super::question::{Answer, Judged, Question};
use super::rules::{Bypass, Rules};
use super::shift;
use super::soft::gain;
use super::trial::Trial;
use crate::planner::snapshot::{Placement, Snapshot, Terms};

/// A plan that could not be rolled out is left out for this share of the penalty of one that did not deliver.
const ABORT_SHARE: u32 = 6;

/// The first plan is chosen before readings of links and layers are there. After this time they are: a worker measures a
/// peer each second, and layers as they run.
const FIRST_READINGS: Duration = Duration::from_secs(5);

/// Decides whether and when to change the plan.
pub struct Replanner {
    pub(super) rules: Rules,
    /// How many policies were in force before.
    pub(super) policy: u64,
    pub(super) running: Option<Running>,
    pub(super) begun: Option<Decision>,
    pub(super) asked: Option<Snapshot>,
    pub(super) suppressed: Vec<Pair>,
    pub(super) left_out: Vec<WorkerId>,
    pub(super) again: bool,
    pub(super) policy_changed: bool,
    pub(super) held: Option<(Duration, Placement)>,
    pub(super) brakes: Brakes,
    /// The brakes before what was begun, and whether the policy had changed: a decision that is dropped costs nothing.
    before: Option<(Brakes, bool)>,
    pub(super) noise: Noise,
    flaps: Flaps,
    pub(super) corrections: Corrections,
    pub(super) penalties: Penalties,
    pub(super) recent: Recent,
    pub(super) blocked: Option<String>,
}

pub(super) struct Running {
    pub(super) placement: Placement,
    pub(super) kind: Kind,
    pub(super) since: Duration,
    /// Whether `chosen_on` holds readings, and not only hopes.
    settled: bool,
    pub(super) chosen_on: Option<Snapshot>,
    pub(super) predicted: Option<Terms>,
    pub(super) previous: Option<(Placement, Option<Terms>)>,
    pub(super) trial: Option<Trial>,
    broken: Option<String>,
}

impl Replanner {
    /// Under `rules`, with nothing running.
    pub fn new(rules: Rules, at: Duration) -> Self {
        Self {
            brakes: Brakes::new(rules.burst, at),
            rules,
            policy: 0,
            running: None,
            begun: None,
            asked: None,
            suppressed: Vec::new(),
            left_out: Vec::new(),
            again: false,
            policy_changed: false,
            held: None,
            before: None,
            noise: Noise::default(),
            flaps: Flaps::default(),
            corrections: Corrections::default(),
            penalties: Penalties::default(),
            recent: Recent::default(),
            blocked: None,
        }
    }

    /// The rules in force.
    pub const fn rules(&self) -> &Rules {
        &self.rules
    }

    /// The placement that runs.
    pub fn running(&self) -> Option<&Placement> {
        self.running.as_ref().map(|running| &running.placement)
    }

    /// Whether survivors answer in a dead worker's place.
    pub fn is_degraded(&self) -> bool {
        self.running.as_ref().is_some_and(|running| running.kind == Kind::Bypass)
    }

    /// Why a better plan, or any, is not run; for people.
    pub fn blocked(&self) -> Option<&str> {
        self.blocked.as_deref()
    }

    /// Another policy is in force. What was asked under the one before is asked again.
    pub fn policy_changed(&mut self, rules: Rules) {
        self.rules = rules;
        self.policy += 1;
        (self.policy_changed, self.again, self.held) = (true, true, None);
    }

    /// These workers made a rollout fail: no plan is to be made with them for now. What runs on them goes on.
    pub fn leave_out(&mut self, workers: &[WorkerId]) {
        if self.left_out != workers {
            self.left_out = workers.to_vec();
            self.again = true;
        }
    }

    /// Who is left out.
    pub fn left_out(&self) -> &[WorkerId] {
        &self.left_out
    }

    /// A worker is another process than before.
    pub fn restarted(&mut self, worker: &WorkerId) {
        self.corrections.forget(worker);
    }

    /// Whether the planner should be asked about `snapshot`, and what. Nothing, if nothing that matters has changed, or if
    /// the snapshot says what cannot be: the cluster's view keeps that out, and this is the last door.
    pub fn ask(&mut self, at: Duration, mut snapshot: Snapshot) -> Option<Question> {
        if let Err(error) = snapshot.check() {
            self.blocked = Some(weir_shared::chain(&error));
            return None;
        }
        snapshot.current = self.running().cloned();
        self.corrections.apply(&mut snapshot);
        let changed = self.asked.as_ref().is_none_or(|asked| shift::matters(asked, &snapshot));
        if !changed && !self.again {
            return None;
        }
        self.flaps.observe(at, &snapshot, &self.rules);
        self.suppressed = self.flaps.suppressed();
        self.take_first_readings(at);
        self.asked = Some(snapshot.clone());
        self.end_trial_if_links_are_worse(&snapshot);
        Some(Question {
            at,
            snapshot,
            policy: self.policy,
            suppressed: self.suppressed.clone(),
            left_out: self.left_out.clone(),
            avoid: self.penalties.avoided(at),
            held: self.held.as_ref().map(|(_, placement)| placement.clone()),
        })
    }

    /// A first plan is compared with the latest snapshot of its first seconds, in which everybody was measured: that it was
    /// chosen on nothing explains no later change.
    fn take_first_readings(&mut self, at: Duration) {
        let Some(running) = self.running.as_mut().filter(|running| !running.settled) else { return };
        let is_measured = |snapshot: &&Snapshot| {
            snapshot.workers.iter().all(|worker| worker.layer_seconds.iter().any(Option::is_some))
        };
        let asked = self.asked.as_ref().filter(is_measured);
        if let Some(asked) = asked.filter(|_| at >= running.since + FIRST_READINGS) {
            running.chosen_on = Some(asked.clone());
            running.settled = true;
        }
    }

    /// What to do, given the model's answer. `at` may be later than the question.
    pub fn decide(&mut self, at: Duration, answer: &Answer) -> Option<Decision> {
        if self.running() != answer.snapshot.current.as_ref() || self.policy != answer.policy {
            // Something was committed meanwhile, or is wanted now: the answer is about another cluster.
            self.again = true;
            return None;
        }
        // What waits for time to pass is asked again, though nothing else changes.
        self.again = !self.suppressed.is_empty() || !self.penalties.is_empty();
        let broken = self.running.as_ref().and_then(|running| running.broken.clone());
        self.blocked.clone_from(&answer.unmet);
        let decided = match (&answer.current, &answer.best) {
            // What runs answers nobody: whatever is best is rolled out, be it the same again.
            (Some(_), Ok(best)) if broken.is_some() => {
                let kind = if self.is_degraded() { Kind::Restore } else { Kind::WorkerLost };
                Some(self.decision(kind, broken.unwrap_or_default(), answer, None, best))
            }
            (None, Ok(best)) => {
                Some(self.decision(Kind::First, "no plan runs".to_owned(), answer, None, best))
            }
            // Whoever answers in a dead worker's place does so for as short as possible.
            (Some(Ok(current)), Ok(best)) if self.is_degraded() => {
                let (because, best) = if gain(current, best, answer.floor) > 0.0 {
                    ("the dead worker's layers have another place", best)
                } else {
                    ("no plan is better than what answers in the dead worker's place", current)
                };
                Some(self.decision(Kind::Restore, because.to_owned(), answer, Some(current), best))
            }
            (Some(Ok(current)), _) => self.soft(at, answer, current),
            (Some(Err(why)), Ok(best)) if Some(&best.placement) != self.running() => {
                Some(self.decision(self.hard_kind(&answer.snapshot, why), why.clone(), answer, None, best))
            }
            (Some(Err(_)), Ok(_)) => None,
            (_, Err(why)) => {
                self.blocked = Some(why.clone());
                None
            }
        };
        // Only the first answer under another policy is that policy's doing.
        self.policy_changed = false;
        if let Some(decision) = &decided {
            self.begun = Some(decision.clone());
        }
        decided
    }

    /// A decision is about to change the brakes.
    pub(super) fn remember_brakes(&mut self) {
        self.before = Some((self.brakes.clone(), self.policy_changed));
    }

    /// Why the running plan cannot go on: which part of it is gone.
    fn hard_kind(&self, snapshot: &Snapshot, why: &str) -> Kind {
        let Some(running) = &self.running else { return Kind::First };
        if running.kind == Kind::Bypass {
            return Kind::Restore;
        }
        let there = |name: &WorkerId| snapshot.workers.iter().any(|worker| worker.name == *name);
        if !running.placement.workers.iter().all(there) {
            return Kind::WorkerLost;
        }
        let parts =
            running.chosen_on.as_ref().map(|chosen_on| correction::parts(chosen_on, &running.placement));
        let gone = |(part, _): &(correction::Part, f64)| match part {
            correction::Part::Worker(_) => false,
            correction::Part::Link(from, to) => {
                !snapshot.links.iter().any(|link| link.from == *from && link.to == *to)
            }
        };
        if parts.iter().flatten().any(gone) || parts.is_none() && why.contains("link") {
            Kind::LinkLost
        } else {
            Kind::Infeasible
        }
    }

    pub(super) fn decision(
        &self,
        kind: Kind,
        because: String,
        answer: &Answer,
        current: Option<&Judged>,
        best: &Judged,
    ) -> Decision {
        let because = if best.excess > 0.0 {
            let over = 100.0 * best.excess;
            format!("{because}; no plan meets every limit, and this one overruns them least, by {over:.0} %")
        } else {
            because
        };
        Decision {
            kind,
            because,
            old: self.running().cloned(),
            new: best.placement.clone(),
            old_predicted: current.map(|current| current.terms),
            predicted: Some(best.terms),
            gain: current.map(|current| gain(current, best, answer.floor)),
            shifted: self.shifted(&answer.snapshot, &best.placement),
            degraded_points: None,
        }
    }

    /// What has changed since the running plan was chosen, that plan's own parts and those of `next` first.
    fn shifted(&self, now: &Snapshot, next: &Placement) -> Vec<Shift> {
        let Some(running) = &self.running else { return Vec::new() };
        let Some(then) = &running.chosen_on else { return Vec::new() };
        let of = |snapshot, placement| correction::parts(snapshot, placement).into_iter();
        let own = of(then, &running.placement).chain(of(now, &running.placement)).chain(of(now, next));
        shift::largest(then, now, &own.map(|(part, _)| part).collect::<Vec<_>>())
    }

    /// Workers are lost: how the others can go on at once, if they can. `loss_points` says what an active set loses.
    pub fn emergency(
        &mut self,
        network: &Network,
        lost: &[WorkerId],
        loss_points: impl Fn(&Placement) -> Option<f64>,
    ) -> Option<Decision> {
        let old = self.running()?.clone();
        if self.rules.bypass == Bypass::Never {
            return None;
        }
        let new = bypass(network, &old, lost)?;
        let points = loss_points(&new);
        let bearable = points.map_or(self.rules.bypass == Bypass::Always, |points| {
            points <= self.rules.bypass_loss_max_points
        });
        if !bearable {
            return None;
        }
        let names = || format!("{} lost", lost.iter().map(WorkerId::as_str).collect::<Vec<_>>().join(", "));
        let why = self.running.as_ref().and_then(|running| running.broken.clone()).unwrap_or_else(names);
        let decision = Decision {
            kind: Kind::Bypass,
            because: format!("{why}; its blocks can be the identity"),
            old: Some(old),
            new,
            old_predicted: None,
            predicted: None,
            gain: None,
            shifted: Vec::new(),
            degraded_points: points,
        };
        self.begun = Some(decision.clone());
        Some(decision)
    }

    /// A placement that somebody else has chosen is about to be rolled out.
    pub fn begin(&mut self, decision: Decision) {
        self.begun = Some(decision);
    }

    /// What the accuracy of the running plan is expected to lose, in points; none where nobody knows.
    pub fn loss_points(&self) -> Option<f64> {
        self.running.as_ref()?.predicted.map(|terms| terms.accuracy_loss_points)
    }

    /// What the model stated for the running plan when it was chosen; none where it did not judge it.
    pub fn predicted(&self) -> Option<Terms> {
        self.running.as_ref()?.predicted
    }

    /// What was begun runs.
    pub fn committed(&mut self, at: Duration) {
        let Some(decision) = self.begun.take() else { return };
        // What follows a first plan at once was chosen on hopes as well.
        let settled = self.running.as_ref().is_some_and(|old| old.settled);
        // A bypass is nothing to go back to, so what ends it is not on trial.
        let previous = self.running.take().filter(|old| old.kind != Kind::Bypass);
        let judged = decision.kind.is_soft() && decision.kind != Kind::Infeasible && previous.is_some();
        let old_seconds = decision.old_predicted.map(|terms| {
            // What the old plan was seen to take lately, if that is more than the model says.
            terms.latency_seconds.max(self.recent.median_seconds.unwrap_or(0.0))
        });
        let promise = decision.predicted.map(|terms| terms.latency_seconds);
        let on_trial = promise.filter(|_| judged);
        let trial = match on_trial {
            Some(promise) => Trial::begin(old_seconds, promise, self.recent.rate),
            None => Trial::measure(),
        };
        self.noise.interrupt();
        self.corrections.interrupt();
        self.recent.median_seconds = None;
        self.before = None;
        self.again = true;
        self.running = Some(Running {
            placement: decision.new,
            kind: decision.kind,
            since: at,
            settled: settled && !matches!(decision.kind, Kind::First | Kind::Adopted),
            chosen_on: self.asked.clone(),
            predicted: decision.predicted,
            previous: previous.map(|old| (old.placement, decision.old_predicted)),
            trial: Some(trial),
            broken: None,
        });
    }

    /// What runs answers nobody any more, because a worker of it was lost.
    pub fn broken(&mut self, why: &str) {
        if let Some(running) = &mut self.running {
            running.broken = Some(why.to_owned());
            running.trial = None;
            self.again = true;
        }
    }

    /// What was lost is back as it was.
    pub fn mended(&mut self) {
        if let Some(running) = &mut self.running {
            running.broken = None;
        }
    }

    /// What was begun does not fit the cluster any more, and was not tried: it costs no token and no time to rest.
    pub fn dropped(&mut self) {
        if let Some((brakes, policy_changed)) = self.before.take() {
            (self.brakes, self.policy_changed) = (brakes, policy_changed);
        }
        self.begun = None;
        self.again = true;
    }

    /// What was begun could not be carried out; whatever ran still runs.
    pub fn aborted(&mut self, at: Duration) {
        self.before = None;
        if let Some(decision) = self.begun.take() {
            self.penalties.add(at, decision.new, self.rules.penalty() / ABORT_SHARE);
            self.again = true;
        }
    }
}
