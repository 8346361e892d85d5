//! One active set: what is left to compute in each layer, and what travels at each cut.

use weir_shared::arch::{Shape, ShortcutForm};
use weir_shared::plan::{ActiveSet, Dataflow, Encoding};

use super::instance::Instance;
use super::memory::Peaks;
use super::work::{kept_macs, layer_seconds};

/// What travels, by encoding.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Load {
    pub(super) bytes: [f64; 3],
    pub(super) elements: f64,
}

/// A shortcut's value at a cut inside its block, besides the main one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Far {
    /// The shortcut's value alone.
    pub(super) alone: Load,
    /// Both values on one link.
    pub(super) both: Load,
    /// The layer that made it.
    pub(super) maker: usize,
    /// The layer that needs it.
    pub(super) join: usize,
}

/// What an active set leaves of a network. Layers and cuts are those of the whole network: cut `k` is before layer `k`.
pub(super) struct SetModel {
    pub(super) active: ActiveSet,
    /// Points lost against everything active.
    pub(super) loss: f64,
    /// The first layer from here on that computes something.
    pub(super) next_step: Vec<usize>,
    /// The main value at each cut.
    pub(super) near: Vec<Load>,
    /// The shortcut's value at each cut, where one is alive besides.
    pub(super) far: Vec<Option<Far>>,
    /// Starts behind the maker of a shortcut's value and not behind its join.
    lacks: Vec<bool>,
    /// Points lost at each cut, by encoding.
    pub(super) losses: Vec<[f64; 3]>,
    /// Seconds before each layer, by worker: `[layer * stride + worker]`.
    pub(super) seconds_before: Vec<f64>,
    /// Whether a cut here can be better than at the next layer that computes.
    pub(super) cuttable: Vec<bool>,
    /// Activations.
    pub(super) peaks: Peaks,
    pub(super) input: Load,
    pub(super) logits: Load,
}

impl SetModel {
    pub(super) fn new(instance: &Instance<'_>, active: &ActiveSet, loss_points: f64) -> Self {
        let network = &instance.network;
        let layers = instance.layers();
        let flow = Dataflow::new(network, active);
        let kept = kept_macs(network, &flow);
        let load = |shape: Shape| load(shape, instance.snapshot.batch);

        let mut next_step = vec![layers; layers + 1];
        for layer in (0..layers).rev() {
            next_step[layer] = if kept[layer].is_some() { layer } else { next_step[layer + 1] };
        }
        let mut near = vec![Load::default(); layers + 1];
        let mut far = vec![None; layers + 1];
        let mut x = (network.stem_output(), 0);
        near[1] = load(x.0);
        for block in &network.blocks {
            let first = usize::from(block.first_layer.0);
            let join = usize::from(block.join_layer().0);
            near[first] = load(x.0);
            let skipped = kept[join].is_none();
            let (branch, shortcut) = (active.branch(block.id), active.shortcut(block.id));
            let carried = match block.shortcut_form() {
                ShortcutForm::Input => (x.0, x.1),
                ShortcutForm::Shrunk(shape) => (shape, first),
            };
            for cut in first + 1..=join {
                if branch {
                    near[cut] = load(block.branch[cut - first - 1].output);
                    far[cut] = shortcut.then(|| {
                        let alone = load(carried.0);
                        Far { alone, both: near[cut] + alone, maker: carried.1, join }
                    });
                } else {
                    near[cut] = load(if skipped { x.0 } else { carried.0 });
                }
            }
            if !skipped {
                x = (block.output, join);
            }
        }
        near[layers - 1] = load(x.0);

        let mut lacks = vec![false; layers + 1];
        for far in far.iter().flatten() {
            lacks[far.maker + 1..=far.join].fill(true);
        }
        let losses = (0..layers).map(|cut| instance.losses[next_step[cut].min(layers - 1)]).collect();
        let stride = instance.stride;
        let mut seconds_before = vec![0.0; (layers + 1) * stride];
        for layer in 0..layers {
            let full = network.layers()[layer].macs;
            for (index, worker) in instance.workers.iter().enumerate() {
                let seconds = layer_seconds(worker, layer, kept[layer], full, instance.snapshot.batch);
                seconds_before[(layer + 1) * stride + index] =
                    seconds_before[layer * stride + index] + seconds;
            }
        }
        let peaks = Peaks::new(instance, &flow);
        let cuttable = (0..=layers).map(|cut| peaks.matter() || next_step[cut] == cut).collect();
        Self {
            active: active.clone(),
            loss: loss_points.max(0.0),
            next_step,
            near,
            far,
            lacks,
            losses,
            seconds_before,
            cuttable,
            peaks,
            input: load(network.input),
            logits: load(network.logits()),
        }
    }

    /// Whether a stage that begins at `start` may lack a shortcut's value that a cut in the next block needs.
    pub(super) fn far_open_from(&self, start: usize) -> bool {
        self.lacks[start]
    }

    /// Seconds of layers `start..end` on `worker`.
    pub(super) fn seconds(&self, stride: usize, worker: usize, start: usize, end: usize) -> f64 {
        self.seconds_before[end * stride + worker] - self.seconds_before[start * stride + worker]
    }
}

impl std::ops::Add for Load {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        let bytes = std::array::from_fn(|at| self.bytes[at] + other.bytes[at]);
        Self { bytes, elements: self.elements + other.elements }
    }
}

fn load(shape: Shape, batch: u16) -> Load {
    let batch = usize::from(batch);
    let bytes = Encoding::ALL.map(|encoding| encoding.payload_bytes(shape, batch) as f64);
    Load { bytes, elements: (shape.elements() * batch) as f64 }
}
