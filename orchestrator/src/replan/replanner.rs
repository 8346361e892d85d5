//! The rules of re-planning as a state machine: what runs, what is held back and why, what was learnt.

use std::collections::BTreeMap;
use std::time::Duration;

use weir_shared::arch::Network;
use weir_shared::ids::WorkerId;
use weir_shared::plan::Partition;

use super::bypass::bypass;
use super::correction::{self, Corrections};
use super::damping::{Noise, TokenBucket};
use super::decision::{Decision, Kind};
use super::flap::{Flaps, Pair};
use super::question::{Answer, Judged, Question};
use super::rules::{Bypass, Rules};
use super::shift;
use super::trial::{Trial, Verdict, Window};
use crate::planner::snapshot::{Placement, Snapshot, Terms};

/// The least time between two sheds: one telemetry period, so that the second sees the effect of the first.
const SHED_DWELL: Duration = Duration::from_millis(500);

/// A bound that is broken by more than this share is not noise.
const EXCESS_HARD: f64 = 0.25;

/// Where bounds are broken either way, less relief than this is not worth a change.
const RELIEF_MIN: f64 = 0.05;

/// A link that is worse by this factor than when the running plan was chosen ends that plan's trial.
const LINK_WORSE: f64 = 2.0;

/// A plan that could not be rolled out is left out for this share of the penalty of one that did not deliver.
const ABORT_SHARE: u32 = 6;

/// Above this use of the slowest part, requests queue, and their latency says little about the model.
const USE_MAX: f64 = 0.5;

/// Decides whether and when to change the plan.
pub struct Replanner {
    rules: Rules,
    running: Option<Running>,
    begun: Option<Decision>,
    asked: Option<Snapshot>,
    suppressed: Vec<Pair>,
    again: bool,
    policy_changed: bool,
    held: Option<(Duration, Placement)>,
    tokens: TokenBucket,
    noise: Noise,
    flaps: Flaps,
    corrections: Corrections,
    penalties: Vec<Penalty>,
    last_soft: Option<Duration>,
    last_shed: Option<Duration>,
    recent: Option<Window>,
    blocked: Option<String>,
}

struct Running {
    placement: Placement,
    kind: Kind,
    chosen_on: Option<Snapshot>,
    predicted: Option<Terms>,
    previous: Option<(Placement, Option<Terms>)>,
    trial: Option<Trial>,
    broken: Option<String>,
}

struct Penalty {
    placement: Placement,
    until: Duration,
    pause: Duration,
}

/// What a window of answers shows.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Finding {
    /// Predicted and measured latency of the running plan in seconds, where requests did not queue.
    pub compared: Option<(f64, f64)>,
    /// How the trial ended, if it did: `kept`, `failed` or `undecided`, and the measured latency.
    pub trial: Option<(&'static str, Option<f64>)>,
    /// To go back to the plan before.
    pub decision: Option<Decision>,
}

impl Replanner {
    /// Under `rules`, with nothing running.
    pub fn new(rules: Rules, at: Duration) -> Self {
        Self {
            tokens: TokenBucket::full(rules.burst, at),
            rules,
            running: None,
            begun: None,
            asked: None,
            suppressed: Vec::new(),
            again: false,
            policy_changed: false,
            held: None,
            noise: Noise::default(),
            flaps: Flaps::default(),
            corrections: Corrections::default(),
            penalties: Vec::new(),
            last_soft: None,
            last_shed: None,
            recent: None,
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

    /// Another policy is in force.
    pub fn policy_changed(&mut self, rules: Rules) {
        self.rules = rules;
        (self.policy_changed, self.again, self.held) = (true, true, None);
    }

    /// Whether the planner should be asked about `snapshot`, and what. Nothing, if nothing that matters has changed.
    pub fn ask(&mut self, at: Duration, mut snapshot: Snapshot) -> Option<Question> {
        if !is_sane(&snapshot) {
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
        self.penalties.retain(|penalty| penalty.until + penalty.pause > at);
        self.asked = Some(snapshot.clone());
        self.end_trial_if_links_are_worse(&snapshot);
        Some(Question {
            at,
            snapshot,
            suppressed: self.suppressed.clone(),
            avoid: self.avoided(at),
            held: self.held.as_ref().map(|(_, placement)| placement.clone()),
        })
    }

    /// A plan whose links became much worse since it was chosen is not to blame; the planner knows the links of now.
    fn end_trial_if_links_are_worse(&mut self, snapshot: &Snapshot) {
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

    fn avoided(&self, at: Duration) -> Vec<Placement> {
        let active = self.penalties.iter().filter(|penalty| penalty.until > at);
        active.map(|penalty| penalty.placement.clone()).collect()
    }

    /// What to do, given the model's answer. `at` may be later than the question.
    pub fn decide(&mut self, at: Duration, answer: &Answer) -> Option<Decision> {
        if self.running() != answer.snapshot.current.as_ref() {
            // Something was committed meanwhile: the answer is about another cluster.
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
            (Some(Ok(current)), Ok(best))
                if self.is_degraded() && gain(current, best, answer.floor) > 0.0 =>
            {
                let because = "the dead worker's layers have another place".to_owned();
                Some(self.decision(Kind::Restore, because, answer, Some(current), best))
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
        if let Some(decision) = &decided {
            self.policy_changed = false;
            self.begun = Some(decision.clone());
        }
        decided
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

    fn soft(&mut self, at: Duration, answer: &Answer, current: &Judged) -> Option<Decision> {
        self.noise.observe(at, current.objective);
        let noise = self.rules.noise_factor * self.noise.level();
        let floor = answer.floor;
        let network = answer.snapshot.network.network();
        let beats = |candidate: &Judged| {
            let moved = moved_share(&network, &current.placement, &candidate.placement);
            let threshold = self.rules.margin + noise + self.rules.move_margin * moved;
            candidate.placement != current.placement && gain(current, candidate, floor) >= threshold
        };
        let restores = |candidate: &Judged| {
            candidate.terms.accuracy_loss_points + 1e-9 < current.terms.accuracy_loss_points
        };
        let best = match &answer.best {
            Ok(best) => Some(best),
            Err(why) => {
                self.blocked = Some(why.clone());
                None
            }
        };
        // The held candidate was judged on this snapshot; it still beats what runs, or the wait begins anew.
        let still = answer.held.as_ref().filter(|held| beats(held));
        let chosen = best.filter(|best| beats(best)).or(still);
        let (fast_margin, refill) = (self.rules.fast_margin, Duration::from_millis(self.rules.refill_ms));
        let since = match (&self.held, still) {
            (Some((since, _)), Some(_)) => *since,
            _ => at,
        };
        self.held = chosen.map(|chosen| (since, chosen.placement.clone()));

        // The fast actuator: other connections on the same partition, at once.
        let shed = answer.shed.as_ref().filter(|shed| {
            !restores(shed) && beats(shed) && gain(current, shed, floor) >= fast_margin + noise
        });
        let shed_rested = self.last_shed.is_none_or(|last| at >= last + SHED_DWELL);
        let has_token = self.tokens.has(at, self.rules.burst, refill);
        if let Some(shed) = shed.filter(|_| shed_rested && has_token) {
            self.tokens.take();
            self.last_shed = Some(at);
            let because = "other connections on the same partition are better at once".to_owned();
            return Some(self.decision(Kind::Shed, because, answer, Some(current), shed));
        }

        let chosen = chosen?;
        self.again = true;
        let urgent = self.policy_changed || current.excess > EXCESS_HARD && chosen.excess < current.excess;
        let sharp = gain(current, chosen, floor) >= self.rules.sharp_margin + noise;
        let hold = match (restores(chosen), sharp) {
            (true, _) => self.rules.restore_hold(),
            (false, true) => self.rules.sharp_hold(),
            (false, false) => self.rules.hold(),
        };
        if !urgent && at < since + hold {
            return None;
        }
        let rests = !self.policy_changed && (!sharp || restores(chosen));
        if rests && self.last_soft.is_some_and(|last| at < last + self.rules.dwell()) {
            self.blocked = Some("a better plan waits for the dwell time to pass".to_owned());
            return None;
        }
        if !has_token {
            self.blocked = Some("a better plan waits: there were many changes lately".to_owned());
            return None;
        }
        self.tokens.take();
        self.last_soft = Some(at);
        self.held = None;
        let (kind, because) = if self.policy_changed {
            (Kind::Policy, "another policy is in force".to_owned())
        } else if current.excess > 0.0 && chosen.excess < current.excess {
            let broken = format!("a bound of the policy is broken by {:.0} %", current.excess * 100.0);
            (Kind::Infeasible, broken)
        } else if restores(chosen) {
            (Kind::Restore, "accuracy can be had back".to_owned())
        } else {
            (Kind::Improvement, "another plan is better".to_owned())
        };
        Some(self.decision(kind, because, answer, Some(current), chosen))
    }

    fn decision(
        &self,
        kind: Kind,
        because: String,
        answer: &Answer,
        current: Option<&Judged>,
        best: &Judged,
    ) -> Decision {
        let chosen_on = self.running.as_ref().and_then(|running| running.chosen_on.as_ref());
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
            shifted: chosen_on.map(|before| shift::largest(before, &answer.snapshot)).unwrap_or_default(),
            degraded_points: None,
        }
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
        let names: Vec<&str> = lost.iter().map(WorkerId::as_str).collect();
        let decision = Decision {
            kind: Kind::Bypass,
            because: format!("{} lost; its blocks can be the identity", names.join(", ")),
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

    /// What was begun runs.
    pub fn committed(&mut self, at: Duration) {
        let Some(decision) = self.begun.take() else { return };
        let previous = self.running.take();
        let judged = decision.kind.is_soft() && decision.kind != Kind::Infeasible;
        let rate = self.recent.map(|window| window.rate());
        let old_seconds = decision.old_predicted.map(|terms| {
            // What the old plan was seen to take lately, if that is more than the model says.
            self.recent
                .map_or(terms.latency_seconds, |window| terms.latency_seconds.max(window.median_seconds))
        });
        let promise = decision.predicted.map(|terms| terms.latency_seconds);
        let trial = promise.filter(|_| judged).map(|promise| Trial::begin(at, old_seconds, promise, rate));
        self.noise.interrupt();
        self.recent = None;
        self.again = true;
        self.running = Some(Running {
            placement: decision.new,
            kind: decision.kind,
            chosen_on: self.asked.clone(),
            predicted: decision.predicted,
            previous: previous.map(|old| (old.placement, decision.old_predicted)),
            trial,
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

    /// What was begun does not fit the cluster any more, and was not tried.
    pub fn dropped(&mut self) {
        self.begun = None;
        self.again = true;
    }

    /// What was begun could not be carried out; whatever ran still runs.
    pub fn aborted(&mut self, at: Duration) {
        if let Some(decision) = self.begun.take() {
            let pause = self.rules.penalty() / ABORT_SHARE;
            self.penalties.push(Penalty { placement: decision.new, until: at + pause, pause });
            self.again = true;
        }
    }

    /// Answers of the running plan were counted.
    pub fn measured(&mut self, at: Duration, window: Window) -> Finding {
        let mut finding = Finding::default();
        let Some(running) = self.running.as_mut().filter(|_| window.is_usable()) else { return finding };
        self.recent = Some(window);
        let quiet = |terms: &Terms| window.rate() * terms.period_seconds < USE_MAX;
        if let Some((terms, asked)) = running.predicted.filter(quiet).zip(self.asked.as_ref()) {
            finding.compared = Some((terms.latency_seconds, window.median_seconds));
            if asked.current.as_ref() == Some(&running.placement) {
                self.corrections.learn(&correction::parts(asked, &running.placement), window.median_seconds);
            }
        }
        let verdict = running.trial.as_mut().map(|trial| trial.window(at, &window, &self.rules));
        let ended = match verdict {
            None | Some(Verdict::Open) => return finding,
            Some(Verdict::Kept(measured)) => ("kept", Some(measured)),
            Some(Verdict::Undecided) => ("undecided", None),
            Some(Verdict::Failed(measured)) => ("failed", Some(measured)),
        };
        running.trial = None;
        finding.trial = Some(ended);
        let back = running.previous.clone().filter(|_| matches!(verdict, Some(Verdict::Failed(_))));
        if let (Some((previous, predicted)), Some(measured)) = (back, ended.1) {
            let failed = running.placement.clone();
            let decision = Decision {
                kind: Kind::Rollback,
                because: format!("answers took {:.1} ms on trial", measured * 1e3),
                old: Some(failed.clone()),
                new: previous,
                old_predicted: running.predicted,
                predicted,
                gain: None,
                shifted: Vec::new(),
                degraded_points: None,
            };
            self.penalise(at, failed);
            self.last_soft = Some(at);
            self.begun = Some(decision.clone());
            finding.decision = Some(decision);
        }
        finding
    }

    fn penalise(&mut self, at: Duration, placement: Placement) {
        let known = self.penalties.iter().position(|penalty| penalty.placement == placement);
        let pause = match known.map(|index| self.penalties.swap_remove(index)) {
            Some(earlier) => earlier.pause * 2,
            None => self.rules.penalty(),
        };
        self.penalties.push(Penalty { placement, until: at + pause, pause });
        self.again = true;
    }
}

/// Share of the objective that is gained. A bound that is no longer broken is worth all of it, one that is broken less the
/// share of relief.
fn gain(current: &Judged, candidate: &Judged, floor: f64) -> f64 {
    if candidate.excess > current.excess + 1e-9 {
        return -1.0;
    }
    if current.excess > 1e-9 && candidate.excess <= 1e-9 {
        return 1.0;
    }
    let relief = (current.excess - candidate.excess) / (1.0 + current.excess);
    if relief >= RELIEF_MIN {
        return relief;
    }
    let scale = current.objective.abs().max(floor);
    let gain = (current.objective - candidate.objective) / scale;
    if gain.is_finite() { gain } else { 0.0 }
}

/// Share of the network's weight bytes that another worker holds.
fn moved_share(network: &Network, old: &Placement, new: &Placement) -> f64 {
    let holders = |placement: &Placement| -> BTreeMap<u16, WorkerId> {
        let stages = Partition::new(network, placement.cuts.clone()).map(|cuts| cuts.stages(network));
        let stages = stages.unwrap_or_default().into_iter().zip(&placement.workers);
        stages.flat_map(|(layers, worker)| layers.map(|layer| (layer, worker.clone()))).collect()
    };
    let (old, new) = (holders(old), holders(new));
    let all: u64 = network.layers().iter().map(|layer| layer.weight_bytes).sum();
    let moved = network.layers().iter().filter(|layer| old.get(&layer.id.0) != new.get(&layer.id.0));
    moved.map(|layer| layer.weight_bytes).sum::<u64>() as f64 / all.max(1) as f64
}

/// Whether every figure is a number that can be. The cluster's view keeps others out; this is the last door.
fn is_sane(snapshot: &Snapshot) -> bool {
    let positive = |number: f64| number.is_finite() && number > 0.0;
    let not_negative = |number: f64| number.is_finite() && number >= 0.0;
    let worker = |worker: &crate::planner::snapshot::WorkerState| {
        let seconds = worker.layer_seconds.iter().flatten().all(|&seconds| not_negative(seconds));
        seconds && positive(worker.macs_per_second) && not_negative(worker.active_watts)
    };
    let links = snapshot.links.iter().all(|link| positive(link.goodput) && not_negative(link.rtt_seconds));
    links && not_negative(snapshot.offered_load) && snapshot.workers.iter().all(worker)
}
