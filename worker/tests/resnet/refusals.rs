//! What is not the plan's is refused, with the name of the thing and what to do.

use std::error::Error;

use weir_shared::arch::{Arch, Network, Parameter};
use weir_shared::plan::plan::BatchNorm;
use weir_shared::plan::{ActiveSet, Dataflow, StageProgram};
use weir_shared::weights::{Checkpoint, LayerTensors, writer};
use weir_worker::resnet::{LoadError, StageNetwork, WholeNetwork, random};

fn network() -> Network {
    Arch::ResNet20.network()
}

/// The whole chain of causes as one text, as the command line prints it.
fn chain(error: &dyn Error) -> String {
    error.to_string() + "\n" + &error.source().map_or_else(String::new, chain)
}

fn check_refused<T>(result: Result<T, impl Error>, expect: &[&str]) {
    let Err(error) = result else { panic!("this must be refused: {expect:?}") };
    let text = chain(&error);
    expect.iter().for_each(|part| assert!(text.contains(part), "{part:?} is not in {text:?}"));
}

/// A checkpoint of random weights in which `change` has its way with each tensor.
fn changed(change: impl Fn(&Parameter, &mut Vec<f32>)) -> (tempfile::TempDir, Checkpoint) {
    let network = network();
    let layers: Vec<_> = super::random_layers(&network, 1)
        .iter()
        .zip(network.layers())
        .map(|(tensors, layer)| {
            LayerTensors::make(&network, layer.kind, |parameter| {
                let mut numbers = tensors.get(&parameter.name).unwrap().to_vec();
                change(parameter, &mut numbers);
                numbers
            })
        })
        .collect();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("changed.safetensors");
    writer::save_layers(&path, &layers).unwrap();
    let checkpoint = Checkpoint::open(&path).unwrap();
    (folder, checkpoint)
}

fn load(checkpoint: &Checkpoint) -> Result<StageNetwork, LoadError> {
    StageNetwork::load(checkpoint, &network(), 0..29, BatchNorm::Folded)
}

#[test]
fn a_stage_reads_its_own_weights_only() {
    super::setup();
    let network = network();
    let layers = 8..15_u16;
    let own: Vec<_> =
        layers.clone().map(|id| random::layer(&network, network.layers()[usize::from(id)].kind, 1)).collect();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("one-stage.safetensors");
    writer::save_layers(&path, &own).unwrap();
    let checkpoint = Checkpoint::open(&path).unwrap();
    let stage = StageNetwork::load(&checkpoint, &network, layers.clone(), BatchNorm::Separate).unwrap();
    assert_eq!(stage.weight_bytes(), own.iter().map(LayerTensors::bytes).sum::<u64>());
    let folded = StageNetwork::load(&checkpoint, &network, layers, BatchNorm::Folded).unwrap();
    assert!(folded.weight_bytes() < stage.weight_bytes(), "three vectors of each normalisation are gone");
    let beyond = StageNetwork::load(&checkpoint, &network, 7..15, BatchNorm::Folded);
    check_refused(
        beyond,
        &["no tensor \"layer1.2.conv1.weight\"", "[16, 16, 3, 3]", "one-stage.safetensors"],
    );
}

#[test]
fn weights_that_cannot_be_meant_are_refused() {
    super::setup();
    let (_folder, checkpoint) = changed(|parameter, numbers| {
        if parameter.name == "layer3.1.conv1.weight" {
            numbers[0] = f32::NAN;
        }
    });
    check_refused(load(&checkpoint), &["layer3.1.conv1.weight", "not finite"]);
    let (_folder, checkpoint) = changed(|parameter, numbers| {
        if parameter.name == "bn1.running_var" {
            numbers[2] = -0.5;
        }
    });
    check_refused(load(&checkpoint), &["bn1.running_var", "negative variance"]);
}

#[test]
fn another_network_or_class_count_is_refused_by_tensor() {
    super::setup();
    let (_folder, checkpoint) = changed(|_, _| ());
    let wide = Arch::ResNet20.network_with(network().input, 100);
    let parts = ["\"linear.weight\"", "[10, 64]", "[100, 64]", "number of classes"];
    check_refused(StageNetwork::load(&checkpoint, &wide, 28..29, BatchNorm::Folded), &parts);
    let deep = Arch::ResNet56.network();
    check_refused(
        WholeNetwork::load(&checkpoint, deep, BatchNorm::Folded),
        &["no tensor \"layer1.3.conv1.weight\""],
    );
    check_refused(
        WholeNetwork::load(&checkpoint, Arch::ResNet18.network(), BatchNorm::Folded),
        &["\"conv1.weight\"", "[16, 3, 3, 3]", "[64, 3, 7, 7]"],
    );
    check_refused(
        StageNetwork::load(&checkpoint, &network(), 5..30, BatchNorm::Folded),
        &["layers 5 to 30", "29 layers"],
    );
}

#[test]
fn what_a_peer_sends_is_checked_before_it_is_computed() {
    super::setup();
    let whole = WholeNetwork::random(network(), BatchNorm::Folded, 1).unwrap();
    let program = whole.program(&ActiveSet::full());
    let run = |batch, inputs| whole.stage().run(&program, batch, inputs);
    check_refused(run(0, vec![vec![]]), &["batch of 0"]);
    check_refused(run(1, vec![]), &["0 inputs for 1 inlets"]);
    check_refused(run(2, vec![vec![0.0; 3072]]), &["input 0 has 3072", "2 samples of 3x32x32 have 6144"]);
    check_refused(run(usize::MAX, vec![vec![0.0; 3072]]), &["input 0 has 3072"]);
    // Numbers that are none do not stop a worker; they are the sender's answer.
    let answer = run(1, vec![vec![f32::NAN; 3072]]).unwrap();
    assert_eq!(answer[0].len(), 10);
}

#[test]
fn a_program_of_another_stage_or_network_is_refused() {
    super::setup();
    let network = network();
    let stage = StageNetwork::random(&network, 10..29, BatchNorm::Folded, 1).unwrap();
    let flow = Dataflow::new(&network, &ActiveSet::full());
    let programs = StageProgram::derive(&flow, &[0..12, 12..29]);
    check_refused(stage.run(&programs[0], 1, vec![vec![0.0; 3072]]), &["layer 0 is not of this stage"]);
    let inputs = |program: &StageProgram| {
        program.inlets.iter().map(|inlet| vec![0.0; inlet.shape.elements()]).collect()
    };
    assert!(stage.run(&programs[1], 1, inputs(&programs[1])).is_ok(), "more weights than needed do no harm");

    let other = Arch::ResNet50.network();
    let whole = StageNetwork::random(&network, 0..29, BatchNorm::Folded, 1).unwrap();
    let programs = StageProgram::derive(
        &Dataflow::new(&other, &ActiveSet::full()),
        std::slice::from_ref(&(0..other.layer_count())),
    );
    check_refused(
        whole.run(&programs[0], 1, inputs(&programs[0])),
        &["layer 0 made a tensor", "another network"],
    );
}
