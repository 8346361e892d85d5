//! Loads stages from wherever their layers are ([`crate::weights`]), by the digests that the plan carries.
//!
//! Weights are held by layers, not by plans: a stage in memory serves every plan whose program it can compute, so a
//! connection that is switched, a plan that is rolled back, and a stage that takes a dead neighbour's skipped layers
//! cost no load. What no live plan holds any more is kept for the next one while it fits into a stated amount.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use weir_shared::arch::{LayerId, NetworkSpec};
use weir_shared::chain;
use weir_shared::plan::{Plan, StageIndex, StageProgram, StageWeights, Step};
use weir_shared::telemetry::LayerReading;
use weir_shared::wire::control::Loaded;

use crate::resnet::{StageNetwork, threads};
use crate::stage::{Compute, ComputeFailed, LoadStage};
use crate::telemetry::{LayerTimes, whole_layers};
use crate::weights::{Library, LibraryError, Sources};

/// Weights kept that no live plan uses: a stage of ResNet-50 in four, or any stage of the small networks.
const SPARE_BYTES: u64 = 64 << 20;

/// Makes stages of the layers of a library.
pub struct StageLoader {
    library: Library,
    /// The most recently used last.
    known: Mutex<Vec<Held>>,
    times: Arc<LayerTimes>,
}

struct Held {
    weights: StageWeights,
    bytes: u64,
    network: Arc<Mutex<StageNetwork>>,
}

/// A loaded stage under one plan. The lock is there because tensors may move between threads but not be shared;
/// only the compute thread takes it, and a canary when another plan holds the same weights.
struct LoadedStage {
    network: Arc<Mutex<StageNetwork>>,
    loaded: Loaded,
    was_held: bool,
    /// Of what network it is, and which of its layers are computed whole, for the times of layers.
    spec: NetworkSpec,
    whole: BTreeSet<LayerId>,
    times: Arc<LayerTimes>,
}

/// Whether what is held has everything that `program` needs of `wanted`: the layers that it computes, with the same
/// numbers. Layers of skipped blocks are not needed.
fn serves(held: &StageWeights, wanted: &StageWeights, program: &StageProgram) -> bool {
    let digest = |weights: &StageWeights, layer: u16| {
        let index = layer.checked_sub(weights.layers.start)?;
        weights.digests.get(usize::from(index)).copied()
    };
    let same = |layer: u16| {
        let found = digest(held, layer);
        found.is_some() && found == digest(wanted, layer)
    };
    held.batch_norm == wanted.batch_norm && program.steps.iter().all(|step| same(step.layer.0))
}

/// What stays in memory: everything that a live plan uses, and of the rest the most recent within the amount.
fn keep(known: &mut Vec<Held>) {
    let mut spare = 0;
    let mut kept: Vec<bool> = Vec::with_capacity(known.len());
    for held in known.iter().rev() {
        let used = Arc::strong_count(&held.network) > 1;
        spare += if used { 0 } else { held.bytes };
        kept.push(used || spare <= SPARE_BYTES);
    }
    let mut kept = kept.into_iter().rev();
    known.retain(|_| kept.next().unwrap_or(true));
}

impl StageLoader {
    /// Layers will be looked for in `sources`.
    pub fn new(sources: Sources) -> Self {
        Self { library: Library::new(sources), known: Mutex::new(Vec::new()), times: Arc::default() }
    }

    fn held(&self, wanted: &StageWeights, program: &StageProgram) -> Option<Arc<Mutex<StageNetwork>>> {
        let mut known = locked(&self.known);
        let exact = known.iter().position(|held| held.weights == *wanted);
        let found = exact.or_else(|| known.iter().position(|held| serves(&held.weights, wanted, program)))?;
        let held = known.remove(found);
        let network = held.network.clone();
        known.push(held);
        Some(network)
    }

    fn load_new(&self, plan: &Plan, wanted: StageWeights) -> Result<Arc<Mutex<StageNetwork>>, String> {
        let described = plan.draft().network.network();
        let mut visit = self.library.visit(plan, &described).map_err(|error: LibraryError| chain(&error))?;
        let loaded = StageNetwork::from_layers(&described, wanted.layers.clone(), wanted.batch_norm, |id| {
            Ok(visit.layer(id)?)
        });
        let loaded = loaded.map_err(|error| chain(&error))?;
        let bytes = loaded.weight_bytes();
        let network = Arc::new(Mutex::new(loaded));
        let mut known = locked(&self.known);
        known.push(Held { weights: wanted, bytes, network: network.clone() });
        keep(&mut known);
        Ok(network)
    }
}

impl LoadStage for StageLoader {
    fn load(&self, plan: &Plan, stage: StageIndex) -> Result<Arc<dyn Compute>, String> {
        let (wanted, program) = (plan.stage_weights(stage), plan.program(stage));
        let held = self.held(&wanted, program);
        let was_held = held.is_some();
        let network = match held {
            Some(network) => network,
            None => self.load_new(plan, wanted)?,
        };
        let peak_activation_bytes = (program.peak_elements() * size_of::<f32>()) as u64;
        let known = locked(&self.known);
        let held = known.iter().find(|held| Arc::ptr_eq(&held.network, &network));
        let loaded = Loaded { weight_bytes: held.map_or(0, |held| held.bytes), peak_activation_bytes };
        drop(known);
        let (spec, whole, times) = (plan.draft().network, whole_layers(plan, program), self.times.clone());
        Ok(Arc::new(LoadedStage { network, loaded, was_held, spec, whole, times }))
    }

    fn layer_times(&self) -> Vec<LayerReading> {
        self.times.readings()
    }
}

impl Compute for LoadedStage {
    fn run(
        &self,
        program: &StageProgram,
        batch: usize,
        inputs: Vec<Vec<f32>>,
    ) -> Result<Vec<Vec<f32>>, ComputeFailed> {
        let mut times: BTreeMap<LayerId, Duration> = BTreeMap::new();
        let observe = |step: &Step, began: Instant| {
            if self.whole.contains(&step.layer) {
                *times.entry(step.layer).or_default() += began.elapsed();
            }
        };
        let outputs = locked(&self.network).run_observed(program, batch, inputs, observe);
        if outputs.is_ok() {
            self.times.record(self.spec, batch, &times);
        }
        outputs.map_err(|error| ComputeFailed(chain(&error)))
    }

    fn loaded(&self) -> Loaded {
        self.loaded
    }

    fn was_held(&self) -> bool {
        self.was_held
    }

    fn identity(&self) -> usize {
        Arc::as_ptr(&self.network).addr()
    }
}

/// A panic under the lock leaves weights as they were: nothing changes them.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the compute thread does first: libtorch must compute with exactly `threads` threads.
pub fn prepare_thread(threads: NonZeroUsize) {
    let in_force = threads::in_force();
    if in_force != threads.get() {
        // Configured and asserted at start already; a thread that sees otherwise would be slow, not wrong.
        tracing::error!(
            in_force,
            wanted = threads.get(),
            "libtorch ignores the thread count on its compute thread"
        );
    }
}
