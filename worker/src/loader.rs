//! Loads stages from wherever their layers are ([`crate::weights`]), by the digests that the plan carries.
//!
//! A plan that keeps this worker's layers where they are costs no load: the last stages are kept for as long as
//! a live plan holds them.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
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

/// Makes stages of the layers of a library.
pub struct StageLoader {
    library: Library,
    known: Mutex<Vec<(StageWeights, Weak<Mutex<StageNetwork>>)>>,
    times: Arc<LayerTimes>,
}

/// A loaded stage under one plan. The lock is there because tensors may move between threads but not be shared;
/// only the compute thread takes it, and a canary when another plan holds the same weights.
struct LoadedStage {
    network: Arc<Mutex<StageNetwork>>,
    loaded: Loaded,
    /// Of what network it is, and which of its layers are computed whole, for the times of layers.
    spec: NetworkSpec,
    whole: BTreeSet<LayerId>,
    times: Arc<LayerTimes>,
}

impl StageLoader {
    /// Layers will be looked for in `sources`.
    pub fn new(sources: Sources) -> Self {
        Self { library: Library::new(sources), known: Mutex::new(Vec::new()), times: Arc::default() }
    }

    fn network(&self, plan: &Plan, wanted: StageWeights) -> Result<Arc<Mutex<StageNetwork>>, String> {
        let mut known = locked(&self.known);
        known.retain(|(_, network)| network.strong_count() > 0);
        let held =
            known.iter().find(|(other, _)| *other == wanted).and_then(|(_, network)| network.upgrade());
        if let Some(network) = held {
            return Ok(network);
        }
        let described = plan.draft().network.network();
        let mut visit = self.library.visit(plan, &described).map_err(|error: LibraryError| chain(&error))?;
        let loaded = StageNetwork::from_layers(&described, wanted.layers.clone(), wanted.batch_norm, |id| {
            Ok(visit.layer(id)?)
        });
        let network = Arc::new(Mutex::new(loaded.map_err(|error| chain(&error))?));
        known.push((wanted, Arc::downgrade(&network)));
        Ok(network)
    }
}

impl LoadStage for StageLoader {
    fn load(&self, plan: &Plan, stage: StageIndex) -> Result<Arc<dyn Compute>, String> {
        let network = self.network(plan, plan.stage_weights(stage))?;
        let program = plan.program(stage);
        let peak_activation_bytes = (program.peak_elements() * size_of::<f32>()) as u64;
        let weight_bytes = locked(&network).weight_bytes();
        let loaded = Loaded { weight_bytes, peak_activation_bytes };
        let (spec, whole, times) = (plan.draft().network, whole_layers(plan, program), self.times.clone());
        Ok(Arc::new(LoadedStage { network, loaded, spec, whole, times }))
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
