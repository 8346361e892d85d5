//! What is left to compute in each layer when connections are switched off.

use weir_shared::arch::Network;
use weir_shared::plan::Dataflow;

use super::snapshot::WorkerState;

/// The operations that remain in each layer; none where nothing of the layer is computed.
pub(super) fn kept_macs(network: &Network, flow: &Dataflow) -> Vec<Option<u64>> {
    let mut kept: Vec<Option<u64>> = vec![None; usize::from(network.layer_count())];
    for step in flow.steps() {
        let macs = kept[usize::from(step.layer.0)].get_or_insert(0);
        *macs += step.op.macs(network);
    }
    kept
}

/// Seconds that `worker` takes for one layer of one request, of whose `full` operations `kept` remain.
///
/// Measured times are of everything active, and shrink with the operations; a layer without operations (a join that
/// only adds) takes its measured time as long as any step of it is left.
pub(super) fn layer_seconds(
    worker: &WorkerState,
    layer: usize,
    kept: Option<u64>,
    full: u64,
    batch: u16,
) -> f64 {
    let Some(kept) = kept else { return 0.0 };
    match worker.layer_seconds.get(layer).copied().flatten() {
        Some(seconds) if full > 0 => seconds * (kept as f64 / full as f64),
        Some(seconds) => seconds,
        None => kept as f64 * f64::from(batch) / worker.macs_per_second,
    }
}
