//! The partition whose largest stage is smallest.

use weir_shared::arch::{LayerId, Network};
use weir_shared::plan::{ActiveSet, Dataflow};

/// What a partition costs, to be made small: first the largest stage's MACs, then the numbers that travel.
type Cost = (u64, usize);

/// Cut points that split `network` into `stages` stages of nearly equal work.
///
/// Exact, by dynamic programming over layers and stages. Among equals it takes the one that sends least. There
/// are never more stages than layers; a layer that the active set skips costs nothing.
pub fn balanced(network: &Network, active: &ActiveSet, stages: usize) -> Vec<LayerId> {
    let layers = usize::from(network.layer_count());
    let stages = stages.clamp(1, layers);
    let flow = Dataflow::new(network, active);
    let mut work = vec![0u64; layers];
    for layer in network.layers() {
        let computed = flow.steps().iter().any(|step| step.layer == layer.id);
        work[usize::from(layer.id.0)] = if computed { layer.macs } else { 0 };
    }
    let live: Vec<usize> = (0..layers as u16).map(|cut| flow.live_elements(LayerId(cut))).collect();

    // best[end]: cost of the layers before `end` in the stages so far, and where the last of them begins.
    let mut best: Vec<Option<Cost>> = prefix_sums(&work).into_iter().map(|sum| Some((sum, 0))).collect();
    best[0] = None;
    let mut choices: Vec<Vec<usize>> = Vec::new();
    let sums = prefix_sums(&work);
    for _ in 1..stages {
        let mut next = vec![None; layers + 1];
        let mut choice = vec![0; layers + 1];
        for end in 1..=layers {
            let candidates = (1..end).filter_map(|cut| {
                let (largest, sent) = best[cut]?;
                Some(((largest.max(sums[end] - sums[cut]), sent + live[cut]), cut))
            });
            if let Some((cost, cut)) = candidates.min() {
                (next[end], choice[end]) = (Some(cost), cut);
            }
        }
        best = next;
        choices.push(choice);
    }

    let mut cuts = Vec::new();
    let mut end = layers;
    for choice in choices.iter().rev() {
        end = choice[end];
        cuts.push(LayerId(end as u16));
    }
    cuts.reverse();
    cuts
}

fn prefix_sums(work: &[u64]) -> Vec<u64> {
    let running = work.iter().scan(0, |sum, &macs| {
        *sum += macs;
        Some(*sum)
    });
    std::iter::once(0).chain(running).collect()
}
