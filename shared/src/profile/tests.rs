//! A made-up network's profile: what it answers, how honest its predictions are, and what is refused.

use proptest::prelude::*;

use super::profile::{macs, mean_cut_bytes};
use super::schema::{Among, SplitData, VERSION};
use super::*;
use crate::arch::{Arch, BlockId, LayerId, Network, NetworkSpec};
use crate::digest::Digest;
use crate::plan::plan::BatchNorm;
use crate::plan::{ActiveSet, Connection, Dataflow, Encoding};

const IMAGES: u32 = 10_000;

/// A number from 0 to 1 that looks drawn: the finaliser of SplitMix64 (Steele et al. 2014).
fn noise(seed: u64) -> f64 {
    let mut z = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
}

/// What the made-up network has right: losses in log-odds add up, and more so for neighbours.
fn truth(network: &Network, set: &ActiveSet) -> Score {
    let off: Vec<usize> = set
        .off()
        .map(|connection| match connection {
            Connection::Branch(block) => usize::from(block.0),
            Connection::Shortcut(block) => network.blocks.len() + usize::from(block.0),
        })
        .collect();
    let alone = |c: &usize| 0.01 + 0.15 * noise(*c as u64 + 1);
    let together = off.windows(2).filter(|pair| pair[1] == pair[0] + 1).count() as f64 * 0.05;
    let crowd = 0.01 * (off.len() * off.len().saturating_sub(1)) as f64;
    let odds = 2.6 - off.iter().map(alone).sum::<f64>() - together - crowd;
    let jitter = 0.002 * (noise(off.iter().map(|c| 1u64 << c).sum::<u64>() + 7) - 0.5);
    let share = 1.0 / (1.0 + (-odds).exp()) + jitter;
    Score::new((share * f64::from(IMAGES)).round() as u32, IMAGES).unwrap()
}

/// A set of up to five connections, the same for the same number.
fn some_set(network: &Network, number: u64) -> ActiveSet {
    let blocks = network.blocks.len() as u64;
    let count = 2 + number % 4;
    let pick = |i: u64| {
        let drawn = (noise(number * 31 + i * 7 + 3) * 2.0 * blocks as f64) as u64;
        let block = BlockId((drawn % blocks) as u16);
        if drawn < blocks { Connection::Branch(block) } else { Connection::Shortcut(block) }
    };
    ActiveSet::without((0..count).map(pick)).unwrap_or_else(|_| some_set(network, number + 1_000_003))
}

fn result(network: &Network, active: ActiveSet, kind: Kind) -> SetResult {
    let score = truth(network, &active);
    SetResult {
        off: active.describe(network),
        kind,
        macs_kept: macs(network, &active) as f64 / network.macs() as f64,
        bytes_kept: mean_cut_bytes(network, &active) / mean_cut_bytes(network, &ActiveSet::full()),
        validation: score,
        test: Some(score),
        active,
    }
}

fn document(drawn: u64) -> Document {
    let spec = NetworkSpec::from(Arch::ResNet20);
    let network = spec.network();
    let blocks = || network.blocks.iter().map(|block| block.id);
    let connections = blocks().map(Connection::Branch).chain(blocks().map(Connection::Shortcut));
    let singles = connections.map(|c| result(&network, ActiveSet::without([c]).unwrap(), Kind::Single));
    let mut sets: Vec<SetResult> = singles.collect();
    for number in 0..drawn {
        let set = some_set(&network, number);
        if set.off().count() > 1 && sets.iter().all(|known| known.active != set) {
            sets.push(result(&network, set, Kind::Random));
        }
    }
    let full = truth(&network, &ActiveSet::full());
    let split = SplitData { images: IMAGES, sha256: Digest::of(b"images") };
    let flow = Dataflow::new(&network, &ActiveSet::full());
    let bytes = flow.live_elements(LayerId(1)) as u64 * 2;
    Document {
        version: VERSION,
        network: spec,
        weights: weights_digest(&[Digest::of(b"layer")]),
        data: StudyData { name: "made-up".into(), seed: None, validation: split.clone(), test: split },
        full_validation: full,
        full_test: full,
        orders: vec![Order { among: Among::Branches, connections: vec![sets[0].off.clone()] }],
        sets,
        encodings: vec![EncodingResult {
            cut: LayerId(1),
            before: "layer1.0.conv1".into(),
            encoding: Encoding::F16,
            bytes,
            validation: full,
            test: full,
        }],
        surrogate: None,
        provenance: Provenance {
            command: "made up".into(),
            release: "none".into(),
            seed: 1,
            batch: 100,
            batch_norm: BatchNorm::Folded,
        },
    }
}

fn profile(drawn: u64) -> Profile {
    Profile::from_measurements(document(drawn)).unwrap()
}

#[test]
fn measured_sets_are_told_as_measured() {
    let profile = profile(150);
    let document = profile.document();
    for set in &document.sets {
        let points = set.test.unwrap().points_below(document.full_test);
        assert_eq!(profile.loss(&set.active), Loss::Measured { points, images: IMAGES }, "{}", set.off);
    }
    assert_eq!(profile.loss(&ActiveSet::full()), Loss::Measured { points: 0.0, images: IMAGES });
}

#[test]
fn the_stated_error_holds_for_sets_nobody_measured() {
    let profile = profile(200);
    let network = Arch::ResNet20.network();
    let full = profile.document().full_test;
    let (mut within, mut count) = (0, 0);
    for number in 5_000..5_400 {
        let set = some_set(&network, number);
        if let Loss::Predicted { points, margin } = profile.loss(&set) {
            assert!(points >= 0.0 && margin > 0.0, "nobody plans on luck");
            within += u32::from(truth(&network, &set).points_below(full) <= points + margin);
            count += 1;
        }
    }
    assert!(count > 200, "{count} sets were new");
    // 95 % are promised; the bound itself is estimated from few sets, and so may be off by two or three in a hundred.
    assert!(f64::from(within) >= 0.92 * f64::from(count), "{within} of {count}");
    let errors = profile.document().surrogate.unwrap();
    assert!(errors.small.p95 < 0.7 && errors.small.mean <= errors.small.p95, "{errors:?}");
}

#[test]
fn too_few_sets_predict_nothing() {
    let set = ActiveSet::parse("F:layer1.1,S:layer3.2,F:layer2.2", &Arch::ResNet20.network()).unwrap();
    assert_eq!(profile(5).loss(&set), Loss::Unknown);
    assert!(profile(5).document().surrogate.is_none());
}

#[test]
fn a_profile_survives_its_file() {
    let profile = profile(60);
    let read = Profile::from_json(&profile.to_json().unwrap()).unwrap();
    let (read, written) = (read.document(), profile.document());
    let digits = |set: &SetResult| (set.active.clone(), set.kind, set.validation, set.test);
    assert!(read.sets.iter().map(digits).eq(written.sets.iter().map(digits)));
    assert_eq!(
        (&read.data, &read.provenance, read.weights),
        (&written.data, &written.provenance, written.weights)
    );
}

#[test]
fn another_network_and_other_weights_are_told_apart() {
    let profile = profile(0);
    let (spec, layers) = (NetworkSpec::from(Arch::ResNet20), [Digest::of(b"layer")]);
    profile.check_about(&spec, &layers).unwrap();
    let other = profile.check_about(&NetworkSpec::from(Arch::ResNet56), &layers).unwrap_err().to_string();
    assert!(other.contains("resnet20") && other.contains("resnet56"), "{other}");
    let retrained = profile.check_about(&spec, &[Digest::of(b"retrained")]).unwrap_err().to_string();
    assert!(retrained.contains("weir-worker study"), "{retrained}");
}

/// A file with one thing wrong and what the message must say.
fn check_refused(change: impl FnOnce(&mut serde_json::Value), expect: &str) {
    let mut json = serde_json::to_value(profile(40).document()).unwrap();
    change(&mut json);
    let error = Profile::from_json(json.to_string().as_bytes()).unwrap_err();
    let said = crate::chain(&error);
    assert!(said.contains(expect), "{said:?} should say {expect:?}");
}

#[test]
fn edited_files_are_refused() {
    check_refused(|json| json["version"] = 2.into(), "version 2");
    check_refused(|json| json["network"]["arch"] = "resnet9".into(), "resnet9");
    check_refused(|json| json["network"]["arch"] = "resnet56".into(), "contradicts");
    check_refused(|json| json["weights"] = "abcd".into(), "64 hexadecimal digits");
    check_refused(|json| json["sets"][0]["off"] = "F:layer9.9".into(), "layer9.9");
    check_refused(|json| json["sets"][0]["off"] = "F:layer3.2".into(), "contradicts");
    check_refused(|json| json["sets"][0]["active"]["branches_off"] = vec![40].into(), "no block 40");
    check_refused(|json| json["sets"][0]["active"]["branches_off"] = vec![99].into(), "no block 99");
    check_refused(|json| json["sets"][0]["active"]["shortcuts_off"] = vec![0].into(), "keep one of them");
    check_refused(|json| json["sets"][0]["test"]["correct"] = 9_999.into(), "edited");
    check_refused(|json| json["sets"][0]["macs_kept"] = 0.1.into(), "contradicts");
    check_refused(|json| json["sets"][1] = json["sets"][0].clone(), "contradicts");
    check_refused(|json| json["data"]["test"]["images"] = 5.into(), "number of images");
    check_refused(|json| json["orders"][0]["connections"] = vec!["F:layer1.0", "S:layer1.0"].into(), "order");
    check_refused(|json| json["encodings"][0]["bytes"] = 1.into(), "encoding at the cut");
    check_refused(|json| json["encodings"][0]["cut"] = 900.into(), "encoding at the cut");
    check_refused(|json| json["surrogate"]["small"]["p95"] = 0.0.into(), "surrogate");
    check_refused(|json| json["more"] = 1.into(), "unknown field");
    assert!(Profile::from_json(b"[]").unwrap_err().to_string().contains("weir-worker study"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn damaged_bytes_are_refused_not_fatal(at in 0usize..20_000, byte in any::<u8>()) {
        let mut bytes = profile(25).to_json().unwrap();
        let at = at % bytes.len();
        bytes[at] = byte;
        let _ = Profile::from_json(&bytes);
        let _ = Profile::from_json(&bytes[..at]);
    }
}
