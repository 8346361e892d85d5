//! The rules of the house that a compiler does not know: which file may name what.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::{Path, PathBuf};

/// Decides without acting: time and randomness come in as arguments.
const PURE: [&str; 32] = [
    "shared/src/arch/",
    "shared/src/plan/",
    "shared/src/profile/",
    "shared/src/telemetry/",
    "shared/src/wire/",
    "shared/src/ids.rs",
    "orchestrator/src/checker.rs",
    "orchestrator/src/cluster/",
    "orchestrator/src/journal/entry.rs",
    "orchestrator/src/planner/",
    "orchestrator/src/replan/",
    "orchestrator/src/rollout/",
    "orchestrator/src/telemetry/",
    "orchestrator/src/gateway/windows.rs",
    "orchestrator/src/gateway/canary.rs",
    "orchestrator/src/supervisor/answers.rs",
    "orchestrator/src/supervisor/choice.rs",
    "orchestrator/src/supervisor/log.rs",
    "orchestrator/src/supervisor/record.rs",
    "orchestrator/src/supervisor/term.rs",
    "orchestrator/src/gateway/ledger.rs",
    "orchestrator/src/gateway/budget.rs",
    "orchestrator/src/demo/emulator/schedule.rs",
    "orchestrator/src/demo/scenario/arrivals.rs",
    "orchestrator/src/demo/scenario/spec.rs",
    "orchestrator/src/demo/scenario/timeline.rs",
    "orchestrator/src/demo/story/decisions.rs",
    "orchestrator/src/demo/story/measure.rs",
    "orchestrator/src/demo/story/narrate.rs",
    "orchestrator/src/demo/story/page/",
    "orchestrator/src/demo/story/recording.rs",
    "orchestrator/src/demo/story/targets.rs",
];

/// What a pure file must not name.
const IMPURE: [&str; 10] = [
    "actix",
    "quinn",
    "tokio",
    "prometheus",
    "std::fs",
    "std::thread",
    "SystemTime::now",
    "Instant::now",
    "UdpSocket",
    "TcpStream",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let nested = entries.flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] });
    nested.filter(|path| path.extension().is_some_and(|extension| extension == "rs")).collect()
}

/// Every source file of the three crates: path from the root, code without comments and tests.
fn house() -> Vec<(String, String)> {
    let crates = ["shared/src", "worker/src", "orchestrator/src"];
    let files = crates.iter().flat_map(|folder| sources(&root().join(folder)));
    let read = |path: PathBuf| {
        let name = path.strip_prefix(root()).unwrap().display().to_string();
        (name, std::fs::read_to_string(path).unwrap())
    };
    files.map(read).collect()
}

fn code(text: &str) -> String {
    let code = text.split("#[cfg(test)]").next().unwrap_or_default().lines();
    code.filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

fn check(rule: &str, offends: impl Fn(&str, &str) -> Option<String>) {
    let found: Vec<_> = house()
        .iter()
        .filter(|(name, _)| !name.ends_with("/tests.rs"))
        .filter_map(|(name, text)| offends(name, &code(text)).map(|what| format!("{name} names {what}")))
        .collect();
    assert!(found.is_empty(), "{rule}:\n{}", found.join("\n"));
}

#[test]
fn pure_files_name_no_clock_socket_or_runtime() {
    check("pure files decide and do not act", |name, code| {
        let pure = PURE.iter().any(|pure| name.starts_with(pure));
        IMPURE.iter().find(|word| pure && code.contains(**word)).map(ToString::to_string)
    });
}

#[test]
fn imports_go_one_way() {
    check("worker and orchestrator know only shared", |name, code| {
        let forbidden: &[&str] = match name.split('/').next() {
            Some("shared") => &["weir_worker::", "weir_orchestrator::"],
            Some("worker") => &["weir_orchestrator::"],
            _ => &["weir_worker::"],
        };
        forbidden.iter().find(|other| code.contains(**other)).map(ToString::to_string)
    });
}

#[test]
fn one_folder_names_libtorch_and_one_file_bincode() {
    check("libtorch stays behind worker/src/resnet", |name, code| {
        // `watch::` and `Batch::` end alike.
        let mut before = code.match_indices("tch::").map(|(at, _)| code[..at].chars().next_back());
        let used = before.any(|before| before.is_none_or(|letter| !letter.is_alphanumeric()));
        let named = used && !name.starts_with("worker/src/resnet/");
        named.then(|| "tch".to_owned())
    });
    check("bincode stays behind wire/binary.rs", |name, code| {
        let named = code.contains("bincode::") && name != "shared/src/wire/binary.rs";
        named.then(|| "bincode".to_owned())
    });
}

#[test]
fn every_file_opens_with_why_it_exists() {
    let silent: Vec<_> =
        house().into_iter().filter(|(_, text)| !text.starts_with("//!")).map(|(name, _)| name).collect();
    assert!(silent.is_empty(), "no opening comment: {silent:?}");
}

#[test]
fn metric_names_are_declared_in_one_file() {
    check("metric names stand in shared/src/metric_names.rs", |name, code| {
        let own = name == "shared/src/metric_names.rs";
        let literal = code.split('"').skip(1).step_by(2).find(|text| {
            let suffix = ["_total", "_seconds", "_bytes", "_ratio", "_watts", "_joules"];
            text.starts_with("weir_") && suffix.iter().any(|unit| text.ends_with(unit))
        });
        literal.filter(|_| !own).map(str::to_owned)
    });
}
