//! Orders of dropping: one connection after the other, each time the one whose loss is best borne.
//!
//! The best `k` of `n` connections cannot be found for every `k` by trying all; greed finds a good answer in `n²/2`
//! measurements. Four things make it cheaper: what is hopeless alone is left out from the beginning; a step looks only
//! at the connections that promise most, by what they cost when last measured; those that are clearly behind after a
//! quarter of the images are given up; and an order ends where the network is of no use any more. All of it happens on
//! the validation split.

use std::collections::HashMap;

use weir_shared::plan::{ActiveSet, Connection};
use weir_shared::profile::Score;
use weir_shared::profile::profile::{macs, mean_cut_bytes};
use weir_shared::profile::schema::Among;

use super::SurveyError;
use super::bench::Bench;
use super::run::HOPELESS_POINTS;
use crate::dataset::Split;
use crate::resnet::Variant;

/// Added to each loss before it is divided by what is saved: one validation image in a thousand is noise.
const NOISE: f64 = 0.001;

/// A finished order.
pub struct Found {
    /// What it chose from.
    pub among: Among,
    /// Connections, the first to go first.
    pub connections: Vec<Connection>,
    /// The set behind each step and its score on all validation images.
    pub sets: Vec<(ActiveSet, Score)>,
}

/// Where an order is searched.
pub struct Search<'a> {
    /// What it chooses from.
    pub among: Among,
    /// Each connection and the share of right answers that it costs alone.
    pub alone: &'a [(Connection, f64)],
    /// Connections that a step looks at.
    pub candidates: usize,
    /// Everything active, on all validation images.
    pub full: Score,
    /// Images after which those behind are given up.
    pub quarter: usize,
}

impl Search<'_> {
    /// Searches on `bench`.
    ///
    /// # Errors
    /// If measuring fails.
    pub fn run(&self, bench: &mut Bench<'_>) -> Result<Found, SurveyError> {
        let mut found = Found { among: self.among, connections: Vec::new(), sets: Vec::new() };
        // What each connection cost when it was last measured.
        let mut costs: HashMap<Connection, f64> = self.eligible().collect();
        let (mut set, mut score) = (ActiveSet::full(), self.full);
        while let Some((connection, next, next_score)) = self.step(bench, &set, score, &mut costs)? {
            if next_score.points_below(self.full) > HOPELESS_POINTS {
                break;
            }
            (set, score) = (next, next_score);
            costs.remove(&connection);
            found.connections.push(connection);
            found.sets.push((set.clone(), score));
        }
        Ok(found)
    }

    fn eligible(&self) -> impl Iterator<Item = (Connection, f64)> + '_ {
        // In an order that ends at the same loss, what loses as much alone has no place.
        let bearable = self.alone.iter().copied().filter(|(_, cost)| 100.0 * cost <= HOPELESS_POINTS);
        bearable.filter(|(connection, _)| match (self.among, connection) {
            (Among::Branches, Connection::Branch(_))
            | (Among::Shortcuts, Connection::Shortcut(_))
            | (Among::Joint, _) => true,
            (Among::Branches, Connection::Shortcut(_)) | (Among::Shortcuts, Connection::Branch(_)) => false,
        })
    }

    /// The next connection to go with the set and score behind it; none when no block has anything left to lose.
    fn step(
        &self,
        bench: &mut Bench<'_>,
        set: &ActiveSet,
        score: Score,
        costs: &mut HashMap<Connection, f64>,
    ) -> Result<Option<(Connection, ActiveSet, Score)>, SurveyError> {
        let mut candidates: Vec<(Connection, ActiveSet, f64)> = Vec::new();
        for (connection, _) in self.eligible() {
            let Some(cost) = costs.get(&connection) else { continue };
            let Ok(next) = ActiveSet::without(set.off().chain([connection])) else { continue };
            let rank = self.rank(bench, set, &next, *cost);
            candidates.push((connection, next, rank));
        }
        candidates.sort_by(|a, b| a.2.total_cmp(&b.2));
        candidates.truncate(self.candidates);
        if candidates.is_empty() {
            return Ok(None);
        }
        let variants = |candidates: &[(Connection, ActiveSet, f64)]| -> Vec<Variant> {
            candidates.iter().map(|(_, set, _)| Variant::from(set.clone())).collect()
        };
        let early = bench.score(&variants(&candidates), Split::Validation, Some(self.quarter))?;
        // The rank at either end of the interval, better end first.
        let ranks: Vec<[f64; 2]> = candidates
            .iter()
            .zip(&early)
            .map(|((_, next, _), early)| {
                let interval = early.interval();
                [interval.high, interval.low]
                    .map(|accuracy| self.rank(bench, set, next, score.accuracy() - accuracy))
            })
            .collect();
        let ahead = ranks.iter().map(|[_, worse]| *worse).fold(f64::INFINITY, f64::min);
        let mut kept = Vec::new();
        for ((candidate, early), [better, _]) in candidates.into_iter().zip(early).zip(ranks) {
            costs.insert(candidate.0, score.accuracy() - early.accuracy());
            if better <= ahead {
                kept.push(candidate);
            }
        }
        let scores = bench.score(&variants(&kept), Split::Validation, None)?;
        let mut best: Option<(f64, Connection, ActiveSet, Score)> = None;
        for ((connection, next, _), after) in kept.into_iter().zip(scores) {
            let cost = score.accuracy() - after.accuracy();
            costs.insert(connection, cost);
            let rank = self.rank(bench, set, &next, cost);
            if best.as_ref().is_none_or(|(least, ..)| rank < *least) {
                best = Some((rank, connection, next, after));
            }
        }
        Ok(best.map(|(_, connection, next, after)| (connection, next, after)))
    }

    /// What is lost, for each share of operations and bytes that `next` saves beyond `set` in a joint order.
    fn rank(&self, bench: &Bench<'_>, set: &ActiveSet, next: &ActiveSet, cost: f64) -> f64 {
        if self.among != Among::Joint {
            return cost;
        }
        let network = bench.network();
        let share = |of: &dyn Fn(&ActiveSet) -> f64| (of(set) - of(next)) / of(&ActiveSet::full());
        let saved = share(&|set| macs(network, set) as f64) + share(&|set| mean_cut_bytes(network, set));
        (cost.max(0.0) + NOISE) / saved.max(1e-6)
    }
}
