//! The most numbers that are alive at once in any stage, without simulating each stage.
//!
//! What is alive at a step depends on the values of its block alone and on where the stage begins and ends in it, so
//! a stage's peak is the largest over its blocks; each block's cases are simulated once, as
//! [`weir_shared::plan::StageProgram::peak_elements`] does for whole stages (a test compares the two).

use weir_shared::arch::Shape;
use weir_shared::plan::{Dataflow, Step, Value};

use super::instance::Instance;

/// Activations of an active set, in bytes of the whole batch.
pub(super) struct Peaks {
    pieces: Vec<Piece>,
    matter: bool,
}

/// A stretch of layers whose activations are looked at together: stem, one block, or head.
struct Piece {
    first: usize,
    end: usize,
    /// The layer that makes what comes in; none for the stem.
    input_maker: Option<usize>,
    /// Bytes by first layer, end and whether the input was made in the same stage.
    bytes: Vec<f64>,
}

impl Peaks {
    /// Nothing is computed where every worker could hold the whole network.
    pub(super) fn new(instance: &Instance<'_>, flow: &Dataflow) -> Self {
        let limits = instance.workers.iter().filter_map(|worker| worker.memory_bytes);
        let least = limits.min().map_or(f64::INFINITY, |bytes| bytes as f64);
        let steps = flow.steps();
        // Every value at once is more than any stage holds.
        let batch = f64::from(instance.snapshot.batch);
        let all: usize =
            steps.iter().map(|step| step.shape.elements()).sum::<usize>() + instance.network.input.elements();
        let whole = instance.weights_before[instance.layers()] + all as f64 * batch * 4.0;
        if whole <= least {
            return Self { pieces: Vec::new(), matter: false };
        }
        let layers = instance.layers();
        let mut bounds: Vec<(usize, usize)> = vec![(0, 1)];
        let blocks = instance.network.blocks.iter();
        bounds.extend(blocks.map(|b| (usize::from(b.first_layer.0), usize::from(b.join_layer().0) + 1)));
        bounds.push((layers - 1, layers));
        let scale = batch * size_of::<f32>() as f64;
        let pieces = bounds.into_iter().map(|(first, end)| Piece::new(flow, first, end, scale)).collect();
        Self { pieces, matter: true }
    }

    /// Whether memory can bind at all.
    pub(super) const fn matter(&self) -> bool {
        self.matter
    }

    /// Bytes of activations of a stage of layers `start..end`; zero where memory cannot bind.
    pub(super) fn bytes(&self, start: usize, end: usize) -> f64 {
        let touched = self.pieces.iter().filter(|piece| piece.first < end && start < piece.end);
        touched.map(|piece| piece.peak(start, end)).fold(0.0, f64::max)
    }
}

impl Piece {
    fn new(flow: &Dataflow, first: usize, end: usize, scale: f64) -> Self {
        let inside = |step: &&Step| (first..end).contains(&usize::from(step.layer.0));
        let steps: Vec<&Step> = flow.steps().iter().filter(inside).collect();
        let made = |value: Value| steps.iter().any(|step| step.output == value);
        let input = steps.iter().flat_map(|step| step.inputs.iter().copied()).find(|&value| !made(value));
        let width = end - first + 1;
        let mut bytes = vec![0.0; width * width * 2];
        for lo in first..end {
            for hi in lo + 1..=end {
                for here in 0..2 {
                    let peak = simulate(flow, &steps, lo, hi, input.filter(|_| here == 1));
                    bytes[((lo - first) * width + hi - first) * 2 + here] = peak as f64 * scale;
                }
            }
        }
        let input_maker = input.and_then(Value::made_in).map(|layer| usize::from(layer.0));
        Self { first, end, input_maker, bytes }
    }

    fn peak(&self, start: usize, end: usize) -> f64 {
        let (lo, hi) = (start.max(self.first), end.min(self.end));
        let here = usize::from(self.input_maker.is_some_and(|maker| start <= maker));
        let width = self.end - self.first + 1;
        self.bytes[((lo - self.first) * width + hi - self.first) * 2 + here]
    }
}

/// The peak over the steps of layers `lo..hi`; `own` is what the same stage made before and keeps for later stages.
fn simulate(flow: &Dataflow, steps: &[&Step], lo: usize, hi: usize, own: Option<Value>) -> usize {
    let shape = |value: Value| flow.shape(value).map_or(0, Shape::elements);
    let stage: Vec<&&Step> =
        steps.iter().filter(|step| (lo..hi).contains(&usize::from(step.layer.0))).collect();
    let made = |value: Value| own == Some(value) || stage.iter().any(|step| step.output == value);
    let needed_later = |value: Value| {
        steps.iter().any(|step| usize::from(step.layer.0) >= hi && step.inputs.contains(&value))
    };
    let mut alive: Vec<Value> = own.into_iter().collect();
    for value in stage.iter().flat_map(|step| step.inputs.iter().copied()) {
        if !made(value) && !alive.contains(&value) {
            alive.push(value);
        }
    }
    let mut peak = 0;
    for (index, step) in stage.iter().enumerate() {
        alive.retain(|&value| {
            stage[index..].iter().any(|later| later.inputs.contains(&value))
                || (made(value) && needed_later(value))
        });
        alive.push(step.output);
        peak = peak.max(alive.iter().map(|&value| shape(value)).sum());
    }
    peak
}
