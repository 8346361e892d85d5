//! What differs between two snapshots, and whether it matters.

use std::collections::BTreeMap;

use super::correction::Part;
use super::decision::Shift;
use crate::planner::snapshot::Snapshot;

/// Changes below this share cannot change a decision that has a margin several times as large.
const MATTERS: f64 = 0.02;

/// Changes that an event names.
const NAMED: usize = 5;

/// A change, and whose.
struct Change {
    /// None for the load and what all share.
    of: Option<Part>,
    size: Size,
    shift: Shift,
}

/// How large a change is, from the least: something appears, which mostly is news and no change; something changes by so
/// many times, as a logarithm; something is gone.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
enum Size {
    Appeared,
    Changed(f64),
    Gone,
}

/// The changes of links, workers and load that may have made the plan change: those of the `own` parts of the plans first,
/// and of these the largest.
pub(super) fn largest(before: &Snapshot, after: &Snapshot, own: &[Part]) -> Vec<Shift> {
    let mut found: Vec<Change> = changes(before, after).filter(Change::matters).collect();
    let is_own = |change: &Change| change.of.as_ref().is_none_or(|part| own.contains(part));
    // What has appeared explains least, wherever it is.
    let rank = |change: &Change| (change.size != Size::Appeared, is_own(change));
    found.sort_by(|a, b| {
        let size = || b.size.partial_cmp(&a.size).unwrap_or(std::cmp::Ordering::Equal);
        rank(b).cmp(&rank(a)).then_with(size)
    });
    found.into_iter().take(NAMED).map(|change| change.shift).collect()
}

/// Whether anything has changed by enough to ask the planner again.
pub(super) fn matters(before: &Snapshot, after: &Snapshot) -> bool {
    before.current != after.current
        || before.network != after.network
        || before.weights != after.weights
        || before.batch != after.batch
        || before.accuracy != after.accuracy
        || changes(before, after).any(|change| change.matters())
}

impl Change {
    fn matters(&self) -> bool {
        !matches!(self.size, Size::Changed(size) if size < MATTERS)
    }
}

fn changes(before: &Snapshot, after: &Snapshot) -> impl Iterator<Item = Change> {
    let (old, mut new) = (figures(before), figures(after));
    let mut pairs: Vec<_> = Vec::new();
    for (what, (of, figure)) in old {
        let now = new.remove(&what).map(|(_, figure)| figure);
        pairs.push((what, of, Some(figure), now));
    }
    pairs.extend(new.into_iter().map(|(what, (of, figure))| (what, of, None, Some(figure))));
    pairs.into_iter().filter_map(|(what, of, before, after)| {
        let size = match (before, after) {
            (Some(a), Some(b)) if a == b => return None,
            // Symmetric: halving and doubling are equally large.
            (Some(a), Some(b)) if a > 0.0 && b > 0.0 => Size::Changed((b / a).ln().abs()),
            // Load that begins or ends: it often follows from what has changed besides.
            (Some(_), Some(_)) if of.is_none() => Size::Changed(1.0),
            (Some(a), _) if a > 0.0 => Size::Gone,
            (Some(_), None) => Size::Gone,
            _ => Size::Appeared,
        };
        Some(Change { of, size, shift: Shift { what, before, after } })
    })
}

/// Every figure on which a plan depends, by name, with whose it is.
fn figures(snapshot: &Snapshot) -> BTreeMap<String, (Option<Part>, f64)> {
    let mut figures = BTreeMap::new();
    let load = if snapshot.offered_load > 0.0 { snapshot.offered_load } else { 0.0 };
    figures.insert("offered load in requests/s".to_owned(), (None, load));
    for cost in &snapshot.codec {
        let what = format!("codec seconds for each number of {}", cost.encoding);
        figures.insert(what, (None, cost.seconds_per_element));
    }
    for link in &snapshot.links {
        let name = format!("{} -> {}", link.from.short(), link.to.short());
        let of = Some(Part::Link(link.from.clone(), link.to.clone()));
        figures.insert(format!("round-trip seconds of {name}"), (of.clone(), link.rtt_seconds));
        figures.insert(format!("goodput in bytes/s of {name}"), (of, link.goodput));
    }
    for worker in &snapshot.workers {
        let measured: f64 = worker.layer_seconds.iter().flatten().sum();
        let known = [
            ("seconds for measured layers", Some(measured)),
            ("MACs/s", Some(worker.macs_per_second)),
            ("memory in bytes", worker.memory_bytes.map(|bytes| bytes as f64)),
            ("power budget in watts", worker.power_budget_watts),
            ("idle power in watts", Some(worker.idle_watts)),
            ("active power in watts", Some(worker.active_watts)),
            ("joules for each byte sent", Some(worker.joules_per_byte_sent)),
            ("joules for each byte received", Some(worker.joules_per_byte_received)),
        ];
        for (what, figure) in known {
            if let Some(figure) = figure {
                let of = Some(Part::Worker(worker.name.clone()));
                figures.insert(format!("{what} of {}", worker.name), (of, figure));
            }
        }
    }
    figures
}
