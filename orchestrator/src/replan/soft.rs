//! Soft changes: whether a candidate beats what runs, and how long it must wait.

use std::collections::BTreeMap;
use std::time::Duration;

use weir_shared::arch::Network;
use weir_shared::ids::WorkerId;
use weir_shared::plan::Partition;

use super::correction::{self, Part};
use super::damping::Urgency;
use super::decision::{Decision, Kind};
use super::question::{Answer, Judged};
use super::replanner::Replanner;
use super::rules::Rules;
use crate::planner::snapshot::{Placement, Snapshot};

/// A bound that is broken by more than this share is not noise.
const EXCESS_HARD: f64 = 0.25;

/// How long a badly broken bound is borne where the way out uses links that are doubted: until it is known which end of a
/// collapsed link is at fault. A wrong guess costs seconds. Two reports, and a probe.
const FAULT_FOUND: Duration = Duration::from_millis(500);

/// A bound that is broken by no more than this share is kept, as far as anybody can measure.
const EXCESS_NOISE: f64 = 0.02;

/// Where bounds are broken either way, less relief than this is not worth a change.
const RELIEF_MIN: f64 = 0.05;

/// Where ties decide among equals, objectives that differ by less than this share are equal: what ties add to them.
const EQUAL: f64 = 1e-3;

/// Candidates against what runs, on one snapshot.
struct Comparison<'a> {
    snapshot: &'a Snapshot,
    current: &'a Judged,
    floor: f64,
    /// Share of the objective that a gain must have beyond the margins.
    noise: f64,
    network: Network,
    rules: &'a Rules,
    /// Another policy is in force since the last answer.
    asked_for: bool,
}

impl Comparison<'_> {
    fn gain(&self, candidate: &Judged) -> f64 {
        gain(self.current, candidate, self.floor)
    }

    fn beats(&self, candidate: &Judged) -> bool {
        let moved = moved_share(&self.network, &self.current.placement, &candidate.placement);
        let threshold = self.rules.margin + self.noise + self.rules.move_margin * moved;
        candidate.placement != self.current.placement && self.gain(candidate) >= threshold
    }

    fn restores(&self, candidate: &Judged) -> bool {
        candidate.terms.accuracy_loss_points + 1e-9 < self.current.terms.accuracy_loss_points
    }

    fn is_sharp(&self, candidate: &Judged) -> bool {
        self.gain(candidate) >= self.rules.sharp_margin + self.noise
    }

    /// Whether a link of the candidate is not what was measured.
    fn leans_on_doubt(&self, candidate: &Judged) -> bool {
        let parts = correction::parts(self.snapshot, &candidate.placement);
        let links = self.snapshot.links.iter().filter(|link| link.doubted);
        let doubted: Vec<_> = links.map(|link| Part::Link(link.from.clone(), link.to.clone())).collect();
        parts.iter().any(|(part, _)| doubted.contains(part))
    }

    fn urgency(&self, candidate: &Judged) -> Urgency {
        if self.asked_for {
            Urgency::Policy
        } else if relief(self.current, candidate).is_some_and(|relief| relief > 0.0) {
            Urgency::Relief
        } else if self.is_sharp(candidate) && !self.restores(candidate) {
            Urgency::Sharp
        } else {
            Urgency::Ordinary
        }
    }

    /// How long the advantage must persist.
    fn hold(&self, candidate: &Judged, urgency: Urgency) -> Duration {
        match (urgency, self.restores(candidate), self.is_sharp(candidate)) {
            (Urgency::Policy, ..) => Duration::ZERO,
            (Urgency::Relief, ..) if self.current.excess > EXCESS_HARD => {
                if self.leans_on_doubt(candidate) {
                    FAULT_FOUND
                } else {
                    self.rules.sharp_hold().min(FAULT_FOUND)
                }
            }
            (_, true, _) => self.rules.restore_hold(),
            (_, false, true) => self.rules.sharp_hold(),
            (_, false, false) => self.rules.hold(),
        }
    }

    fn reason(&self, candidate: &Judged, urgency: Urgency) -> (Kind, String) {
        match urgency {
            Urgency::Policy => (Kind::Policy, "another policy is in force".to_owned()),
            _ if self.current.excess > 0.0 && candidate.excess < self.current.excess => {
                let broken = self.current.excess * 100.0;
                (Kind::Infeasible, format!("a bound of the policy is broken by {broken:.0} %"))
            }
            _ if self.restores(candidate) => (Kind::Restore, "accuracy can be had back".to_owned()),
            _ => (Kind::Improvement, "another plan is better".to_owned()),
        }
    }
}

impl Replanner {
    /// What runs could go on: whether something else is so much better, for so long, that it should change.
    pub(super) fn soft(&mut self, at: Duration, answer: &Answer, current: &Judged) -> Option<Decision> {
        self.noise.observe(at, current.tie.unwrap_or(current.objective));
        let rules = self.rules.clone();
        let compared = Comparison {
            snapshot: &answer.snapshot,
            current,
            floor: answer.floor,
            noise: rules.noise_factor * self.noise.level(),
            network: answer.snapshot.network.network(),
            rules: &rules,
            asked_for: self.policy_changed,
        };
        if let Err(why) = &answer.best {
            self.blocked = Some(why.clone());
        }
        // Something has beaten what runs on every snapshot since, be it not always the same, or the wait begins anew.
        let still = answer.held.as_ref().filter(|held| compared.beats(held));
        let best = answer.best.as_ref().ok().filter(|best| compared.beats(best));
        let chosen = best.or(still);
        let since = match (&self.held, chosen) {
            (Some((since, _)), Some(_)) => *since,
            _ => at,
        };
        self.held = chosen.map(|chosen| (since, chosen.placement.clone()));

        if self.rests(at) && !compared.asked_for {
            self.again = true;
            return None;
        }
        if let Some(shed) = self.shed(at, answer, &compared) {
            return Some(shed);
        }
        let chosen = chosen?;
        self.again = true;
        let urgency = compared.urgency(chosen);
        if at < since + compared.hold(chosen, urgency) {
            return None;
        }
        if let Some(why) = self.brakes.hold_change(at, urgency, &rules) {
            self.blocked = Some(why.to_owned());
            return None;
        }
        self.remember_brakes();
        self.brakes.changed(at, urgency);
        self.held = None;
        let (kind, because) = compared.reason(chosen, urgency);
        Some(self.decision(kind, because, answer, Some(current), chosen))
    }

    /// Whether the running plan was adopted lately: what is known of the cluster was not known when it was chosen, and is
    /// no reason to change it before it has shown anything.
    fn rests(&self, at: Duration) -> bool {
        let adopted = self.running.as_ref().filter(|running| running.kind == Kind::Adopted);
        adopted.is_some_and(|running| at < running.since + self.rules.dwell())
    }

    /// The fast actuator: other connections on the same partition, at once.
    fn shed(&mut self, at: Duration, answer: &Answer, compared: &Comparison<'_>) -> Option<Decision> {
        let is_fast = |shed: &Judged| compared.gain(shed) >= compared.rules.fast_margin + compared.noise;
        let shed = answer.shed.as_ref()?;
        if compared.restores(shed) || !compared.beats(shed) || !is_fast(shed) {
            return None;
        }
        let urgency = compared.urgency(shed);
        if self.brakes.holds_shed(at, urgency, compared.rules) {
            return None;
        }
        self.remember_brakes();
        self.brakes.shed(at, urgency);
        let (kind, because) = match urgency {
            Urgency::Policy => compared.reason(shed, urgency),
            _ => (Kind::Shed, "other connections on the same partition are better at once".to_owned()),
        };
        Some(self.decision(kind, because, answer, Some(compared.current), shed))
    }
}

/// Share of the objective that is gained. A bound that is no longer broken is worth all of it, one that is broken less the
/// share of relief. Where the objective says nothing, ties do.
pub(super) fn gain(current: &Judged, candidate: &Judged, floor: f64) -> f64 {
    if let Some(relief) = relief(current, candidate) {
        return relief;
    }
    let share = |current: f64, candidate: f64, least: f64| {
        let gain = (current - candidate) / current.abs().max(least);
        if gain.is_finite() { gain } else { 0.0 }
    };
    let gain = share(current.objective, candidate.objective, floor);
    match current.tie.zip(candidate.tie) {
        Some((current, candidate)) if gain.abs() < EQUAL => share(current, candidate, 0.0),
        _ => gain,
    }
}

/// What a change of broken bounds alone is worth: below zero where more is broken, none where nothing worth it changes.
fn relief(current: &Judged, candidate: &Judged) -> Option<f64> {
    // A plan that uses a limit up goes to and fro across it with every reading.
    let broken = |judged: &Judged| if judged.excess > EXCESS_NOISE { judged.excess } else { 0.0 };
    let (current, candidate) = (broken(current), broken(candidate));
    if candidate > current + 1e-9 {
        return Some(-1.0);
    }
    if current > 0.0 && candidate <= 0.0 {
        return Some(1.0);
    }
    let relief = (current - candidate) / (1.0 + current);
    (relief >= RELIEF_MIN).then_some(relief)
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
