//! The `folder` data set as a user meets it: own images load, whatever their size, and what is wrong is named.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

use std::num::NonZeroU16;
use std::path::Path;
use std::process::Command;

use image::{Rgb, RgbImage};
use weir_worker::dataset::{Dataset, DatasetName, Split};

/// `count` images of one colour each and of various sizes, in both formats.
fn class(folder: &Path, name: &str, count: u32, red: u8) {
    let class = folder.join(name);
    std::fs::create_dir_all(&class).unwrap();
    for number in 0..count {
        let image = RgbImage::from_pixel(20 + number, 60 - number % 30, Rgb([red, number as u8, 0]));
        let extension = if number % 2 == 0 { "png" } else { "jpg" };
        image.save(class.join(format!("{number}.{extension}"))).unwrap();
    }
}

fn dataset(folder: &Path, side: u16) -> Dataset {
    let dataset = Dataset::new(DatasetName::Folder, Some(folder.to_owned()), 0).unwrap();
    dataset.with_side(NonZeroU16::new(side).unwrap())
}

#[test]
fn images_of_any_size_are_brought_to_one_and_split() {
    let folder = tempfile::tempdir().unwrap();
    class(folder.path(), "zebra", 100, 250);
    class(folder.path(), "ant", 100, 5);
    let load = |split| dataset(folder.path(), 24).load(split, None).unwrap();
    let [train, validation, test] = [Split::Train, Split::Validation, Split::Test].map(load);
    assert_eq!(train.classes(), ["ant", "zebra"], "sorted by name");
    assert_eq!(train.len() + validation.len() + test.len(), 200, "each image is in one split");
    assert!(validation.len() > 5 && test.len() > 5 && train.len() > 120);
    assert_eq!(train.shape().elements(), 3 * 24 * 24);
    for index in 0..train.len() {
        let red = train.pixels(index)[0];
        assert_eq!(train.label(index), u8::from(red > 128), "pixels and label belong together");
    }
    assert!(
        (0..20).any(|i| train.label(i) == 0) && (0..20).any(|i| train.label(i) == 1),
        "classes are mixed"
    );
    let few = dataset(folder.path(), 24).load(Split::Train, Some(7)).unwrap();
    assert!((0..7).all(|index| few.pixels(index) == train.pixels(index)));
}

fn check_refused(folder: &Path, expect: &str) {
    let loaded =
        [Split::Train, Split::Validation, Split::Test].map(|split| dataset(folder, 32).load(split, None));
    let errors: Vec<String> =
        loaded.into_iter().filter_map(Result::err).map(|error| error.to_string()).collect();
    assert!(errors.iter().any(|error| error.contains(expect)), "{errors:?} should say {expect:?}");
}

#[test]
fn what_is_wrong_is_named() {
    let folder = tempfile::tempdir().unwrap();
    check_refused(&folder.path().join("absent"), "absent");
    check_refused(folder.path(), "at least 2 classes");
    class(folder.path(), "only", 3, 9);
    check_refused(folder.path(), "holds 1 folders");
    std::fs::create_dir(folder.path().join("hollow")).unwrap();
    check_refused(folder.path(), "hollow holds no PNG or JPEG");
    class(folder.path(), "hollow", 3, 200);
    std::fs::write(folder.path().join("hollow/torn.png"), b"\x89PNG\r\n\x1a\n torn").unwrap();
    check_refused(folder.path(), "torn.png is not a readable PNG or JPEG image");
    std::fs::remove_file(folder.path().join("hollow/torn.png")).unwrap();
    (0..260).for_each(|number| std::fs::create_dir(folder.path().join(format!("class{number}"))).unwrap());
    check_refused(folder.path(), "at most 256 classes");
    let error = Dataset::new(DatasetName::Folder, None, 0).unwrap_err().to_string();
    assert!(error.contains("--data DIR"), "{error}");
}

#[test]
fn a_network_of_another_class_count_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    class(folder.path(), "a", 40, 9);
    class(folder.path(), "b", 40, 200);
    let weights = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/shapes-resnet20.safetensors");
    let out = folder.path().join("x.profile.json");
    let mut process = Command::new(env!("CARGO_BIN_EXE_weir-worker"));
    process.args(["study", "--arch", "resnet20", "--dataset", "folder", "--data"]).arg(folder.path());
    let output = process.arg("--weights").arg(weights).arg("--out").arg(out).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("tells 10 classes apart, but these images have 2"), "{said}");
}

fn weir_worker(args: &[&str]) -> std::process::Output {
    Command::new(env!("CARGO_BIN_EXE_weir-worker")).args(args).output().unwrap()
}

#[test]
fn own_images_of_any_side_are_learnt_and_measured() {
    let folder = tempfile::tempdir().unwrap();
    class(&folder.path().join("images"), "dark", 60, 9);
    class(&folder.path().join("images"), "red", 60, 240);
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (images, weights) = (path("images"), path("own.safetensors"));
    let data = ["--dataset", "folder", "--data", &images];
    let with = |command: &[&str], more: &[&str]| {
        let output = weir_worker(&[command, &data, more].concat());
        let [out, err] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
        if output.status.success() { Ok(out) } else { Err(err) }
    };
    let net =
        ["--arch", "resnet20", "--out", &weights, "--epochs", "1", "--batch", "32", "--image-side", "20"];
    with(&["train"], &net).unwrap();
    let net = ["--arch", "resnet20", "--weights", &weights, "--split", "train"];
    // A ResNet ends with a mean over the image, so any side will do; without one it is that of the paper.
    for side in [&["--image-side", "20"][..], &["--image-side", "50"], &[]] {
        let said = with(&["eval", "--limit", "12"], &[&net, side].concat()).unwrap();
        assert!(said.contains("12 of folder"), "{said}");
    }
    let said = with(&["eval"], &[&net[..], &["--image-side", "9"]].concat()).unwrap_err();
    assert!(said.contains("--image-side") && said.contains("16 to 1024 rows and columns"), "{said}");
    let said = with(
        &["train", "--arch", "resnet18", "--epochs", "1", "--image-side", "9"],
        &["--batch", "32", "--out", &weights],
    );
    let said = said.unwrap_err();
    assert!(said.contains("--image-side") && said.contains("16 to 1024 rows and columns"), "{said}");

    // A network of the other family.
    let other = path("other.safetensors");
    assert!(weir_worker(&["init", "--arch", "resnet18", "--classes", "2", "--out", &other]).status.success());
    let net = ["--arch", "resnet18", "--weights", &other, "--split", "train", "--limit", "2"];
    for side in [&["--image-side", "64"][..], &[]] {
        with(&["eval"], &[&net, side].concat()).unwrap();
    }
    let out = path("own.profile.json");
    let few = ["--images-validation", "2", "--images-test", "2", "--budget", "quick", "--image-side", "32"];
    let net = ["--arch", "resnet20", "--weights", &weights, "--out", &out];
    assert!(with(&["study"], &[&net[..], &few].concat()).unwrap().contains("profile"));
}
