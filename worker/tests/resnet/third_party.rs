//! A checkpoint that others trained loads as it is. Runs where `../shared/checkpoints` is, beside the repository.

use std::path::{Path, PathBuf};

use weir_shared::arch::{Arch, NetworkSpec};
use weir_shared::plan::ActiveSet;
use weir_shared::plan::plan::BatchNorm;
use weir_shared::weights::{Checkpoint, Manifest};
use weir_worker::resnet::{StageNetwork, WholeNetwork};

fn third_party(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/checkpoints").join(name);
    if path.exists() {
        return Some(path);
    }
    println!("SKIPPED: {} is not here; put the third-party checkpoint there to check it", path.display());
    None
}

fn check_loads(arch: Arch, name: &str) {
    super::setup();
    let Some(path) = third_party(name) else { return };
    let checkpoint = Checkpoint::open(&path).unwrap();
    assert_eq!(
        checkpoint.spec(arch).unwrap(),
        NetworkSpec::from(arch),
        "10 classes, read off the classifier"
    );
    let network = arch.network();
    checkpoint.check(&network).unwrap();

    let folder = tempfile::tempdir().unwrap();
    let beside = Manifest::beside(&folder.path().join(name));
    Manifest::compute(&checkpoint, &arch.into()).unwrap().save(&beside).unwrap();
    let manifest = Manifest::load(&beside).unwrap();
    manifest.verify(&checkpoint).unwrap();
    let half = network.layer_count() / 2..network.layer_count();
    StageNetwork::load(&checkpoint, &network, half, BatchNorm::Folded).unwrap();

    let logits = |batch_norm| {
        let whole = WholeNetwork::load(&checkpoint, network.clone(), batch_norm).unwrap();
        whole.logits(&ActiveSet::full(), 4, super::images(&network, 4)).unwrap()
    };
    let difference = super::relative_difference(&logits(BatchNorm::Folded), &logits(BatchNorm::Separate));
    println!("{name}, folded against separate: largest relative difference {difference:e}");
    assert!(difference < 1e-4);
}

#[test]
fn resnet20_trained_by_others_loads_without_renaming() {
    check_loads(Arch::ResNet20, "resnet20-cifar10-thirdparty.safetensors");
}

#[test]
fn resnet56_trained_by_others_loads_without_renaming() {
    check_loads(Arch::ResNet56, "resnet56-cifar10-thirdparty.safetensors");
}
