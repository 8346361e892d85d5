//! What differs between two snapshots, and whether it matters.

use std::collections::BTreeMap;

use super::decision::Shift;
use crate::planner::snapshot::Snapshot;

/// Changes below this share cannot change a decision that has a margin several times as large.
const MATTERS: f64 = 0.02;

/// Changes that an event names.
const NAMED: usize = 5;

/// The largest relative changes of links, workers and load, the largest first.
pub(super) fn largest(before: &Snapshot, after: &Snapshot) -> Vec<Shift> {
    let mut shifts: Vec<(f64, Shift)> = changes(before, after).filter(|(size, _)| *size >= MATTERS).collect();
    shifts.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    shifts.into_iter().take(NAMED).map(|(_, shift)| shift).collect()
}

/// Whether anything has changed by enough to ask the planner again.
pub(super) fn matters(before: &Snapshot, after: &Snapshot) -> bool {
    before.current != after.current
        || before.network != after.network
        || before.weights != after.weights
        || before.batch != after.batch
        || before.accuracy != after.accuracy
        || changes(before, after).any(|(size, _)| size >= MATTERS)
}

fn changes(before: &Snapshot, after: &Snapshot) -> impl Iterator<Item = (f64, Shift)> {
    let (old, new) = (figures(before), figures(after));
    let names: std::collections::BTreeSet<String> = old.keys().chain(new.keys()).cloned().collect();
    names.into_iter().filter_map(move |what| {
        let (before, after) = (old.get(&what).copied(), new.get(&what).copied());
        let size = match (before, after) {
            (Some(a), Some(b)) if a == b => return None,
            // Symmetric: halving and doubling are equally large.
            (Some(a), Some(b)) if a > 0.0 && b > 0.0 => (b / a).ln().abs(),
            _ => f64::MAX,
        };
        Some((size, Shift { what, before, after }))
    })
}

/// Every figure on which a plan depends, by name.
fn figures(snapshot: &Snapshot) -> BTreeMap<String, f64> {
    let mut figures = BTreeMap::new();
    let load = if snapshot.offered_load > 0.0 { snapshot.offered_load } else { 0.0 };
    figures.insert("offered load in requests/s".to_owned(), load);
    for link in &snapshot.links {
        let name = format!("{} -> {}", link.from.short(), link.to.short());
        figures.insert(format!("round-trip seconds of {name}"), link.rtt_seconds);
        figures.insert(format!("goodput in bytes/s of {name}"), link.goodput);
    }
    for worker in &snapshot.workers {
        let name = &worker.name;
        let measured: f64 = worker.layer_seconds.iter().flatten().sum();
        figures.insert(format!("seconds for measured layers of {name}"), measured);
        figures.insert(format!("MACs/s of {name}"), worker.macs_per_second);
        let optional = [
            ("memory in bytes", worker.memory_bytes.map(|bytes| bytes as f64)),
            ("power budget in watts", worker.power_budget_watts),
            ("active power in watts", Some(worker.active_watts)),
        ];
        for (what, figure) in optional {
            if let Some(figure) = figure {
                figures.insert(format!("{what} of {name}"), figure);
            }
        }
    }
    figures
}
