//! `study` as a user meets it: its profile is true, survives a kill, and mistakes are explained.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use weir_shared::arch::{Arch, NetworkSpec};
use weir_shared::profile::{Document, Loss, Profile};
use weir_shared::weights::Manifest;

const IMAGES: [&str; 6] = ["--images-validation", "40", "--images-test", "60", "--batch", "20"];

fn weights() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/shapes-resnet20.safetensors")
}

fn weir_worker(command: &str) -> Command {
    let mut process = Command::new(env!("CARGO_BIN_EXE_weir-worker"));
    process.args([command, "--arch", "resnet20", "--dataset", "shapes", "--weights"]).arg(weights());
    process.stdout(Stdio::piped()).stderr(Stdio::piped());
    process
}

/// A study of few images that takes a second or two.
fn study(out: &Path, more: &[&str]) -> Command {
    let mut process = weir_worker("study");
    process.args(["--budget", "quick"]).args(IMAGES).args(more).arg("--out").arg(out);
    process
}

fn run(mut process: impl std::borrow::BorrowMut<Command>) -> String {
    let process = process.borrow_mut();
    let output = process.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn refused(mut process: Command) -> String {
    let output = process.output().unwrap();
    assert!(!output.status.success());
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn state(out: &Path) -> PathBuf {
    format!("{}.state", out.display()).into()
}

/// Starts a study and kills it as soon as it has left a state.
fn run_and_kill(out: &Path) {
    let mut child = study(out, &[]).spawn().unwrap();
    let began = Instant::now();
    while !state(out).exists() {
        assert!(began.elapsed() < Duration::from_secs(60), "no state after a minute");
        assert!(child.try_wait().unwrap().is_none(), "it ended before it was killed");
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!out.exists(), "killed before the end, so there is no profile yet");
}

/// What `eval` says of the same images.
fn eval(off: &str) -> (u64, u64) {
    let mut process = weir_worker("eval");
    process.args(["--json", "--limit", "60", "--batch", "20", "--active", off]);
    let report: serde_json::Value = serde_json::from_str(&run(process)).unwrap();
    (report["correct"].as_u64().unwrap(), report["count"].as_u64().unwrap())
}

fn check_eval_agrees(document: &Document) {
    let pair = |score: weir_shared::profile::Score| (u64::from(score.correct()), u64::from(score.count()));
    assert_eq!(eval(""), pair(document.full_test));
    let measured: Vec<_> = document.sets.iter().filter(|set| set.test.is_some()).collect();
    for set in [measured[3], measured[measured.len() / 2], measured[measured.len() - 1]] {
        assert_eq!(eval(&set.off), pair(set.test.unwrap()), "{}", set.off);
    }
}

#[test]
fn a_profile_is_true_and_a_kill_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| {
        std::fs::create_dir(folder.path().join(name)).unwrap();
        folder.path().join(name).join("net.profile.json")
    };
    let (straight, killed) = (place("straight"), place("killed"));
    let html = folder.path().join("report.html");
    let said = run(study(&straight, &["--html", html.to_str().unwrap()]));
    assert!(said.contains("surrogate") && said.contains("times fewer"), "{said}");
    run_and_kill(&killed);
    run(study(&killed, &["--resume", "always", "--threads", "2"]));
    let bytes = std::fs::read(&straight).unwrap();
    assert!(bytes == std::fs::read(&killed).unwrap(), "neither a kill nor threads change a figure");
    assert!(!state(&straight).exists() && !state(&killed).exists(), "an ended study leaves no state");

    let profile = Profile::from_json(&bytes).unwrap();
    let manifest = Manifest::load(&Manifest::beside(&weights())).unwrap();
    profile.check_about(&NetworkSpec::from(Arch::ResNet20), &manifest.digests()).unwrap();
    let document = profile.document();
    assert_eq!((document.encodings.len(), document.orders.len()), (2 * 28, 3));
    assert!(document.sets.iter().all(|set| matches!(profile.loss(&set.active), Loss::Measured { .. })));
    check_eval_agrees(document);

    check_compare(&straight);

    let page = std::fs::read_to_string(html).unwrap();
    let drawn = straight.with_file_name("drawn.html");
    let mut draw = Command::new(env!("CARGO_BIN_EXE_weir-worker"));
    run(draw.arg("draw").arg(&straight).arg("--out").arg(&drawn).stdout(Stdio::piped()));
    assert!(std::fs::read_to_string(drawn).unwrap() == page, "a report can be drawn from its profile");
    assert!(
        page.contains("<svg") && page.contains("prefers-color-scheme") && !page.contains("http"),
        "self-contained"
    );
}

/// Profiles stand beside each other as a table, each in a column of its name.
fn check_compare(profile: &Path) {
    let named = format!("resilient={}", profile.display());
    let mut process = Command::new(env!("CARGO_BIN_EXE_weir-worker"));
    process.arg("compare").arg(profile).arg(named).stdout(Stdio::piped()).stderr(Stdio::piped());
    let table = run(process);
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines[..2], ["| | net | resilient |", "|---|---|---|"]);
    assert!(lines.iter().all(|line| line.matches('|').count() == 4), "{table}");
    let has = |part: &str| lines.iter().any(|line| line.contains(part) && !line.contains("not measured"));
    assert!(
        has("everything active") && has("MACs dropped, ≤ 1.0") && has("shortcuts off together"),
        "{table}"
    );
    assert!(has("int8 at one cut") && has("one residual branch off"), "{table}");
    let mut process = Command::new(env!("CARGO_BIN_EXE_weir-worker"));
    process.arg("compare").arg(weights()).stdout(Stdio::piped()).stderr(Stdio::piped());
    assert!(refused(process).contains("can not be used"));
}

#[test]
fn mistakes_are_explained_and_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("net.profile.json");
    assert!(refused(study(&out, &["--resume", "always"])).contains("no state to resume"));
    run_and_kill(&out);
    let left = std::fs::read(state(&out)).unwrap();
    assert!(refused(study(&out, &["--data-seed", "9"])).contains("other images"));
    assert!(std::fs::read(state(&out)).unwrap() == left, "a refused study changes nothing");
    // No file may grow at all: to a process, that is a full disk.
    let (whole, mut full) = (study(&out, &[]), Command::new("bash"));
    full.args(["-c", "trap '' XFSZ; ulimit -f 0; exec \"$@\"", "bash"]).arg(whole.get_program());
    full.args(whole.get_args()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let said = refused(full);
    assert!(said.contains("cannot write") && said.contains("free space"), "{said}");
    assert!(std::fs::read(state(&out)).unwrap() == left, "what was measured before survives a full disk");
    std::fs::write(state(&out), &left[..left.len() / 2]).unwrap();
    assert!(refused(study(&out, &[])).contains("damaged"));
    let nowhere = folder.path().join("absent/net.profile.json");
    assert!(refused(study(&nowhere, &[])).contains("cannot write"));
}
