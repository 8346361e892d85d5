//! Times of layers while requests are computed.
//!
//! Only what a layer does with everything active counts: a join without its shortcut, or a first convolution without the
//! projection beside it, is another thing. The median of the last runs stands for a layer, because a machine that does other
//! things as well makes single runs late, never early.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use weir_shared::arch::{LayerId, NetworkSpec};
use weir_shared::plan::{ActiveSet, Dataflow, Op, Plan, StageProgram};
use weir_shared::telemetry::LayerReading;

/// Runs that the median is of.
const RUNS: usize = 15;

/// Fewer runs say nothing yet: the canary and the first two runs behind it allocate memory and choose kernels, and took
/// some fifteen times as long as later ones; the median of seven does not see three.
const RUNS_MIN: u64 = 7;

/// What was measured since the start.
#[derive(Default)]
pub struct LayerTimes {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    network: Option<NetworkSpec>,
    layers: BTreeMap<LayerId, Layer>,
}

#[derive(Default)]
struct Layer {
    batch: u16,
    runs: u64,
    last: VecDeque<f64>,
}

/// The layers of a program that it computes as with everything active.
pub fn whole_layers(plan: &Plan, program: &StageProgram) -> BTreeSet<LayerId> {
    let full = Dataflow::new(&plan.draft().network.network(), &ActiveSet::full());
    let ops = |steps: &[weir_shared::plan::Step], layer: LayerId| {
        steps.iter().filter(|step| step.layer == layer).map(|step| step.op).collect::<Vec<Op>>()
    };
    let layers: BTreeSet<_> = program.steps.iter().map(|step| step.layer).collect();
    layers.into_iter().filter(|&layer| ops(&program.steps, layer) == ops(full.steps(), layer)).collect()
}

impl LayerTimes {
    /// One run of `batch` samples of `network` took so long in each layer. Of another network, what was known is forgotten.
    pub fn record(&self, network: NetworkSpec, batch: usize, times: &BTreeMap<LayerId, Duration>) {
        let Some(batch) = u16::try_from(batch).ok().filter(|&batch| batch > 0) else { return };
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.network != Some(network) {
            *state = State { network: Some(network), layers: BTreeMap::new() };
        }
        for (&id, time) in times {
            let layer = state.layers.entry(id).or_default();
            if layer.batch != batch {
                layer.batch = batch;
                layer.last.clear();
            }
            layer.runs += 1;
            layer.last.push_back(time.as_secs_f64());
            if layer.last.len() > RUNS {
                layer.last.pop_front();
            }
        }
    }

    /// What is known, by layer.
    pub fn readings(&self) -> Vec<LayerReading> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let reading = |(&id, layer): (&LayerId, &Layer)| {
            let mut last: Vec<f64> = layer.last.iter().copied().collect();
            last.sort_unstable_by(f64::total_cmp);
            let seconds = *last.get(last.len().saturating_sub(1) / 2)?;
            let enough = layer.runs >= RUNS_MIN;
            enough.then_some(LayerReading { layer: id, batch: layer.batch, runs: layer.runs, seconds })
        };
        state.layers.iter().filter_map(reading).collect()
    }
}

#[cfg(test)]
mod tests {
    use weir_shared::arch::Arch;

    use super::*;

    #[test]
    fn a_layer_is_its_median_run_once_there_are_enough() {
        let times = LayerTimes::default();
        let run = |network, batch, millis| {
            let took = BTreeMap::from([(LayerId(4), Duration::from_millis(millis))]);
            times.record(network, batch, &took);
        };
        let network = NetworkSpec::from(Arch::ResNet20);
        [90, 80, 70, 2, 3, 3].into_iter().for_each(|millis| run(network, 1, millis));
        assert!(times.readings().is_empty());
        run(network, 1, 3);
        let reading = times.readings()[0];
        assert_eq!((reading.layer, reading.batch, reading.runs, reading.seconds), (LayerId(4), 1, 7, 0.003));
        // Another batch begins anew, and so does another network.
        run(network, 8, 16);
        assert_eq!((times.readings()[0].batch, times.readings()[0].seconds), (8, 0.016));
        run(NetworkSpec::from(Arch::ResNet18), 1, 1);
        assert!(times.readings().is_empty());
    }
}
