//! Recorded cases decide today what they decided then. `orchestrator/tests/cluster/adaptive.rs` makes the traces from
//! real clusters when `WEIR_TEST_TRACES` names a folder.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn traces() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/traces");
    let mut found: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.sort();
    found
}

fn replay(trace: &Path, more: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_weir")).arg("replay").arg(trace).args(more).output().unwrap()
}

#[test]
fn recorded_cases_decide_as_they_did() {
    assert!(!traces().is_empty());
    for trace in traces() {
        let output = replay(&trace, &[]);
        let said = String::from_utf8_lossy(&output.stdout);
        println!("{}\n{said}", trace.display());
        assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn another_policy_is_tried_on_a_recorded_case_and_a_broken_one_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let policy = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let trace = &traces()[0];
    let other = policy("other.toml", "minimise = 'latency'\n[bounds]\nlatency_seconds = 1e-9");
    let output = replay(trace, &["--policy", &other]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && said.contains("DIFFERS"), "{said}");
    let broken = policy("broken.toml", "minimise = 'energy'\n[replan]\nmargin = -1.0");
    let output = replay(trace, &["--policy", &broken]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("replan.margin"), "{said}");
    let text = policy("text.jsonl", "this is no trace");
    let output = replay(Path::new(&text), &[]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("line 1 of the trace"), "{said}");
}
