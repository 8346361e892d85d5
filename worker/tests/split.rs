//! Cut into two anywhere, over real QUIC, a network answers with the same bits as in one piece.
//!
//! The two workers stay, and so do their connections: each cut is a plan of its own epoch that comes alive beside
//! the one before, so every step is also a switch of plans with requests on both.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

mod cluster;

use std::sync::Arc;

use cluster::{Cluster, Reference};
use weir_shared::arch::Arch;
use weir_shared::plan::{ActiveSet, Plan};

/// Goes through `cuts`; batches of `large` follow at every `every`th of them.
fn check_cuts(reference: Reference, cuts: impl Iterator<Item = u16>, (large, every): (u16, usize)) {
    // The whole network answers first: it computes on this thread, where connections are kept alive.
    for batch in [1, large] {
        reference.logits(&ActiveSet::full(), batch);
    }
    cluster::run(async {
        let cluster = Cluster::start(2, Arc::new(reference));
        let mut previous: Option<Plan> = None;
        for (index, cut) in cuts.enumerate() {
            let plan = cluster.plan(&[cut], &ActiveSet::full());
            cluster.deploy(&plan).await;
            cluster.check_exact(&plan, 1).await;
            if index % every == 0 {
                cluster.check_exact(&plan, large).await;
            }
            if let Some(previous) = previous.replace(plan) {
                cluster.check_exact(&previous, 1).await;
                cluster.retire(&previous).await;
            }
        }
        assert_eq!(cluster.gateway.failed(), []);
        // Requests of every plan went over the one link between the two.
        let link = cluster.link("a", &cluster.peers.worker("b")).await.unwrap();
        assert!(link.up && link.activations > 0, "{link:?}");
        assert_eq!(cluster.refused("b", "not_in_plan"), 0);
    });
}

#[test]
fn every_cut_of_resnet20_gives_the_same_bits() {
    let reference = Reference::of(Arch::ResNet20);
    let cuts = 1..reference.network.layer_count();
    assert_eq!(cuts.len(), 28);
    check_cuts(reference, cuts, (3, 1));
}

#[test]
fn every_cut_of_resnet18_gives_the_same_bits() {
    let reference = Reference::of(Arch::ResNet18);
    let cuts = 1..reference.network.layer_count();
    assert_eq!(cuts.len(), 25);
    check_cuts(reference, cuts, (3, 4));
}

/// In the first block of a group the shortcut is a projection: carried as it came in `layer1.0`, where it grows,
/// and projected in the others, where it shrinks. In the other two groups it is the identity.
#[test]
fn every_cut_in_a_block_of_each_group_of_resnet50_gives_the_same_bits() {
    let reference = Reference::of(Arch::ResNet50);
    let blocks = ["layer1.0", "layer2.0", "layer3.2", "layer4.1"].map(|name| {
        let block = reference.network.blocks.iter().find(|block| block.name == name).unwrap();
        block.first_layer.0..=block.join_layer().0 + 1
    });
    check_cuts(reference, blocks.into_iter().flatten(), (3, 5));
}
