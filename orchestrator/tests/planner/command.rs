//! `weir plan --snapshot` as a person calls it.

use std::path::Path;
use std::process::Command;

use weir_orchestrator::checker;
use weir_orchestrator::planner::snapshot::Snapshot;
use weir_orchestrator::planner::{Policy, Solution};
use weir_shared::arch::Arch;

use crate::instances::Recipe;

/// Standard output and error, and whether it went well.
fn plan(folder: &Path, arguments: &[&str]) -> (String, String, bool) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
    let output = command.current_dir(folder).arg("plan").args(arguments).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (text(output.stdout), text(output.stderr), output.status.success())
}

fn folder(snapshot: &Snapshot, policy: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("s.json"), serde_json::to_vec(snapshot).unwrap()).unwrap();
    std::fs::write(folder.path().join("p.toml"), policy).unwrap();
    folder
}

#[test]
fn a_snapshot_is_planned_for_and_the_plan_holds() {
    let snapshot = Recipe { load: 0.2, ..Recipe::new(Arch::ResNet20, 3, 3, 4) }.draw();
    let policy = "minimise = 'energy'\n[bounds]\naccuracy_loss_points = 1.0";
    // The orchestrator's own file, whose rules of re-planning do not matter here.
    let folder = folder(&snapshot, &format!("{policy}\n[replan]\nmargin = 0.2"));
    let files = ["--snapshot", "s.json", "--policy", "p.toml"];
    let (json, errors, fine) = plan(folder.path(), &[&files[..], &["--json"]].concat());
    assert!(fine, "{errors}");
    let solution: Solution = serde_json::from_str(&json).unwrap();
    checker::check(&snapshot, &Policy::parse(policy).unwrap(), &solution).unwrap();
    let (again, ..) = plan(folder.path(), &[&files[..], &["--json"]].concat());
    assert_eq!(json, again);
    let (table, ..) = plan(folder.path(), &files);
    for expect in ["latency", "no plan is below", "first layer", "stem", "head", "encoding"] {
        assert!(table.contains(expect), "{table}");
    }
    let (front, ..) = plan(folder.path(), &[&files[..], &["--pareto", "--json"]].concat());
    let front: Vec<Solution> = serde_json::from_str(&front).unwrap();
    assert!(!front.is_empty());
    let (table, ..) = plan(folder.path(), &[&files[..], &["--pareto"]].concat());
    assert!(table.contains("switched off"), "{table}");
}

#[test]
fn what_is_wrong_is_said_with_the_file() {
    let snapshot = Recipe { load: 0.2, ..Recipe::new(Arch::ResNet20, 2, 2, 4) }.draw();
    let check = |snapshot: &Snapshot, policy: &str, expect: &[&str]| {
        let folder = folder(snapshot, policy);
        let (_, errors, fine) = plan(folder.path(), &["--snapshot", "s.json", "--policy", "p.toml"]);
        assert!(!fine);
        expect.iter().for_each(|expect| assert!(errors.contains(expect), "{errors}"));
    };
    check(
        &snapshot,
        "[bounds]\nlatency_seconds = 1e-5",
        &["any one of these would do", "s of latency instead"],
    );
    check(&snapshot, "[bounds]\nlatency = 1", &["p.toml", "unknown field"]);
    let newer = Snapshot { version: 9, ..snapshot.clone() };
    check(&newer, "", &["s.json", "version 9"]);
    let alone = Snapshot { links: Vec::new(), ..snapshot };
    check(&alone, "", &["no chain of links"]);
}
