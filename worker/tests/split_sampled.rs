//! Cut into three or four, with any connections off and on any workers, a network still answers with the same bits.
//!
//! Also what a split does on the wire: which links carry what, and what rounding activations costs.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

mod cluster;

use std::sync::Arc;

use cluster::{Cluster, Reference};
use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};
use weir_shared::arch::{Arch, BlockId, Network};
use weir_shared::plan::{ActiveSet, Connection, Encoding, Plan};
use weir_shared::wire::control::LinkReport;

/// What is sampled: where the network is cut, on whom the stages are, and what is off.
#[derive(Debug, Clone)]
struct Scenario {
    cuts: Vec<u16>,
    workers: Vec<usize>,
    active: ActiveSet,
}

/// Every third block or so has one of its two connections off.
fn scenario(network: &Network) -> impl Strategy<Value = Scenario> + use<> {
    let cuts = proptest::collection::btree_set(1..network.layer_count(), 2..=3);
    let workers = Just((0..4).collect::<Vec<usize>>()).prop_shuffle();
    let choices = proptest::collection::vec(0..6_u8, network.blocks.len());
    (cuts, workers, choices).prop_map(|(cuts, workers, choices)| {
        let off = choices.into_iter().zip(0..).filter_map(|(choice, block)| match choice {
            0 => Some(Connection::Branch(BlockId(block))),
            1 => Some(Connection::Shortcut(BlockId(block))),
            _ => None,
        });
        Scenario {
            workers: workers.into_iter().take(cuts.len() + 1).collect(),
            cuts: cuts.into_iter().collect(),
            active: ActiveSet::without(off).unwrap(),
        }
    })
}

/// The same scenarios every time, on one cluster: each is a plan of its own epoch, which comes and goes.
fn check_scenarios(reference: Reference, cases: u32) {
    let scenarios = scenario(&reference.network);
    let system = actix_rt::System::new();
    let cluster = system.block_on(async { Cluster::start(4, Arc::new(reference)) });
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let check = |scenario: Scenario| {
        let Scenario { cuts, workers, active } = &scenario;
        let plan = Plan::new(cluster.draft_on(workers, cuts, active)).unwrap();
        system.block_on(async {
            cluster.deploy(&plan).await;
            cluster.check_exact(&plan, 2).await;
            cluster.retire(&plan).await;
        });
        Ok(())
    };
    runner.run(&scenarios, check).unwrap();
    assert_eq!(cluster.gateway.failed(), []);
}

#[test]
fn any_split_of_resnet20_under_any_active_set_gives_the_same_bits() {
    check_scenarios(Reference::of(Arch::ResNet20), 64);
}

#[test]
fn any_split_of_resnet18_under_any_active_set_gives_the_same_bits() {
    check_scenarios(Reference::of(Arch::ResNet18), 12);
}

#[test]
fn any_split_of_resnet50_under_any_active_set_gives_the_same_bits() {
    check_scenarios(Reference::small(Arch::ResNet50), 16);
}

/// Activations that each link of a worker has carried, and the numbers in them.
fn carried(links: &[LinkReport]) -> Vec<(String, u64, u64)> {
    links.iter().map(|link| (link.to.short().to_owned(), link.activations, link.sent_bytes / 4)).collect()
}

#[test]
fn a_shortcut_goes_straight_from_the_first_worker_to_the_third() {
    const REQUESTS: u64 = 3;
    let reference = Arc::new(Reference::small(Arch::ResNet50));
    // Identity, a projection that is carried as it came, and one that was applied early.
    for (block, branch, shortcut, inner) in [
        ("layer2.1", 128 * 16, 512 * 16, 128 * 16),
        ("layer1.0", 64 * 64, 64 * 64, 64 * 64),
        ("layer3.0", 256 * 16, 1024 * 4, 256 * 4),
    ] {
        let cuts = ["conv2", "conv3"].map(|layer| reference.before(&format!("{block}.{layer}")));
        cluster::run(async {
            let cluster = Cluster::start(3, reference.clone());
            let plan = cluster.plan(&cuts, &ActiveSet::full());
            cluster.deploy(&plan).await;
            for _ in 0..REQUESTS {
                cluster.check_exact(&plan, 1).await;
            }
            let link = |to: &str, numbers: u64| (to.to_owned(), REQUESTS, REQUESTS * numbers);
            let [a, b, c] = [cluster.report("a").await, cluster.report("b").await, cluster.report("c").await];
            assert_eq!(carried(&a.links), [link("b", branch), link("c", shortcut)], "{block}");
            assert_eq!(carried(&b.links), [link("c", inner)], "{block}");
            assert_eq!(carried(&c.links), [link("main", 10)], "{block}");
            assert_eq!([a.executions, b.executions, c.executions], [REQUESTS; 3]);
        });
    }
}

#[test]
fn without_its_shortcut_a_block_sends_one_tensor() {
    let reference = Arc::new(Reference::of(Arch::ResNet20));
    let cuts = [reference.before("layer2.1.conv2"), reference.before("layer2.1.join")];
    let active = reference.without("S:layer2.1");
    cluster::run(async {
        let cluster = Cluster::start(3, reference);
        let plan = cluster.plan(&cuts, &active);
        cluster.deploy(&plan).await;
        cluster.check_exact(&plan, 1).await;
        let a = cluster.report("a").await;
        assert_eq!(carried(&a.links), [("b".to_owned(), 1, 32 * 16 * 16)]);
    });
}

#[test]
fn a_worker_whose_layers_are_all_skipped_takes_no_part() {
    let reference = Arc::new(Reference::of(Arch::ResNet20));
    let cuts = [reference.before("layer1.1.conv1"), reference.before("layer1.2.conv1")];
    let active = reference.without("F:layer1.1");
    cluster::run(async {
        let cluster = Cluster::start(3, reference);
        let plan = cluster.plan(&cuts, &active);
        cluster.deploy(&plan).await;
        cluster.check_exact(&plan, 3).await;
        let [a, b, c] = [cluster.report("a").await, cluster.report("b").await, cluster.report("c").await];
        assert_eq!([a.executions, b.executions, c.executions], [1, 0, 1]);
        assert_eq!(carried(&b.links), []);
        assert_eq!(carried(&a.links), [("c".to_owned(), 1, 3 * 16 * 32 * 32)]);
        // It holds its weights all the same: switching the branch on again must need no file.
        assert!(b.weight_bytes > 0);
    });
}

/// The largest difference from the whole network, as a fraction of its largest logit, when the links between
/// workers round; the same plan gives the same bits twice.
fn loss_of_rounding(encoding: Encoding) -> f32 {
    let reference = Arc::new(Reference::of(Arch::ResNet20));
    let cuts = ["layer1.1.conv2", "layer2.0.conv2", "layer3.1.conv1"].map(|name| reference.before(name));
    cluster::run(async {
        let cluster = Cluster::start(4, reference.clone());
        let mut draft = cluster.draft(&cuts, &ActiveSet::full());
        let gateway = draft.gateway.clone();
        let between_workers =
            |route: &&mut weir_shared::plan::Route| route.from != gateway && route.to != gateway;
        draft.routes.iter_mut().filter(between_workers).for_each(|route| route.encoding = encoding);
        let plan = Plan::new(draft).unwrap();
        cluster.deploy(&plan).await;
        let first = cluster.gateway.infer(&plan, 2, reference.images(2)).await.unwrap();
        let again = cluster.gateway.infer(&plan, 2, reference.images(2)).await.unwrap();
        assert_eq!(first, again, "{encoding}");
        let whole = reference.logits(&ActiveSet::full(), 2);
        let largest = whole.iter().fold(0.0_f32, |most, logit| most.max(logit.abs()));
        let differences = first.iter().zip(&whole).map(|(a, b)| (a - b).abs());
        differences.fold(0.0, f32::max) / largest
    })
}

#[test]
fn rounded_activations_give_nearly_the_same_answer() {
    assert_eq!(loss_of_rounding(Encoding::F32), 0.0);
    let (f16, int8) = (loss_of_rounding(Encoding::F16), loss_of_rounding(Encoding::Int8));
    // Half a unit in the last of 11 bits is 5e-4, half of 255 steps 2e-3; three links in a row add up.
    assert!(f16 > 0.0 && f16 < 1e-3, "f16 is off by {f16}");
    assert!(int8 > f16 && int8 < 3e-2, "int8 is off by {int8}");
}
