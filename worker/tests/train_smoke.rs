//! `make train-smoke`: a small run learns, a kill half-way changes nothing, and the same seed makes the same network.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

const EPOCHS: usize = 4;

/// The accuracy that the run has to reach on validation images, in percent; chance is 10.
const ACCURACY: f64 = 20.0;

fn train(out: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_weir-worker"));
    let recipe = "train --arch resnet20 --dataset shapes --limit 3000 --batch 16 --learning-rate 0.4 --seed 1 \
                  --subnetwork-from 0.5 --validation 1000 --threads 1";
    command.args(recipe.split_whitespace()).args(["--epochs", &EPOCHS.to_string()]).arg("--out").arg(out);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn said(output: Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn beside(out: &Path, suffix: &str) -> std::path::PathBuf {
    format!("{}{suffix}", out.display()).into()
}

/// Runs half of the passes, kills the process within the next one, and runs the rest in another.
fn train_killed_half_way(out: &Path) -> String {
    let mut child = train(out).spawn().unwrap();
    let began = Instant::now();
    let passes = || {
        let log = std::fs::read_to_string(beside(out, ".log.csv")).unwrap_or_default();
        log.lines().count().saturating_sub(1)
    };
    // The page is written last, after row and state of a pass.
    while passes() < EPOCHS / 2 || !beside(out, ".log.html").exists() {
        assert!(began.elapsed() < Duration::from_secs(600), "half of the passes took ten minutes");
        assert!(child.try_wait().unwrap().is_none(), "it ended before it was killed");
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!out.exists() && beside(out, ".state").exists(), "killed before the end");
    said(train(out).args(["--resume", "always"]).output().unwrap())
}

#[test]
fn a_small_run_learns_and_survives_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let [straight, killed] = ["straight", "killed"].map(|name| folder.path().join(name));
    let (whole, resumed) = std::thread::scope(|scope| {
        let whole = scope.spawn(|| said(train(&straight).output().unwrap()));
        (train_killed_half_way(&killed), whole.join().unwrap())
    });
    let figures = |said: &str| said.lines().skip(1).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(figures(&whole), figures(&resumed), "two runs of one seed agree");
    let bytes = |path: &Path| std::fs::read(path).unwrap();
    assert!(bytes(&straight) == bytes(&killed), "and make the same network, bit for bit");
    let page = std::fs::read_to_string(beside(&killed, ".log.html")).unwrap();
    assert!(
        page.contains(&format!("After {EPOCHS} passes")) && !page.contains("http"),
        "the curves of all passes"
    );
    let accuracy = whole.split_once("accuracy").unwrap().1.split_once('%').unwrap().0.trim();
    let accuracy: f64 = accuracy.parse().unwrap();
    assert!(accuracy >= ACCURACY, "{accuracy} % of the validation images, where {ACCURACY} % are expected");
    println!(
        "train-smoke: PASSED: {accuracy} % of validation images (at least {ACCURACY} %); killed after pass {} of \
         {EPOCHS} and resumed: the same network, bit for bit",
        EPOCHS / 2
    );
}
