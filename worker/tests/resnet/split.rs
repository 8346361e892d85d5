//! Cut anywhere, under any active set, the answer is the same to the last bit.

use std::collections::HashMap;
use std::ops::Range;

use proptest::prelude::*;
use weir_shared::arch::{Arch, BlockId, LayerId, Network, Shape};
use weir_shared::plan::plan::BatchNorm;
use weir_shared::plan::{ActiveSet, Connection, Dataflow, Node, Partition, StageProgram, Value};
use weir_worker::resnet::{StageNetwork, WholeNetwork};

const SEED: u64 = 11;

/// Runs the stages one after the other, each on its own thread, with bytes in between as on a link.
fn run_split(
    network: &Network,
    active: &ActiveSet,
    stages: &[Range<u16>],
    norm: BatchNorm,
    batch: usize,
) -> Vec<f32> {
    let programs = StageProgram::derive(&Dataflow::new(network, active), stages);
    let to_bytes =
        |numbers: &[f32]| numbers.iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<u8>>();
    let from_bytes = |bytes: &Vec<u8>| {
        bytes.chunks_exact(4).map(|four| f32::from_le_bytes(four.try_into().unwrap())).collect::<Vec<f32>>()
    };
    let mut links: HashMap<(Node, Value), Vec<u8>> = HashMap::new();
    for program in &programs {
        if let Some(inlet) = program.inlets.iter().find(|inlet| inlet.from == Node::Gateway) {
            links.insert((Node::Stage(program.stage), inlet.value), to_bytes(&super::images(network, batch)));
        }
    }
    for (program, layers) in programs.into_iter().zip(stages) {
        let here = Node::Stage(program.stage);
        let arrived = program.inlets.iter().map(|inlet| from_bytes(&links[&(here, inlet.value)])).collect();
        let stage = StageNetwork::random(network, layers.clone(), norm, SEED).unwrap();
        let (program, outputs) = std::thread::spawn(move || {
            let outputs = stage.run(&program, batch, arrived).unwrap();
            (program, outputs)
        })
        .join()
        .unwrap();
        let sent: HashMap<Value, Vec<f32>> = program.sent_values().into_iter().zip(outputs).collect();
        for outlet in &program.outlets {
            assert_eq!(sent[&outlet.value].len(), outlet.shape.elements() * batch);
            links.insert((outlet.to, outlet.value), to_bytes(&sent[&outlet.value]));
        }
    }
    let mut to_gateway = links.iter().filter(|((to, _), _)| *to == Node::Gateway);
    from_bytes(to_gateway.next().unwrap().1)
}

fn check_split(whole: &WholeNetwork, active: &ActiveSet, cuts: Vec<LayerId>, norm: BatchNorm, batch: usize) {
    let network = whole.network();
    let stages = Partition::new(network, cuts).unwrap().stages(network);
    let expected = whole.logits(active, batch, super::images(network, batch)).unwrap();
    assert!(expected.iter().all(|logit| logit.is_finite()) && expected.iter().any(|logit| *logit != 0.0));
    let found = run_split(network, active, &stages, norm, batch);
    let same = found.iter().map(|n| n.to_bits()).eq(expected.iter().map(|n| n.to_bits()));
    assert!(same, "{stages:?} without {}: {found:?} for {expected:?}", active.describe(network));
}

#[test]
fn every_cut_of_resnet20_gives_the_same_bits() {
    super::setup();
    for norm in [BatchNorm::Folded, BatchNorm::Separate] {
        let whole = WholeNetwork::random(Arch::ResNet20.network(), norm, SEED).unwrap();
        for cut in 1..whole.network().layer_count() {
            check_split(&whole, &ActiveSet::full(), vec![LayerId(cut)], norm, 3);
        }
    }
}

#[test]
fn every_cut_inside_projected_blocks_gives_the_same_bits() {
    super::setup();
    // The smallest image there is: its last block group has single rows and columns.
    for arch in [Arch::ResNet18, Arch::ResNet50] {
        let network = arch.network_with(Shape::new(3, 32, 32), 10);
        let whole = WholeNetwork::random(network, BatchNorm::Folded, SEED).unwrap();
        for block in whole.network().blocks.iter().filter(|block| block.reshapes()) {
            for cut in block.first_layer.0..=block.join_layer().0 {
                check_split(&whole, &ActiveSet::full(), vec![LayerId(cut)], BatchNorm::Folded, 1);
            }
        }
    }
}

/// A partition into three or four stages and what is off, for a network of some size.
fn scenario(network: &Network) -> impl Strategy<Value = (Vec<LayerId>, ActiveSet)> + use<> {
    let cuts = proptest::collection::btree_set(1..network.layer_count(), 2..=3);
    let choices = proptest::collection::vec(0..6_u8, network.blocks.len());
    (cuts, choices).prop_map(|(cuts, choices)| {
        let off = choices.into_iter().zip(0..).filter_map(|(choice, block)| match choice {
            0 => Some(Connection::Branch(BlockId(block))),
            1 => Some(Connection::Shortcut(BlockId(block))),
            _ => None,
        });
        (cuts.into_iter().map(LayerId).collect(), ActiveSet::without(off).unwrap())
    })
}

fn check_scenarios(network: Network, norm: BatchNorm, cases: u32) {
    super::setup();
    let scenarios = scenario(&network);
    let whole = std::sync::Mutex::new(WholeNetwork::random(network, norm, SEED).unwrap());
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    let mut runner = proptest::test_runner::TestRunner::new(config);
    let check = |(cuts, active): (Vec<LayerId>, ActiveSet)| {
        check_split(&whole.lock().unwrap(), &active, cuts, norm, 2);
        Ok(())
    };
    runner.run(&scenarios, check).unwrap();
}

#[test]
fn any_split_of_resnet20_under_any_active_set_gives_the_same_bits() {
    check_scenarios(Arch::ResNet20.network(), BatchNorm::Folded, 48);
    check_scenarios(Arch::ResNet20.network(), BatchNorm::Separate, 16);
}

#[test]
fn any_split_of_resnet18_under_any_active_set_gives_the_same_bits() {
    check_scenarios(Arch::ResNet18.network_with(Shape::new(3, 64, 64), 10), BatchNorm::Folded, 12);
}

#[test]
fn any_split_of_resnet50_under_any_active_set_gives_the_same_bits() {
    check_scenarios(Arch::ResNet50.network_with(Shape::new(3, 64, 64), 10), BatchNorm::Folded, 8);
}
