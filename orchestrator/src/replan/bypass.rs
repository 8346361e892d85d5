//! Going on without a worker: its blocks become the identity, and nothing has to be loaded for it.
//!
//! A block whose shortcut is the identity and whose branch is off is nothing at all (`x` is behind a relu already),
//! so a lost stage of such blocks needs nobody. Its layers fall to the stage before, which computes none of them.

use weir_shared::arch::{LayerId, Network, Shortcut};
use weir_shared::ids::WorkerId;
use weir_shared::plan::{ActiveSet, Connection, Partition};

use crate::planner::snapshot::{Candidate, LossSource, Placement, Snapshot};
use crate::planner::{Unusable, evaluate};

/// The placement without the workers in `lost`, if their layers can be skipped: every block with a layer there must
/// have the identity for a shortcut. Stem, head and blocks that reshape cannot be skipped.
pub fn bypass(network: &Network, running: &Placement, lost: &[WorkerId]) -> Option<Placement> {
    let stages = Partition::new(network, running.cuts.clone()).ok()?.stages(network);
    let mut kept: Vec<(u16, WorkerId)> = Vec::new();
    let mut skipped = Vec::new();
    for (layers, worker) in stages.into_iter().zip(&running.workers) {
        if !lost.contains(worker) {
            kept.push((layers.start, worker.clone()));
            continue;
        }
        // Stem and head belong to no block.
        let (first, last) = (0, network.layer_count() - 1);
        if layers.contains(&first) || layers.contains(&last) {
            return None;
        }
        for block in &network.blocks {
            let touches = block.first_layer.0 < layers.end && block.join_layer().0 >= layers.start;
            if touches && !matches!(block.shortcut, Shortcut::Identity) {
                return None;
            }
            if touches {
                skipped.push(block.id);
            }
        }
    }
    if kept.len() == running.workers.len() {
        return None;
    }
    let off = running.active.off().filter(|&connection| match connection {
        // The identity must carry what the branch no longer does.
        Connection::Shortcut(block) => !skipped.contains(&block),
        Connection::Branch(_) => true,
    });
    let active =
        ActiveSet::without(off.chain(skipped.iter().map(|&block| Connection::Branch(block)))).ok()?;
    let there = |name: &str| !lost.iter().any(|worker| worker.as_str() == name);
    let encodings = running.encodings.iter();
    Some(Placement {
        active,
        cuts: kept.iter().skip(1).map(|&(start, _)| LayerId(start)).collect(),
        workers: kept.into_iter().map(|(_, worker)| worker).collect(),
        encodings: encodings
            .filter(|link| there(link.from.short()) && there(link.to.short()))
            .cloned()
            .collect(),
    })
}

/// Points of accuracy that answers under `placement` lose where its active set loses `of_set`: its encodings lose theirs
/// besides. None where that is not known of an encoding at the cut where it is.
pub fn lost_points(mut snapshot: Snapshot, placement: &Placement, of_set: f64) -> Option<f64> {
    // The set may be none that a plan would choose.
    snapshot.accuracy.candidates = vec![Candidate {
        active: placement.active.clone(),
        loss_points: of_set,
        source: LossSource::Predicted,
    }];
    match evaluate(&snapshot, placement) {
        Ok(found) => Some(found.terms.accuracy_loss_points),
        Err(Unusable::NoLoss { .. }) => None,
        // A link that nobody has heard of changes no accuracy.
        Err(_) => Some(of_set),
    }
}

#[cfg(test)]
mod tests {
    use weir_shared::arch::Arch;
    use weir_shared::plan::{Dataflow, StageProgram};

    use super::*;

    /// ResNet-20 over a, b, c, cut before the named layers, without b.
    fn without_b(cuts: [&str; 2], off: &str) -> Option<Placement> {
        let network = Arch::ResNet20.network();
        let layer = |name: &str| {
            network.layers().iter().find(|layer| network.layer_name(layer.kind) == name).unwrap().id
        };
        let placement = Placement {
            active: ActiveSet::parse(off, &network).unwrap(),
            cuts: cuts.map(layer).into(),
            workers: ["a", "b", "c"].map(|name| name.parse().unwrap()).into(),
            encodings: vec![],
        };
        bypass(&network, &placement, &["b".parse().unwrap()])
    }

    #[test]
    fn blocks_with_identity_shortcuts_are_skipped_and_nobody_computes_their_layers() {
        let network = Arch::ResNet20.network();
        let found = without_b(["layer1.1.conv1", "layer2.0.conv1"], "").unwrap();
        assert_eq!(found.active.describe(&network), "F:layer1.1,F:layer1.2");
        assert_eq!(found.workers.len(), 2);
        let stages = Partition::new(&network, found.cuts.clone()).unwrap().stages(&network);
        let programs = StageProgram::derive(&Dataflow::new(&network, &found.active), &stages);
        // The neighbour needs no layer beyond those that it had.
        assert!(programs[0].steps.iter().all(|step| step.layer.0 < 4));
    }

    #[test]
    fn a_block_that_reaches_into_the_stage_is_skipped_whole_and_gets_its_shortcut_back() {
        let network = Arch::ResNet20.network();
        let found = without_b(["layer1.1.conv2", "layer1.2.conv2"], "S:layer1.2,F:layer3.1").unwrap();
        assert_eq!(found.active.describe(&network), "F:layer1.1,F:layer1.2,F:layer3.1");
    }

    #[test]
    fn what_reshapes_cannot_be_skipped() {
        assert_eq!(without_b(["layer1.2.conv1", "layer2.1.conv1"], ""), None);
        assert_eq!(without_b(["layer3.1.conv1", "head"], "").map(|found| found.workers.len()), Some(2));
        let network = Arch::ResNet20.network();
        let two = Placement {
            active: ActiveSet::full(),
            cuts: vec![LayerId(4)],
            workers: ["a", "b"].map(|name| name.parse().unwrap()).into(),
            encodings: vec![],
        };
        for lost in ["a", "b", "nobody"] {
            assert_eq!(bypass(&network, &two, &[lost.parse().unwrap()]), None, "{lost}");
        }
    }
}
