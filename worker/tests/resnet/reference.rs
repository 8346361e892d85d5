//! Against tch's own ResNets, which were written by others from torchvision's.

use weir_shared::arch::{Arch, Network, Parameter, Shape};
use weir_shared::plan::ActiveSet;
use weir_shared::plan::plan::BatchNorm;
use weir_shared::weights::{Checkpoint, LayerTensors, writer};
use weir_worker::resnet::WholeNetwork;
use weir_worker::resnet::torch::nn::{self, ModuleT};
use weir_worker::resnet::torch::vision::resnet;
use weir_worker::resnet::torch::{Device, Tensor, no_grad};

/// Differences stay below this fraction of the largest logit: the same sums in another order of rounding.
const TOLERANCE: f32 = 1e-4;

fn check_against_torchvision<M: ModuleT + 'static>(arch: Arch, theirs: impl Fn(&nn::Path<'_>, i64) -> M) {
    super::setup();
    let (network, batch) = (arch.network(), 2);
    let folder = tempfile::tempdir().unwrap();
    let path = super::random_checkpoint(folder.path(), &network, 3);
    let images = super::images(&network, batch);

    let mut store = nn::VarStore::new(Device::Cpu);
    let module = theirs(&store.root(), 1000);
    store.load(&path).unwrap();
    let input = Tensor::from_slice(&images).view([batch as i64, 3, 224, 224]);
    let logits = no_grad(|| module.forward_t(&input, false));
    let expected = Vec::<f32>::try_from(logits.view(-1)).unwrap();

    let checkpoint = Checkpoint::open(&path).unwrap();
    for batch_norm in [BatchNorm::Separate, BatchNorm::Folded] {
        let ours = WholeNetwork::load(&checkpoint, network.clone(), batch_norm).unwrap();
        let found = ours.logits(&ActiveSet::full(), batch, images.clone()).unwrap();
        let difference = super::relative_difference(&found, &expected);
        println!(
            "{arch}, batch normalisation {batch_norm:?}, against tch's: largest relative difference {difference:e}"
        );
        assert!(difference < TOLERANCE);
    }
}

#[test]
fn resnet18_is_torchvisions() {
    check_against_torchvision(Arch::ResNet18, resnet::resnet18);
}

#[test]
fn resnet34_is_torchvisions() {
    check_against_torchvision(Arch::ResNet34, resnet::resnet34);
}

#[test]
fn resnet50_is_torchvisions() {
    check_against_torchvision(Arch::ResNet50, resnet::resnet50);
}

fn check_folding(network: &Network, off: &str) {
    super::setup();
    let active = ActiveSet::parse(off, network).unwrap();
    let logits = |batch_norm| {
        let whole = WholeNetwork::random(network.clone(), batch_norm, 5).unwrap();
        whole.logits(&active, 2, super::images(network, 2)).unwrap()
    };
    let difference = super::relative_difference(&logits(BatchNorm::Folded), &logits(BatchNorm::Separate));
    println!(
        "{} without {off:?}, folded against separate: largest relative difference {difference:e}",
        network.arch
    );
    assert!(difference < TOLERANCE);
}

#[test]
fn folding_the_normalisation_changes_rounding_only() {
    check_folding(&Arch::ResNet20.network(), "");
    check_folding(&Arch::ResNet20.network(), "F:layer2.0,S:layer3.0,F:layer1.1");
    check_folding(&Arch::ResNet110.network(), "");
    check_folding(
        &Arch::ResNet50.network_with(Shape::new(3, 64, 64), 10),
        "F:layer2.0,S:layer3.0,S:layer4.1",
    );
    check_folding(&Arch::ResNet152.network_with(Shape::new(3, 64, 64), 10), "");
}

#[test]
fn active_sets_compute_what_their_names_say() {
    // With the branch of an identity block off, and with that block's last gamma and beta zero, the sum is the same.
    super::setup();
    let network = Arch::ResNet20.network();
    let silence = |parameter: &Parameter, numbers: &[f32]| match parameter.name.as_str() {
        "layer2.1.bn2.weight" | "layer2.1.bn2.bias" => vec![0.0; numbers.len()],
        _ => numbers.to_vec(),
    };
    let layers: Vec<_> = super::random_layers(&network, 9)
        .iter()
        .zip(network.layers())
        .map(|(tensors, layer)| {
            LayerTensors::make(&network, layer.kind, |parameter| {
                silence(parameter, tensors.get(&parameter.name).unwrap())
            })
        })
        .collect();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("silenced.safetensors");
    writer::save_layers(&path, &layers).unwrap();
    let checkpoint = Checkpoint::open(&path).unwrap();
    let whole = WholeNetwork::load(&checkpoint, network.clone(), BatchNorm::Separate).unwrap();
    let logits = |off| {
        let active = ActiveSet::parse(off, &network).unwrap();
        whole.logits(&active, 2, super::images(&network, 2)).unwrap()
    };
    assert_eq!(logits("F:layer2.1"), logits(""), "a silent branch and no branch are the same");
    assert_ne!(logits("F:layer2.2"), logits(""), "a branch that speaks is missed");
    assert_ne!(logits("S:layer2.2"), logits(""), "so is a shortcut");
}
