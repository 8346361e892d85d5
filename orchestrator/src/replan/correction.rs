//! What the cost model learns from its errors: one factor for each worker and each link.
//!
//! Normalised least mean squares (Widrow and Hoff 1960; Haykin, Adaptive Filter Theory, ch. 6): the error of a whole
//! request is shared out over its parts in proportion to how much each was predicted to take. Slow and bounded, so
//! that one odd window changes little and a wrong model cannot run away.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use weir_shared::arch::Network;
use weir_shared::ids::{PeerName, WorkerId};
use weir_shared::plan::{Dataflow, Node, Partition, StageProgram};

use crate::planner::snapshot::{LinkState, Placement, Snapshot};

/// Share of an error that one window may correct.
const STEP: f64 = 0.1;

/// Factors stay between a third and three: beyond it the model is wrong in another way than by a factor.
const FACTOR: std::ops::RangeInclusive<f64> = 1.0 / 3.0..=3.0;

/// A window whose error is another one than the last window's by more than this factor is not learnt from: something has
/// collapsed or come back that telemetry has yet to see, and it is not the model that is wrong.
const JUMP: f64 = 1.5;

/// What was learnt of parts that are not used loses this share with each window: half of it in about six minutes of load.
const FADE: f64 = 0.001;

/// A factor this near to one is none.
const NOTHING: f64 = 0.001;

/// A part of a request's time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Part {
    /// Computing.
    Worker(WorkerId),
    /// Sending.
    Link(PeerName, PeerName),
}

/// How much longer each part takes than the bare model says.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Corrections {
    factors: BTreeMap<Part, f64>,
    /// The logarithm of measured by predicted, of the last window.
    error: Option<f64>,
}

impl Corrections {
    /// The factor of a part; 1 where nothing was learnt.
    pub fn factor(&self, part: &Part) -> f64 {
        self.factors.get(part).copied().unwrap_or(1.0)
    }

    /// Learns from one window: `parts` are the predicted seconds with the factors of now in them, `measured_seconds`
    /// is what the whole took.
    pub fn learn(&mut self, parts: &[(Part, f64)], measured_seconds: f64) {
        let predicted: f64 = parts.iter().map(|(_, seconds)| seconds).sum();
        let power: f64 = parts.iter().map(|(_, seconds)| seconds * seconds).sum();
        let usable =
            measured_seconds.is_finite() && measured_seconds > 0.0 && predicted.is_finite() && power > 0.0;
        if !usable {
            return;
        }
        self.fade(parts);
        let ratio = (measured_seconds / predicted).ln();
        let last = self.error.replace(ratio);
        if last.is_some_and(|last| (ratio - last).abs() > JUMP.ln()) {
            return;
        }
        let error = measured_seconds - predicted;
        for (part, seconds) in parts {
            let relative = (STEP * error * seconds / power).clamp(-STEP, STEP);
            let factor = (self.factor(part) * (1.0 + relative)).clamp(*FACTOR.start(), *FACTOR.end());
            self.factors.insert(part.clone(), factor);
        }
    }

    /// What was learnt of parts that nothing is heard of may hold no longer.
    fn fade(&mut self, used: &[(Part, f64)]) {
        self.factors.retain(|part, factor| {
            if used.iter().any(|(other, _)| other == part) {
                return true;
            }
            *factor = factor.powf(1.0 - FADE);
            factor.ln().abs() > NOTHING
        });
    }

    /// Another plan runs: its error is its own.
    pub(super) const fn interrupt(&mut self) {
        self.error = None;
    }

    /// A worker has restarted: what was learnt of it and of its links was learnt of another process.
    pub(super) fn forget(&mut self, worker: &WorkerId) {
        let peer = worker.peer();
        self.factors.retain(|part, _| match part {
            Part::Worker(name) => name != worker,
            Part::Link(from, to) => *from != peer && *to != peer,
        });
    }

    /// The snapshot with what was learnt in it.
    pub fn apply(&self, snapshot: &mut Snapshot) {
        for worker in &mut snapshot.workers {
            let factor = self.factor(&Part::Worker(worker.name.clone()));
            worker.macs_per_second /= factor;
            worker.layer_seconds.iter_mut().flatten().for_each(|seconds| *seconds *= factor);
        }
        for link in &mut snapshot.links {
            let factor = self.factor(&Part::Link(link.from.clone(), link.to.clone()));
            link.goodput /= factor;
            link.rtt_seconds *= factor;
        }
    }
}

/// Predicted seconds of each part of one request, by the model of DESIGN.md: compute time of each stage, and
/// `RTT/2 + bytes/goodput` of each transfer. Parts of no known cost are left out.
pub fn parts(snapshot: &Snapshot, placement: &Placement) -> Vec<(Part, f64)> {
    let network = snapshot.network.network();
    let Ok(partition) = Partition::new(&network, placement.cuts.clone()) else { return Vec::new() };
    let flow = Dataflow::new(&network, &placement.active);
    let programs = StageProgram::derive(&flow, &partition.stages(&network));
    let mut parts: BTreeMap<Part, f64> = BTreeMap::new();
    let peer = |node: Node| match node {
        Node::Gateway => Some(snapshot.gateway.clone()),
        Node::Stage(stage) => placement.workers.get(usize::from(stage.0)).map(WorkerId::peer),
    };
    for (program, worker) in programs.iter().zip(&placement.workers) {
        if let Some(seconds) = compute_seconds(snapshot, &network, program, worker) {
            *parts.entry(Part::Worker(worker.clone())).or_insert(0.0) += seconds;
        }
        let here = Node::Stage(program.stage);
        let input = program.inlets.iter().filter(|inlet| inlet.from == Node::Gateway);
        let arriving = input.map(|inlet| (inlet.from, here, inlet.shape));
        let leaving = program.outlets.iter().map(|outlet| (here, outlet.to, outlet.shape));
        for (from, to, shape) in arriving.chain(leaving) {
            let (Some(from), Some(to)) = (peer(from), peer(to)) else { continue };
            let of = |link: &&LinkState| link.from == from && link.to == to;
            let Some(link) = snapshot.links.iter().find(of) else { continue };
            let encoding = placement.encodings.iter().find(|link| link.from == from && link.to == to);
            let encoding = encoding.map(|link| link.encoding).unwrap_or_default();
            let bytes = encoding.payload_bytes(shape, usize::from(snapshot.batch)) as f64;
            let latency = if parts.contains_key(&Part::Link(from.clone(), to.clone())) {
                0.0
            } else {
                link.rtt_seconds / 2.0
            };
            *parts.entry(Part::Link(from, to)).or_insert(0.0) += latency + bytes / link.goodput;
        }
    }
    parts.into_iter().filter(|(_, seconds)| seconds.is_finite() && *seconds > 0.0).collect()
}

fn compute_seconds(
    snapshot: &Snapshot,
    network: &Network,
    program: &StageProgram,
    worker: &WorkerId,
) -> Option<f64> {
    let state = snapshot.workers.iter().find(|state| state.name == *worker)?;
    let mut layers: Vec<u16> = program.steps.iter().map(|step| step.layer.0).collect();
    layers.dedup();
    let seconds = |layer: u16| {
        let measured = state.layer_seconds.get(usize::from(layer)).copied().flatten();
        let macs = network.layers().get(usize::from(layer)).map_or(0, |layer| layer.macs);
        measured.unwrap_or(macs as f64 * f64::from(snapshot.batch) / state.macs_per_second)
    };
    Some(layers.into_iter().map(seconds).sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(name: &str) -> Part {
        Part::Worker(name.parse().unwrap())
    }

    /// `a` truly takes twice and `b` half of what the bare model says; plans differ in what each does.
    #[test]
    fn factors_find_who_is_slow_from_whole_requests() {
        let mut corrections = Corrections::default();
        for round in 0..2000 {
            let (a, b) = ([0.01, 0.03, 0.02][round % 3], [0.03, 0.01, 0.03][round % 3]);
            let predicted = [
                (part("a"), a * corrections.factor(&part("a"))),
                (part("b"), b * corrections.factor(&part("b"))),
            ];
            corrections.learn(&predicted, 2.0 * a + 0.5 * b);
        }
        let (a, b) = (corrections.factor(&part("a")), corrections.factor(&part("b")));
        assert!((a - 2.0).abs() < 0.1 && (b - 0.5).abs() < 0.1, "{a} {b}");
    }

    #[test]
    fn a_jump_is_not_learnt_and_what_is_not_used_fades_and_a_restart_begins_anew() {
        let mut corrections = Corrections::default();
        for _ in 0..50 {
            corrections.learn(&[(part("a"), 0.01 * corrections.factor(&part("a")))], 0.013);
        }
        let learnt = corrections.factor(&part("a"));
        assert!((learnt - 1.3).abs() < 0.02, "{learnt}");
        // A collapse that telemetry has not seen yet, in one window.
        corrections.learn(&[(part("a"), 0.01 * learnt)], 0.2);
        assert_eq!(corrections.factor(&part("a")), learnt);
        corrections.learn(&[(part("b"), 0.01)], 0.01);
        for _ in 0..700 {
            corrections.learn(&[(part("b"), 0.01)], 0.01);
        }
        let faded = corrections.factor(&part("a"));
        assert!(faded > 1.1 && faded < 1.2, "{faded}");
        corrections.forget(&"a".parse().unwrap());
        assert_eq!(corrections.factor(&part("a")), 1.0);
    }

    #[test]
    fn factors_are_slow_and_bounded_and_never_absurd() {
        let mut corrections = Corrections::default();
        corrections.learn(&[(part("a"), 0.01)], 100.0);
        assert!(corrections.factor(&part("a")) <= 1.0 + STEP);
        for odd in [f64::NAN, f64::INFINITY, -1.0, 0.0] {
            corrections.learn(&[(part("a"), 0.01)], odd);
            corrections.learn(&[(part("a"), odd)], 0.01);
        }
        for _ in 0..1000 {
            corrections.learn(&[(part("a"), 0.01)], 100.0);
        }
        assert_eq!(corrections.factor(&part("a")), *FACTOR.end());
        assert_eq!(corrections.factor(&part("nobody")), 1.0);
    }
}
