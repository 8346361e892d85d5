//! `eval` as a user meets it: published accuracies come out, exports hold what was computed, mistakes are explained.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn weir_worker(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_weir-worker")).args(args).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Runs and reads the JSON report.
fn report(args: &[&str]) -> serde_json::Value {
    let output = weir_worker(args);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(text(&output.stderr), "", "no bar where nobody watches");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A path beside the project, or a line that says why the test does nothing.
fn beside_the_project(path: &str) -> Option<PathBuf> {
    let full = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared").join(path);
    if full.exists() {
        return Some(full);
    }
    eprintln!("SKIPPED: there is nothing at {}", full.display());
    None
}

/// A network with random weights, in a folder that goes when the test ends.
fn random_network() -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("net.safetensors").to_str().unwrap().to_owned();
    let made = weir_worker(&["init", "--arch", "resnet20", "--seed", "3", "--out", &path]);
    assert!(made.status.success(), "{}", text(&made.stderr));
    (folder, path)
}

#[test]
fn a_published_network_scores_as_published() {
    let Some(weights) = beside_the_project("checkpoints/resnet20-cifar10-thirdparty.safetensors") else {
        return;
    };
    let Some(data) = beside_the_project("cifar-10-batches-bin") else { return };
    let (weights, data) = (weights.to_str().unwrap(), data.to_str().unwrap());
    let common = ["eval", "--arch", "resnet20", "--weights", weights, "--dataset", "cifar10", "--data", data];
    let first_2000 = |more: &[&str]| report(&[&common[..], &["--limit", "2000", "--json"], more].concat());
    // All 10,000 give 9173: 91.73 %, as published. These are the figures of the first 2,000.
    let whole = first_2000(&[]);
    assert_eq!((whole["correct"].as_u64(), whole["count"].as_u64()), (Some(EXPECTED), Some(2_000)));
    assert_eq!(first_2000(&["--batch-norm", "separate"])["correct"].as_u64(), Some(EXPECTED));
    // Trained plainly, it does not survive losing a residual branch.
    let without = first_2000(&["--active", "F:layer2.1"])["correct"].as_u64().unwrap();
    assert!(without < EXPECTED - 200, "{without}");
}

const EXPECTED: u64 = 1834;

#[test]
fn an_export_holds_what_was_sent_and_what_came_back() {
    let (folder, weights) = random_network();
    let common = [
        "eval",
        "--arch",
        "resnet20",
        "--weights",
        &weights,
        "--dataset",
        "shapes",
        "--limit",
        "5",
        "--json",
    ];
    let export = |name: &str, batch: &str| {
        let path = folder.path().join(name);
        report(&[&common, &["--batch", batch, "--export", path.to_str().unwrap()][..]].concat());
        std::fs::read(path).unwrap()
    };
    let (one, again, five) = (export("one", "1"), export("again", "1"), export("five", "5"));
    assert!(one == again, "the same network, images and batch give the same bytes");
    let [one, five] = [&one, &five].map(|bytes| safetensors::SafeTensors::deserialize(bytes).unwrap());
    let shape = |name: &str| one.tensor(name).unwrap().shape().to_vec();
    assert_eq!(
        (shape("images"), shape("labels"), shape("logits")),
        (vec![5, 3, 32, 32], vec![5], vec![5, 10])
    );
    assert!(one.tensor("images").unwrap().data() == five.tensor("images").unwrap().data());
    let numbers = |file: &safetensors::SafeTensors<'_>| -> Vec<f32> {
        let bytes = file.tensor("logits").unwrap().data().to_vec();
        bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
    };
    // Another batch size may round differently, but no more than that.
    assert!(numbers(&one).iter().zip(numbers(&five)).all(|(a, b)| (a - b).abs() < 1e-3));
}

/// A mistake and what the message must say.
fn check_refused(args: &[&str], expect: &str) {
    let output = weir_worker(&[&["eval"], args].concat());
    let said = text(&output.stderr);
    assert!(!output.status.success() && said.contains(expect), "{said:?} should say {expect:?}");
}

#[test]
fn mistakes_are_explained() {
    let (_folder, weights) = random_network();
    let net = ["--arch", "resnet20", "--weights", &weights, "--limit", "4"];
    let with = |more: &[&'static str]| [&net[..], more].concat();
    check_refused(&with(&["--dataset", "cifar10"]), "--data DIR");
    check_refused(&with(&["--dataset", "cifar10", "--data", "/nowhere"]), "test_batch.bin is missing");
    check_refused(&with(&["--dataset", "shapes", "--active", "F:layer9.9"]), "layer9.9");
    check_refused(&with(&["--dataset", "shapes", "--active", "F:layer1.1,S:layer1.1"]), "keep one of them");
    check_refused(&["--arch", "resnet56", "--weights", &weights, "--dataset", "shapes"], "no tensor");
}
