//! Sharing prefixes among variants changes no bit, and rounding at a cut is what two workers would do.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

use std::num::NonZeroUsize;

use weir_shared::arch::{Arch, LayerId, Network, Shape};
use weir_shared::plan::plan::BatchNorm;
use weir_shared::plan::{ActiveSet, Dataflow, Encoding, Partition, StageProgram};
use weir_shared::wire::codec;
use weir_worker::resnet::prefix::Cost;
use weir_worker::resnet::{SharedProgram, Variant, WholeNetwork, threads};

fn image_like(length: usize) -> Vec<f32> {
    (0..length as u32).map(|n| (n.wrapping_mul(2_654_435_769) >> 8) as f32 / 4e6 - 2.0).collect()
}

fn check(network: Network, off: &[&str]) {
    let whole = WholeNetwork::random(network, BatchNorm::Folded, 5).unwrap();
    let network = whole.network();
    let sets: Vec<ActiveSet> = off.iter().map(|off| ActiveSet::parse(off, network).unwrap()).collect();
    let variants: Vec<Variant> = sets.iter().cloned().map(Variant::from).collect();
    let program = SharedProgram::new(network, &variants);
    let images = image_like(network.input.elements() * 3);
    let shared = whole.stage().run_shared(&program, 3, &images).unwrap();
    for (set, found) in sets.iter().zip(shared) {
        let alone = whole.logits(set, 3, images.clone()).unwrap();
        assert!(alone.iter().map(|n| n.to_bits()).eq(found.iter().map(|n| n.to_bits())), "{set:?}");
    }
    let Cost { alone, shared } = program.cost();
    assert!(shared < alone, "something is shared");
}

#[test]
fn sharing_prefixes_changes_no_bit() {
    threads::configure(NonZeroUsize::MIN).unwrap();
    let off = [
        "",
        "F:layer1.0",
        "S:layer1.0",
        "F:layer3.2",
        "F:layer2.0,S:layer2.1",
        "S:layer2.0,F:layer3.0",
        "F:layer3.2",
    ];
    check(Arch::ResNet20.network(), &off);
    let off = ["", "S:layer1.0", "F:layer2.0", "F:layer4.1,S:layer4.2", "S:layer2.0,S:layer3.0"];
    check(Arch::ResNet50.network_with(Shape::new(3, 32, 32), 10), &off);
}

#[test]
fn rounding_at_a_cut_is_what_a_split_network_does() {
    threads::configure(NonZeroUsize::MIN).unwrap();
    let whole = WholeNetwork::random(Arch::ResNet20.network(), BatchNorm::Folded, 5).unwrap();
    let network = whole.network();
    let images = image_like(network.input.elements() * 2);
    let full = ActiveSet::full();
    for encoding in Encoding::ALL {
        let cuts: Vec<LayerId> = network.layers().iter().skip(1).map(|layer| layer.id).collect();
        let variants: Vec<Variant> = cuts
            .iter()
            .map(|&cut| Variant { active: full.clone(), recoded: Some((cut, encoding)) })
            .collect();
        let found = whole.stage().run_shared(&SharedProgram::new(network, &variants), 2, &images).unwrap();
        for (cut, found) in cuts.into_iter().zip(found) {
            let partition = Partition::new(network, vec![cut]).unwrap();
            let programs = StageProgram::derive(&Dataflow::new(network, &full), &partition.stages(network));
            let sent = whole.stage().run(&programs[0], 2, vec![images.clone()]).unwrap();
            let shapes = programs[1].inlets.iter().map(|inlet| inlet.shape);
            let over_the_link = |(numbers, shape): (Vec<f32>, Shape)| {
                codec::decode(encoding, &codec::encode(encoding, &numbers, shape), shape, 2).unwrap()
            };
            assert_eq!(
                programs[0].sent_values(),
                programs[1].inlets.iter().map(|i| i.value).collect::<Vec<_>>()
            );
            let received = sent.into_iter().zip(shapes).map(over_the_link).collect();
            let logits = whole.stage().run(&programs[1], 2, received).unwrap();
            assert_eq!(logits[0], found, "{encoding} at {cut}");
        }
    }
}

/// Not a test of speed, which depends on the machine; run it with `--ignored --nocapture` to see the figure.
#[test]
#[ignore = "measures, and asserts nothing about time"]
fn how_much_time_sharing_saves() {
    threads::configure(NonZeroUsize::MIN).unwrap();
    for arch in [Arch::ResNet20, Arch::ResNet56] {
        let whole = WholeNetwork::random(arch.network(), BatchNorm::Folded, 5).unwrap();
        let network = whole.network();
        let singles = network
            .blocks
            .iter()
            .flat_map(|block| [format!("F:{}", block.name), format!("S:{}", block.name)]);
        let sets: Vec<ActiveSet> = singles.map(|off| ActiveSet::parse(&off, network).unwrap()).collect();
        let variants: Vec<Variant> = sets.iter().cloned().map(Variant::from).collect();
        let images = image_like(network.input.elements() * 100);
        let program = SharedProgram::new(network, &variants);
        let time = |run: &dyn Fn()| {
            run();
            let began = std::time::Instant::now();
            run();
            began.elapsed().as_secs_f64()
        };
        let alone =
            time(&|| sets.iter().for_each(|set| drop(whole.logits(set, 100, images.clone()).unwrap())));
        let shared = time(&|| drop(whole.stage().run_shared(&program, 100, &images).unwrap()));
        let cost = program.cost();
        println!(
            "{arch}: {} sets, {alone:.2} s alone, {shared:.2} s shared: {:.2} times; operations {:.2} times",
            sets.len(),
            alone / shared,
            cost.alone as f64 / cost.shared as f64
        );
    }
}
