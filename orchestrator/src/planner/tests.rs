//! The simple choices, checked by counting.

use std::collections::BTreeMap;

use weir_shared::arch::{Arch, LayerId, Network};
use weir_shared::digest::Digest;
use weir_shared::ids::{Epoch, PeerName, Role, Term};
use weir_shared::plan::plan::BatchNorm;
use weir_shared::plan::{ActiveSet, Plan, PlanId};

use super::*;
use crate::cluster::Member;

/// ResNet-20 over workers `a` and `b`.
pub(crate) fn two_stage_plan(epoch: u64) -> Plan {
    let network = Arch::ResNet20.network();
    let address = "127.0.0.1:1".parse().unwrap();
    Draft {
        id: PlanId { term: Term(1), epoch: Epoch(epoch) },
        parent: None,
        network: Arch::ResNet20.into(),
        active: ActiveSet::full(),
        cuts: vec![LayerId(13)],
        workers: ["a", "b"]
            .map(|name| Member { worker: name.parse().unwrap(), address, gateway_address: address })
            .into(),
        gateway: PeerName::new(Role::Orchestrator, "main").unwrap(),
        links: &LinkMap::default(),
        encodings: &BTreeMap::new(),
        weights: vec![Digest::of(b""); usize::from(network.layer_count())],
        batch_norm: BatchNorm::Folded,
        max_batch: 8,
    }
    .plan()
    .unwrap()
}

fn largest(network: &Network, cuts: &[LayerId]) -> u64 {
    let bounds: Vec<u16> =
        [0].into_iter().chain(cuts.iter().map(|c| c.0)).chain([network.layer_count()]).collect();
    let stage = |pair: &[u16]| {
        network.layers()[usize::from(pair[0])..usize::from(pair[1])].iter().map(|l| l.macs).sum()
    };
    bounds.windows(2).map(stage).max().unwrap()
}

#[test]
fn balanced_cuts_equal_brute_force() {
    for arch in [Arch::ResNet18, Arch::ResNet20] {
        let network = arch.network();
        let layers = network.layer_count();
        let pairs = (1..layers)
            .flat_map(|first| (first + 1..layers).map(move |second| [LayerId(first), LayerId(second)]));
        let best = pairs.map(|cuts| largest(&network, &cuts)).min().unwrap();
        let found = balanced(&network, &ActiveSet::full(), 3);
        assert_eq!(largest(&network, &found), best);
    }
}

#[test]
fn there_are_never_more_stages_than_layers() {
    let network = Arch::ResNet20.network();
    assert_eq!(balanced(&network, &ActiveSet::full(), 1), []);
    let all = balanced(&network, &ActiveSet::full(), 1000);
    assert_eq!(all.len(), usize::from(network.layer_count()) - 1);
}

#[test]
fn a_plan_file_names_layers_as_people_do() {
    let network = Arch::ResNet20.network();
    let text = "workers = ['a', 'b']\ncuts = ['layer2.0.conv1']\noff = 'F:layer1.1'";
    let file = PlanFile::parse(text, &network).unwrap();
    assert_eq!(file.cuts(&network).unwrap(), [LayerId(10)]);
    let check = |text: &str, expect: &str| {
        let error = weir_shared::chain(&PlanFile::parse(text, &network).unwrap_err());
        assert!(error.contains(expect), "{error}");
    };
    check("workers = ['a', 'b']\ncuts = ['layer9.0.conv1']", "layer9.0.conv1");
    check("workers = ['a', 'b']\ncuts = [99]", "cut point 99 is impossible");
    check("workers = ['a']\ncuts = [5]", "2 stages");
    check("workers = ['a']\noff = 'F:layer1.1,S:layer1.1'", "keep one of them");
    check("workers = ['A']", "lower-case");
    check("worker = ['a']", "unknown field");
    check("workers = ['a', 'a']\ncuts = [5]", "named twice");
    let encoding = "[[encoding]]\nfrom = 'b'\nto = 'main'\nencoding = 'f16'";
    check(&format!("workers = ['a', 'b']\ncuts = [5]\n{encoding}"), "both must be workers");
}
