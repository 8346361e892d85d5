//! What is on disk is not believed: damaged, hostile and foreign files, and what is read from sound ones.

use std::error::Error;
use std::fs;
use std::path::PathBuf;

use proptest::prelude::*;

use super::writer::{self, NamedTensor};
use super::{Checkpoint, CheckpointError, LayerTensors, Manifest};
use crate::arch::{Arch, LayerKind, Parameter};

struct Scene {
    folder: tempfile::TempDir,
    path: PathBuf,
}

impl Scene {
    fn new(bytes: &[u8]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("scene.safetensors");
        fs::write(&path, bytes).unwrap();
        Self { folder, path }
    }

    fn open(&self) -> Result<Checkpoint, CheckpointError> {
        Checkpoint::open(&self.path)
    }
}

/// A file of this header and this many bytes of data.
fn file(header: &str, data: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), data].concat()
}

fn header(tensors: &[(&str, &str, &str, [usize; 2])]) -> String {
    let entry = |(name, dtype, shape, [start, end]): &(&str, &str, &str, [usize; 2])| {
        format!(r#""{name}":{{"dtype":"{dtype}","shape":{shape},"data_offsets":[{start},{end}]}}"#)
    };
    format!("{{{}}}", tensors.iter().map(entry).collect::<Vec<_>>().join(","))
}

fn parameter(name: &str, shape: &[usize]) -> Parameter {
    Parameter::learnt(name.to_owned(), shape.to_vec())
}

/// The whole chain of causes as one text, as a log shows it.
fn chain(error: &dyn Error) -> String {
    error.to_string() + "\n" + &error.source().map_or_else(String::new, chain)
}

fn check_refused<T>(result: Result<T, impl Error>, expect: &[&str]) {
    let Err(error) = result else { panic!("this must be refused: {expect:?}") };
    let text = chain(&error);
    expect.iter().for_each(|part| assert!(text.contains(part), "{part:?} is not in {text:?}"));
}

fn check_file_refused(bytes: &[u8], expect: &[&str]) {
    check_refused(Scene::new(bytes).open(), &[expect, &["scene.safetensors"]].concat());
}

#[test]
fn damaged_files_are_refused_with_the_remedy() {
    let sound = file(&header(&[("a", "F32", "[2]", [0, 8])]), &[0; 8]);
    Scene::new(&sound).open().unwrap();
    check_file_refused(b"", &["cut short: 0 bytes"]);
    check_file_refused(&sound[..20], &["cut short: 20 bytes"]);
    check_file_refused(&sound[..sound.len() - 1], &["cut short", "fetch or write"]);
    check_file_refused(&[&sound[..], &[0]].concat(), &["1 bytes behind its last tensor"]);
    check_file_refused(&file("{\"a\":", &[]), &["header", "damaged"]);
    check_refused(Checkpoint::open("/nowhere/at/all"), &["cannot read", "check the path"]);
}

#[test]
fn a_huge_header_is_refused_before_it_is_allocated() {
    for length in [(16 << 20) + 1, u64::from(u32::MAX), u64::MAX] {
        check_file_refused(&[&length.to_le_bytes()[..], b"{}"].concat(), &["header of", "16777216"]);
    }
}

#[test]
fn overlaps_and_gaps_and_absurd_shapes_are_refused() {
    let damaged = ["header", "damaged"];
    let two = |second| header(&[("a", "F32", "[2]", [0, 8]), ("b", "F32", "[2]", second)]);
    check_file_refused(&file(&two([4, 12]), &[0; 16]), &damaged);
    check_file_refused(&file(&two([12, 20]), &[0; 20]), &damaged);
    check_file_refused(&file(&two([8, 20]), &[0; 20]), &damaged);
    check_file_refused(&file(&header(&[("a", "F32", "[2]", [8, 0])]), &[0; 8]), &damaged);
    let many = format!("[{0},{0},{0}]", u64::MAX / 2);
    check_file_refused(&file(&header(&[("a", "F32", &many, [0, 8])]), &[0; 8]), &damaged);
    let beyond = 1 << 50;
    let vast = header(&[("a", "F32", &format!("[{}]", beyond / 4), [0, beyond])]);
    check_file_refused(&file(&vast, &[0; 8]), &["cut short"]);
    check_file_refused(&file(&"[".repeat(100_000), &[]), &damaged);
}

#[test]
fn foreign_formats_are_recognised() {
    check_file_refused(b"PK\x03\x04\x00\x00\x08\x08\x00\x00", &["pickle or zip", "weights_only=True"]);
    check_file_refused(b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20", &["pickle or zip", "safetensors.torch"]);
    check_file_refused(b"version https://git-lfs.github.com/spec/v1\n", &["Git LFS pointer", "git lfs pull"]);
    check_file_refused(b"<!DOCTYPE html><html>", &["header of"]);
}

#[test]
fn tensors_are_read_by_name_and_shape() {
    let layout = header(&[
        ("norm.num_batches_tracked", "I64", "[]", [0, 8]),
        ("a", "F32", "[2]", [8, 16]),
        ("module.b", "F16", "[2]", [16, 20]),
        ("c", "BF16", "[2]", [20, 24]),
        ("d", "F64", "[1]", [24, 32]),
    ]);
    let mut data = vec![0; 8];
    [1.5_f32, -2.0].iter().for_each(|number| data.extend(number.to_le_bytes()));
    [1.5_f32, -2.0].iter().for_each(|&number| data.extend(half::f16::from_f32(number).to_le_bytes()));
    [1.5_f32, -2.0].iter().for_each(|&number| data.extend(half::bf16::from_f32(number).to_le_bytes()));
    data.extend([0; 8]);
    let checkpoint = Scene::new(&file(&layout, &data)).open().unwrap();
    for name in ["a", "b", "c"] {
        assert_eq!(checkpoint.read(&parameter(name, &[2])).unwrap(), [1.5, -2.0], "{name}");
    }
    check_refused(checkpoint.read(&parameter("d", &[1])), &["\"d\"", "F64", "convert it to float32"]);
    check_refused(checkpoint.read(&parameter("a", &[1, 2])), &["\"a\"", "[2]", "[1, 2]", "classes"]);
    check_refused(checkpoint.read(&parameter("e", &[3])), &["no tensor \"e\"", "[3]", "torchvision's names"]);
    check_refused(
        checkpoint.read(&parameter("num_batches_tracked", &[])),
        &["it has \"norm.num_batches_tracked\""],
    );
}

/// All of a network with zeros, and ones where a variance is wanted.
fn save_plain(arch: Arch, classes: u32) -> Scene {
    let scene = Scene::new(b"previous");
    let network = arch.network_with(arch.network().input, classes);
    let plain = |parameter: &Parameter| vec![1.0; parameter.elements() as usize];
    let layers: Vec<_> =
        network.layers().iter().map(|layer| LayerTensors::make(&network, layer.kind, plain)).collect();
    writer::save_layers(&scene.path, &layers).unwrap();
    scene
}

#[test]
fn what_is_written_is_read_back() {
    let scene = save_plain(Arch::ResNet20, 7);
    let checkpoint = scene.open().unwrap();
    assert_eq!(checkpoint.classes(Arch::ResNet20).unwrap(), 7);
    let spec = checkpoint.spec(Arch::ResNet20).unwrap();
    checkpoint.check(&spec.network()).unwrap();
    check_refused(checkpoint.check(&Arch::ResNet20.network()), &["\"linear.weight\"", "[7, 64]", "[10, 64]"]);
    check_refused(checkpoint.spec(Arch::ResNet50), &["no tensor \"fc.weight\""]);
    let head = LayerTensors::read(&checkpoint, &spec.network(), LayerKind::Head).unwrap();
    assert_eq!(head.get("linear.bias").unwrap(), [1.0; 7]);
}

#[test]
fn an_open_checkpoint_keeps_its_file_when_another_takes_the_name() {
    let scene = save_plain(Arch::ResNet20, 7);
    let checkpoint = scene.open().unwrap();
    let zeros = NamedTensor { name: "linear.bias", shape: &[7], numbers: &[0.0; 7] };
    writer::save(&scene.path, &[zeros]).unwrap();
    assert_eq!(checkpoint.read(&parameter("linear.bias", &[7])).unwrap(), [1.0; 7]);
    assert_eq!(scene.open().unwrap().read(&parameter("linear.bias", &[7])).unwrap(), [0.0; 7]);
}

#[test]
fn tensors_that_make_no_file_are_refused_and_the_previous_one_stays() {
    let scene = Scene::new(b"previous");
    let short = NamedTensor { name: "a", shape: &[3], numbers: &[0.0; 2] };
    let full = NamedTensor { name: "a", shape: &[2], numbers: &[0.0; 2] };
    check_refused(writer::save(&scene.path, &[short]), &["make no checkpoint"]);
    check_refused(writer::save(&scene.path, &[full, full]), &["a name comes twice"]);
    let nowhere = scene.folder.path().join("absent/file");
    check_refused(writer::save(&nowhere, &[full]), &["cannot write", "free space"]);
    assert_eq!(fs::read(&scene.path).unwrap(), b"previous");
}

#[test]
fn a_manifest_survives_its_file_and_notices_what_is_not_one() {
    let scene = save_plain(Arch::ResNet20, 10);
    let checkpoint = scene.open().unwrap();
    let manifest = Manifest::compute(&checkpoint, &Arch::ResNet20.into()).unwrap();
    let path = Manifest::beside(&scene.path);
    assert!(path.to_string_lossy().ends_with("scene.safetensors.manifest.json"));
    manifest.save(&path).unwrap();
    assert_eq!(Manifest::load(&path).unwrap(), manifest);
    manifest.verify(&checkpoint).unwrap();

    let text = fs::read_to_string(&path).unwrap();
    let check = |from: &str, to: &str, expect: &str| {
        fs::write(&path, text.replacen(from, to, 1)).unwrap();
        check_refused(Manifest::load(&path), &[expect, "manifest"]);
    };
    check("\"version\": 1", "\"version\": 2, \"new\": 0", "version 2");
    check("layer1.0.conv1", "layer1.0.conv9", "does not list the layers");
    check("\"sha256\": \"", "\"sha256\": \"zz", "not a manifest of weights");
    check("resnet20", "resnet21", "unknown network");
    fs::File::create(&path).unwrap().set_len(5 << 20).unwrap();
    check_refused(Manifest::load(&path), &["no manifest"]);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_make_it_panic(damage in proptest::collection::vec((0..400_usize, any::<u8>()), 1..6), cut in 0..500_usize) {
        let layout = header(&[("a", "F32", "[2]", [0, 8]), ("b", "F16", "[3,1]", [8, 14])]);
        let mut bytes = file(&layout, &[7; 14]);
        let length = bytes.len();
        damage.into_iter().for_each(|(at, byte)| bytes[at % length] = byte);
        bytes.truncate(cut);
        if let Ok(checkpoint) = Scene::new(&bytes).open() {
            let _ = (checkpoint.read(&parameter("a", &[2])), checkpoint.classes(Arch::ResNet20));
        }
    }
}
