//! `train` as a user meets it: repeatable, resumable after a kill, and its network is the one that is served.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A run so small that it takes seconds; it learns next to nothing.
fn train(out: &Path, more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_weir-worker"));
    let tiny = "train --arch resnet20 --dataset shapes --epochs 4 --validation 50 --batch 32 --average 0.9";
    let images = if more.contains(&"--limit") { &[][..] } else { &["--limit", "192"] };
    command
        .args(tiny.split(' '))
        .args(images)
        .args(more)
        .arg("--out")
        .arg(out)
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    command
}

fn run(out: &Path, more: &[&str]) {
    let output = train(out, more).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn refused(out: &Path, more: &[&str]) -> String {
    let output = train(out, more).output().unwrap();
    assert!(!output.status.success());
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The log without its last column, the time.
fn log(out: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(format!("{}.log.csv", out.display())).unwrap();
    text.lines().map(|line| line.rsplit_once(',').unwrap().0.to_owned()).collect()
}

fn state(out: &Path) -> std::path::PathBuf {
    format!("{}.state", out.display()).into()
}

/// Starts a run and kills it as soon as it has left a state.
fn run_and_kill(out: &Path) {
    let mut child = train(out, &[]).spawn().unwrap();
    let began = Instant::now();
    while !state(out).exists() {
        assert!(began.elapsed() < Duration::from_secs(120), "no state after two minutes");
        assert!(child.try_wait().unwrap().is_none(), "it ended before it was killed");
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!out.exists(), "killed before the end, so there is no network yet");
}

/// The same where no file may grow beyond a megabyte: to a process, that is a full disk.
fn with_a_full_disk(command: &Command) -> Command {
    let mut limited = Command::new("bash");
    // Refused in place of killed, as on a full disk; then the limit, in KiB.
    limited.args(["-c", "trap '' XFSZ; ulimit -f 1024; exec \"$@\"", "bash"]).arg(command.get_program());
    limited.args(command.get_args()).stdout(Stdio::null()).stderr(Stdio::piped());
    limited
}

/// Neighbours of files that were being replaced.
fn half_written(out: &Path) -> BTreeSet<OsString> {
    let files = std::fs::read_dir(out.parent().unwrap()).unwrap();
    let names = files.map(|entry| entry.unwrap().file_name());
    names.filter(|name| name.to_string_lossy().ends_with(".part")).collect()
}

/// A run that can not save its state says so, and leaves the state before it and the network before it alone.
fn check_a_full_disk_loses_nothing(out: &Path) {
    let before = [state(out), out.to_owned()].map(|path| std::fs::read(path).ok());
    let left_by_the_kill = half_written(out);
    let output = with_a_full_disk(&train(out, &[])).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        !output.status.success() && said.contains("cannot write") && said.contains("free space"),
        "{said}"
    );
    assert!(before == [state(out), out.to_owned()].map(|path| std::fs::read(path).ok()), "all is as before");
    assert_eq!(half_written(out), left_by_the_kill, "nothing half-written is left");
}

#[test]
fn a_killed_run_goes_on_to_the_same_network_bit_for_bit() {
    let folder = tempfile::tempdir().unwrap();
    let [straight, again, killed] = ["straight", "again", "killed"].map(|name| folder.path().join(name));
    run(&straight, &[]);
    run(&again, &[]);
    run_and_kill(&killed);
    check_a_full_disk_loses_nothing(&killed);
    run(&killed, &["--resume", "always"]);
    let bytes = |path: &Path| std::fs::read(path).unwrap();
    assert!(bytes(&straight) == bytes(&again), "the same seed makes the same network");
    assert!(bytes(&straight) == bytes(&killed), "so does a run that was killed and resumed");
    assert_eq!((log(&straight).len(), log(&straight)), (5, log(&killed)));
    assert!(!state(&straight).exists() && !state(&killed).exists(), "an ended run leaves no state");
    assert!(straight.with_file_name("straight.manifest.json").exists());
    check_a_full_disk_loses_nothing(&straight);
    run(&again, &["--seed", "2"]);
    assert!(bytes(&straight) != bytes(&again), "another seed makes another network");
}

#[test]
fn mistakes_are_explained_and_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("net");
    assert!(refused(&out, &["--resume", "always"]).contains("no state to resume"));
    assert!(refused(&out, &["--drop-branch", "2"]).contains("--drop-branch is 2, but must be 0 to 0.9"));
    assert!(refused(&out, &["--limit", "8"]).contains("8 training images do not fill a batch of 32"));
    run_and_kill(&out);
    let left = std::fs::read(state(&out)).unwrap();
    assert!(refused(&out, &["--seed", "9"]).contains("other options"));
    assert!(refused(&out, &["--data-seed", "9"]).contains("other images"));
    assert!(std::fs::read(state(&out)).unwrap() == left, "a refused run changes nothing");
    std::fs::write(state(&out), &left[..left.len() / 2]).unwrap();
    assert!(refused(&out, &[]).contains("damaged"));
}
