//! Every accuracy profile that is shipped is true: `eval` gives what it states, to the image.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

use std::path::{Path, PathBuf};
use std::process::Command;

use weir_shared::profile::{Document, Kind, Profile, Score, SetResult};
use weir_shared::weights::{Checkpoint, Manifest};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// The CIFAR-10 folder: `WEIR_CIFAR10`, or the one beside the project.
fn cifar10() -> PathBuf {
    let beside = || Path::new(ROOT).join("../shared/cifar-10-batches-bin");
    std::env::var_os("WEIR_CIFAR10").map_or_else(beside, PathBuf::from)
}

/// The options that name the test split of a profile; none where its images are not on this machine.
fn images(document: &Document) -> Option<Vec<String>> {
    let data = &document.data;
    let mut options = vec!["--dataset".to_owned(), data.name.clone()];
    match (data.name.as_str(), data.seed) {
        ("shapes", Some(seed)) => options.extend(["--data-seed".to_owned(), seed.to_string()]),
        ("cifar10", None) => {
            let folder = cifar10();
            if !folder.is_dir() {
                return None;
            }
            options.extend(["--data".to_owned(), folder.to_str().unwrap().to_owned()]);
        }
        other => panic!("a shipped profile is of shapes or of cifar10, not of {other:?}"),
    }
    options.extend(["--limit".to_owned(), data.test.images.to_string()]);
    Some(options)
}

/// Three sets of different kinds: the cheapest that loses a point at most, the one that shares least and still answers,
/// and a drawn one; others in place of those that there are not.
fn three(document: &Document) -> Vec<&SetResult> {
    let measured = || document.sets.iter().filter(|set| set.test.is_some());
    let within = |points: f64| {
        measured().filter(move |set| set.validation.points_below(document.full_validation) <= points)
    };
    let cheapest = within(1.0).min_by(|a, b| a.macs_kept.total_cmp(&b.macs_kept));
    let leanest = within(10.0).min_by(|a, b| a.bytes_kept.total_cmp(&b.bytes_kept));
    let drawn = within(10.0).rfind(|set| set.kind == Kind::Random);
    let mut chosen: Vec<&SetResult> = Vec::new();
    for set in [cheapest, leanest, drawn].into_iter().flatten().chain(measured()) {
        if chosen.len() < 3 && chosen.iter().all(|other| other.off != set.off) {
            chosen.push(set);
        }
    }
    chosen
}

fn check(path: &Path) {
    let file = path.file_name().unwrap().to_str().unwrap();
    let profile = Profile::from_json(&std::fs::read(path).unwrap()).unwrap();
    let document = profile.document();
    let weights = path.with_file_name(file.replace(".profile.json", ".safetensors"));
    let manifest = Manifest::compute(&Checkpoint::open(&weights).unwrap(), &document.network).unwrap();
    profile.check_about(&document.network, &manifest.digests()).unwrap();
    let Some(images) = images(document) else {
        eprintln!(
            "SKIPPED: {file} is of CIFAR-10, and there is no folder at {}; name one with WEIR_CIFAR10",
            cifar10().display()
        );
        return;
    };
    let stated = |set: &SetResult| (set.off.clone(), set.test.unwrap());
    let mut stated: Vec<(String, Score)> = three(document).into_iter().map(stated).collect();
    stated.push((String::new(), document.full_test));
    let check_one = |(off, stated): &(String, Score)| {
        let mut process = Command::new(env!("CARGO_BIN_EXE_weir-worker"));
        process.args(["eval", "--json", "--threads", "1", "--arch", document.network.arch().name()]);
        process.args(["--batch", &document.provenance.batch.to_string(), "--active", off]).args(&images);
        let output = process.arg("--weights").arg(&weights).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let found = [&found["correct"], &found["count"]].map(|number| number.as_u64().unwrap());
        let expected = [stated.correct(), stated.count()].map(u64::from);
        assert_eq!(found, expected, "{file}, off: {off:?}; right answers and images, here and as stated");
        println!("{file}: {:.2} % with {off:?} off, as stated", 100.0 * stated.accuracy());
    };
    // Two at once, as the tests of this project run.
    let (one, other) = stated.split_at(2);
    std::thread::scope(|scope| {
        scope.spawn(|| one.iter().for_each(check_one));
        other.iter().for_each(check_one);
    });
}

#[test]
fn every_shipped_profile_is_true_to_the_image() {
    let files = std::fs::read_dir(Path::new(ROOT).join("models")).unwrap().map(|entry| entry.unwrap().path());
    let mut profiles: Vec<PathBuf> =
        files.filter(|path| path.to_str().unwrap().ends_with(".profile.json")).collect();
    profiles.sort();
    assert!(!profiles.is_empty(), "a network is shipped with its profile");
    profiles.iter().for_each(|path| check(path));
}
