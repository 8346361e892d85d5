//! What a planner may drop, and what it costs in accuracy: a short list out of the profile of a study.

use std::collections::BTreeSet;

use weir_shared::arch::Network;
use weir_shared::plan::{ActiveSet, Connection};
use weir_shared::profile::{Loss, Profile, macs, mean_cut_bytes};

use crate::planner::snapshot::{AccuracyTable, Candidate, EncodingLoss, LossSource};

/// Candidates in a table. The planner's work grows with their number.
const CANDIDATES_MAX: usize = 60;

/// Sets that lose more points are of no use to anybody: even a degraded answer should mostly be right.
const POINTS_MAX: f64 = 25.0;

/// One candidate with what it saves.
struct Entry {
    candidate: Candidate,
    macs: f64,
    bytes: f64,
}

/// The table for a network without a profile: everything active, and f32 alone.
pub fn full_only(full_accuracy: Option<f64>) -> AccuracyTable {
    let full = Candidate { active: ActiveSet::full(), loss_points: 0.0, source: LossSource::Measured };
    AccuracyTable { full_accuracy, candidates: vec![full], encodings: Vec::new() }
}

/// The table of `profile`: everything active, then the sets that no other set beats in accuracy, operations and bytes at
/// once, then single connections and the orders of dropping, at most 60 in all. A predicted set has its margin added, so it is
/// there only where it promises more than anything measured.
pub fn accuracy_table(profile: &Profile) -> AccuracyTable {
    let document = profile.document();
    let network = document.network.network();
    let measured: Vec<Entry> =
        document.sets.iter().filter_map(|set| entry(profile, &network, set.active.clone())).collect();
    let predicted: Vec<Entry> = unions(profile, &network)
        .into_iter()
        .filter(|active| profile.measured(active).is_none())
        .filter_map(|active| entry(profile, &network, active))
        .collect();
    let all: Vec<Entry> = measured.into_iter().chain(predicted).collect();
    let best = |entry: &Entry| !all.iter().any(|other| other.beats(entry));
    let predicted = |entry: &Entry| entry.candidate.source == LossSource::Predicted;
    // Predicted sets that something measured beats are of no use; measured ones are, when a worker dies.
    let mut kept: Vec<(bool, &Entry)> = all.iter().map(|entry| (best(entry), entry)).collect();
    kept.retain(|(best, entry)| *best || !predicted(entry));
    kept.sort_by(|(a_best, a), (b_best, b)| {
        let points = a.candidate.loss_points.total_cmp(&b.candidate.loss_points);
        b_best.cmp(a_best).then(points).then(a.macs.total_cmp(&b.macs))
    });
    let mut table = full_only(Some(document.full_test.accuracy()));
    let chosen = kept.into_iter().take(CANDIDATES_MAX - 1);
    table.candidates.extend(chosen.map(|(_, entry)| entry.candidate.clone()));
    table.encodings = document
        .encodings
        .iter()
        .map(|result| EncodingLoss {
            cut: result.cut,
            encoding: result.encoding,
            loss_points: result.test.points_below(document.full_test).max(0.0),
        })
        .collect();
    table
}

/// `table` and the sets of it without the connections `off` too, as far as the profile knows what they lose: what a person
/// wants off need not be in the short list.
pub fn with_off(mut table: AccuracyTable, profile: &Profile, off: &[Connection]) -> AccuracyTable {
    if off.is_empty() {
        return table;
    }
    let network = profile.document().network.network();
    for base in table.candidates.clone() {
        let joined = ActiveSet::without(base.active.off().chain(off.iter().copied()));
        let known = |active: &ActiveSet| table.candidates.iter().any(|candidate| candidate.active == *active);
        let Some(active) = joined.ok().filter(|active| !known(active)) else { continue };
        table.candidates.extend(entry(profile, &network, active).map(|entry| entry.candidate));
    }
    table
}

impl Entry {
    fn beats(&self, other: &Self) -> bool {
        let [mine, its] = [self, other].map(|e| [e.candidate.loss_points, e.macs, e.bytes]);
        mine.iter().zip(its).all(|(&a, b)| a <= b) && mine.iter().zip(its).any(|(&a, b)| a < b)
    }
}

fn entry(profile: &Profile, network: &Network, active: ActiveSet) -> Option<Entry> {
    let (loss_points, source) = match profile.loss(&active) {
        Loss::Measured { points, .. } => (points, LossSource::Measured),
        Loss::Predicted { points, margin } => (points + margin, LossSource::Predicted),
        Loss::Unknown => return None,
    };
    let loss_points = loss_points.max(0.0);
    let (macs, bytes) = (macs(network, &active) as f64, mean_cut_bytes(network, &active));
    (loss_points <= POINTS_MAX).then_some(Entry {
        candidate: Candidate { active, loss_points, source },
        macs,
        bytes,
    })
}

/// Sets that the study came near to: each beginning of an order with one connection more.
fn unions(profile: &Profile, network: &Network) -> Vec<ActiveSet> {
    let document = profile.document();
    let names: BTreeSet<&str> =
        document.orders.iter().flat_map(|order| &order.connections).map(String::as_str).collect();
    let mut found = Vec::new();
    for order in &document.orders {
        for k in 1..order.connections.len() {
            let beginning = order.connections[..k].join(",");
            for name in names.iter().filter(|name| !order.connections[..k].iter().any(|c| c == *name)) {
                // A block that would lose both connections is no set.
                found.extend(ActiveSet::parse(&format!("{beginning},{name}"), network).ok());
            }
        }
    }
    let mut seen = std::collections::HashSet::new();
    found.retain(|active| seen.insert(active.clone()));
    found
}
