//! A snapshot as rows of numbers, workers in order of names: what every active set has in common.

use weir_shared::arch::Network;
use weir_shared::ids::PeerName;
use weir_shared::plan::Encoding;

use super::snapshot::{LinkState, Snapshot, WorkerState};

/// Rows of workers are padded to a multiple of this, so that loops over them need no remainder.
pub(super) const LANES: usize = 4;

/// Numbers of a snapshot. Matrices are row by sender, `stride` wide; a missing link has infinite entries.
pub(super) struct Instance<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) network: Network,
    /// In order of names, so that the order in the snapshot decides nothing.
    pub(super) workers: Vec<&'a WorkerState>,
    pub(super) stride: usize,
    /// Half a round trip, and seconds for each byte.
    pub(super) links: Links,
    pub(super) ingress: Vec<Line>,
    pub(super) egress: Vec<Line>,
    /// Seconds to write and read one number, by encoding.
    pub(super) codec: [f64; 3],
    /// Points lost by cut and encoding; infinite where the encoding must not be used.
    pub(super) losses: Vec<[f64; 3]>,
    /// Bytes of weights before each layer.
    pub(super) weights_before: Vec<f64>,
    /// The earlier worker that equals this one in everything: whichever is used, nothing differs.
    pub(super) twins: Vec<Option<usize>>,
}

pub(super) struct Links {
    pub(super) half_rtt: Vec<f64>,
    pub(super) seconds_per_byte: Vec<f64>,
}

/// One link.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Line {
    pub(super) half_rtt: f64,
    pub(super) seconds_per_byte: f64,
}

const NO_LINE: Line = Line { half_rtt: f64::INFINITY, seconds_per_byte: f64::INFINITY };

impl From<&LinkState> for Line {
    fn from(link: &LinkState) -> Self {
        Self { half_rtt: link.rtt_seconds / 2.0, seconds_per_byte: 1.0 / link.goodput }
    }
}

pub(super) fn index_of(encoding: Encoding) -> usize {
    match encoding {
        Encoding::F32 => 0,
        Encoding::F16 => 1,
        Encoding::Int8 => 2,
    }
}

impl<'a> Instance<'a> {
    pub(super) fn new(snapshot: &'a Snapshot) -> Self {
        let network = snapshot.network.network();
        let mut workers: Vec<&WorkerState> = snapshot.workers.iter().collect();
        workers.sort_by(|a, b| a.name.cmp(&b.name));
        let count = workers.len();
        let stride = count.next_multiple_of(LANES);
        let position = |peer: &PeerName| {
            let name = peer.as_worker()?;
            workers.binary_search_by(|worker| worker.name.cmp(&name)).ok()
        };
        let mut lines = vec![NO_LINE; count * stride];
        let (mut ingress, mut egress) = (vec![NO_LINE; count], vec![NO_LINE; count]);
        for link in &snapshot.links {
            match (position(&link.from), position(&link.to)) {
                (Some(from), Some(to)) => lines[from * stride + to] = link.into(),
                (None, Some(to)) => ingress[to] = link.into(),
                (Some(from), None) => egress[from] = link.into(),
                (None, None) => {}
            }
        }
        let links = Links {
            half_rtt: lines.iter().map(|line| line.half_rtt).collect(),
            seconds_per_byte: lines.iter().map(|line| line.seconds_per_byte).collect(),
        };
        let mut codec = [0.0; 3];
        for cost in &snapshot.codec {
            codec[index_of(cost.encoding)] = cost.seconds_per_element;
        }
        let mut losses = vec![[0.0, f64::INFINITY, f64::INFINITY]; network.layers().len()];
        for loss in snapshot.accuracy.encodings.iter().filter(|loss| loss.encoding != Encoding::F32) {
            losses[usize::from(loss.cut.0)][index_of(loss.encoding)] = loss.loss_points.max(0.0);
        }
        let sums = network.layers().iter().scan(0, |sum, layer| {
            *sum += layer.weight_bytes;
            Some(*sum as f64)
        });
        let weights_before = std::iter::once(0.0).chain(sums).collect();
        let twins = twins(&workers, &lines, stride, &ingress, &egress);
        Self {
            snapshot,
            network,
            workers,
            stride,
            links,
            ingress,
            egress,
            codec,
            losses,
            weights_before,
            twins,
        }
    }

    pub(super) fn count(&self) -> usize {
        self.workers.len()
    }

    pub(super) fn layers(&self) -> usize {
        self.network.layers().len()
    }

    pub(super) fn line(&self, from: usize, to: usize) -> Line {
        let at = from * self.stride + to;
        Line { half_rtt: self.links.half_rtt[at], seconds_per_byte: self.links.seconds_per_byte[at] }
    }
}

/// For each worker the nearest earlier one with which it can be exchanged.
fn twins(
    workers: &[&WorkerState],
    lines: &[Line],
    stride: usize,
    ingress: &[Line],
    egress: &[Line],
) -> Vec<Option<usize>> {
    let line = |from: usize, to: usize| lines[from * stride + to];
    let equal = |a: usize, b: usize| {
        let alike = |one: &WorkerState, other: &WorkerState| {
            WorkerState { name: other.name.clone(), ..one.clone() } == *other
        };
        ingress[a] == ingress[b]
            && egress[a] == egress[b]
            && line(a, b) == line(b, a)
            && workers[a].macs_per_second == workers[b].macs_per_second
            && (0..workers.len())
                .filter(|&other| other != a && other != b)
                .all(|other| line(a, other) == line(b, other) && line(other, a) == line(other, b))
            && alike(workers[a], workers[b])
    };
    (0..workers.len()).map(|b| (0..b).rev().find(|&a| equal(a, b))).collect()
}
