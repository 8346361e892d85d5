//! The demonstration from outside: real processes, real links, real answers; and nothing left behind.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use weir_orchestrator::demo::report::{Report, VERSION};
use weir_orchestrator::demo::story::report::StoryReport;

/// Forty images take some seconds, and a busy machine several times that.
const LIMIT: Duration = Duration::from_secs(240);

/// `weir-worker` is of another package, so cargo does not build it for these tests.
fn worker() -> PathBuf {
    let worker = Path::new(env!("CARGO_BIN_EXE_weir")).with_file_name("weir-worker");
    assert!(
        worker.is_file(),
        "{} is missing: run `make build` (or `cargo build --release -p weir-worker --bins`) first",
        worker.display()
    );
    worker
}

/// A demonstration with random weights: that answers are equal does not depend on their being right.
struct Demo {
    folder: tempfile::TempDir,
    child: Child,
}

impl Demo {
    fn start(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let weights = folder.path().join("resnet20.safetensors");
        let mut init = Command::new(worker());
        let made = init.args(["init", "--arch", "resnet20", "--out"]).arg(&weights).status().unwrap();
        assert!(made.success());
        let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
        command.arg("demo").args(arguments).arg("--weights").arg(&weights);
        command.arg("--out").arg(folder.path().join("out")).stdin(Stdio::null());
        let printed = fs::File::create(folder.path().join("printed")).unwrap();
        command.stdout(printed.try_clone().unwrap()).stderr(printed);
        let child = command.spawn().unwrap();
        Self { folder, child }
    }

    fn out(&self) -> PathBuf {
        self.folder.path().join("out")
    }

    fn printed(&self) -> String {
        fs::read_to_string(self.folder.path().join("printed")).unwrap()
    }

    fn wait_for(&mut self, what: &str, mut done: impl FnMut(&mut Self) -> bool) {
        let began = Instant::now();
        while !done(self) {
            if began.elapsed() > LIMIT {
                self.terminate();
                panic!("{what} took longer than {LIMIT:?}:\n{}", self.printed());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn end(&mut self) -> ExitStatus {
        let mut status = None;
        self.wait_for("the demonstration", |demo| {
            status = demo.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }

    /// As `kill` does; the demonstration must then clean up.
    fn terminate(&self) {
        let sent =
            Command::new("/bin/sh").args(["-c", "kill -TERM \"$0\"", &self.child.id().to_string()]).status();
        assert!(sent.unwrap().success());
    }

    /// Command lines of processes that know this demonstration's folder.
    fn left_behind(&self) -> Vec<String> {
        let folder = self.folder.path().to_str().unwrap();
        let processes = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
        let lines = processes.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
        let lines = lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " "));
        lines.filter(|line| line.contains(folder)).collect()
    }
}

#[test]
fn every_answer_over_emulated_links_equals_the_unsplit_network() {
    let mut demo = Demo::start(&["--stream", "--images", "40", "--conditions", "home"]);
    let status = demo.end();
    let printed = demo.printed();
    assert!(status.success(), "{printed}");
    assert!(printed.contains("40 of 40 equal the unsplit network's bit for bit"), "{printed}");
    assert!(
        printed.contains("40/40 images") || printed.contains("/40 images"),
        "plain lines in a file: {printed}"
    );
    assert!(!printed.contains('\u{1b}'), "no terminal codes in a file: {printed:?}");

    let report: Report = serde_json::from_slice(&fs::read(demo.out().join("report.json")).unwrap()).unwrap();
    assert!(report.passed && report.problems.is_empty() && report.report_version == VERSION);
    assert_eq!((report.equality.compared, report.equality.equal, report.equality.different), (40, 40, 0));
    assert_eq!(report.equality.batch_size, 1);
    assert_eq!((report.requests.sent, report.requests.ok, report.requests.failed), (40, 40, 0));
    assert!(report.latency_ms.p50 > 0.0 && report.latency_ms.p50 <= report.latency_ms.p99);
    assert!(report.throughput_per_second > 0.0);
    assert_eq!(report.accuracy.accuracy, report.accuracy.unsplit_accuracy);

    assert_eq!(report.stages.len(), 4);
    for stage in &report.stages {
        assert!(stage.executions >= 40 && stage.compute_ms > 0.0 && stage.weight_bytes > 0, "{stage:?}");
    }
    assert_eq!(report.links.len(), 5 * 4, "every ordered pair of five peers");
    for link in report.links.iter().filter(|link| link.in_plan) {
        assert!(link.activations >= 40 && link.rtt_ms.unwrap() > link.emulated.delay_ms, "{link:?}");
        assert!(link.emulated.packets_passed > 0, "it went through the emulator: {link:?}");
    }
    assert!(report.links.iter().filter(|link| link.in_plan).count() >= 5, "from the gateway, and back to it");

    let memory = &report.weight_memory;
    assert!(
        (0.2..=0.3).contains(&memory.weight_ratio) && (0.2..=0.3).contains(&memory.resident_ratio),
        "{memory:?}"
    );
    assert_eq!(demo.left_behind(), [""; 0]);
    assert!(fs::read_dir(demo.out()).unwrap().all(|entry| {
        let name = entry.unwrap().file_name().into_string().unwrap();
        !name.contains("certs")
    }));
}

/// A worker of the plan dies under load and comes back; the same again with the first plan alone.
const SCENARIO: &str = r#"
version = 1
name = "short"
duration_seconds = 8
images = 20
runs = ["adaptive", "static"]
[load]
requests_per_second = 10
deadline_ms = 8000
[[worker]]
name = "camera"
link = "good-wifi"
gmacs_per_second = 3.0
[[worker]]
name = "router"
gmacs_per_second = 3.0
[[event]]
at_seconds = 1
kind = "power"
worker = "router"
budget_watts = 4
[[event]]
at_seconds = 2
kind = "kill"
worker = "camera"
[[event]]
at_seconds = 4
kind = "start"
worker = "camera"
[[event]]
at_seconds = 5
kind = "link"
worker = "camera"
link = { preset = "good-wifi", delay_ms = 20 }
[[event]]
at_seconds = 6
kind = "load"
factor = 2
"#;

#[test]
fn a_scenario_is_played_and_every_answer_is_right() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("short.toml");
    fs::write(&file, SCENARIO).unwrap();
    let mut demo = Demo::start(&["--scenario", file.to_str().unwrap()]);
    let status = demo.end();
    let printed = demo.printed();
    assert!(status.success(), "{printed}");
    for expect in ["camera is killed", "camera is started again", "chose", "passed", "20 requests/s"] {
        assert!(printed.contains(expect), "should say {expect:?}:\n{printed}");
    }
    let read = fs::read(demo.out().join("report.json")).unwrap();
    let report: StoryReport = serde_json::from_slice(&read).unwrap();
    assert!(report.passed && report.runs.len() == 2);
    let adaptive = &report.runs[0].figures;
    assert_eq!((adaptive.sent, adaptive.answered, adaptive.equal), (100, 100, 100));
    assert_eq!(report.runs[0].steps.len(), 5);
    let fixed = &report.runs[1].figures;
    assert_eq!((fixed.different, fixed.unchecked), (0, 0));
    let page = fs::read_to_string(demo.out().join("report.html")).unwrap();
    assert!(page.contains("<svg") && page.contains("camera is killed"));
    assert_eq!(demo.left_behind(), [""; 0]);
}

#[test]
fn an_interrupted_demonstration_leaves_nothing_behind() {
    let arguments = ["--stream", "--images", "5000", "--conditions", "good-wifi", "--workers", "2"];
    let mut demo = Demo::start(&arguments);
    demo.wait_for("the first image", |demo| {
        assert!(demo.child.try_wait().unwrap().is_none(), "{}", demo.printed());
        demo.printed().contains("/5000 images")
    });
    assert!(demo.left_behind().len() >= 4, "weir, the orchestrator and two workers");
    demo.terminate();
    let status = demo.end();
    assert_eq!(status.code(), Some(1), "{}", demo.printed());
    assert!(demo.printed().contains("interrupted; all processes have been stopped"), "{}", demo.printed());
    assert_eq!(demo.left_behind(), [""; 0]);
    assert!(!demo.out().join("report.json").exists());
}

#[test]
fn weights_of_another_network_are_refused_in_the_workers_words() {
    let mut demo = Demo::start(&["--stream", "--arch", "resnet56", "--images", "1"]);
    assert_eq!(demo.end().code(), Some(1));
    let printed = demo.printed();
    assert!(printed.contains("weir-worker eval") && printed.contains("resnet20.safetensors"), "{printed}");
    assert_eq!(demo.left_behind(), [""; 0]);
}
