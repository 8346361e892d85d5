//! `weir-worker serve` as a process: what it says when it cannot start, what it shows while it runs, how it ends.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

mod cluster;

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use cluster::peers::ANY_PORT;
use cluster::{Peers, Reference};
use weir_shared::arch::Arch;

/// Longer than a start takes on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a worker called `porch` is given; ports are the system's choice.
struct Setting {
    peers: Peers,
    reference: Reference,
    certs: PathBuf,
}

impl Setting {
    fn new() -> Self {
        let peers = Peers::new();
        let certs = peers.certificates(&peers.worker("porch"));
        Self { peers, reference: Reference::of(Arch::ResNet20), certs }
    }

    /// The command, with `changes` in place of the arguments of the same name.
    fn command(&self, changes: &[(&str, &str)]) -> Command {
        let defaults = [
            ("--certs", self.certs.to_str().unwrap()),
            ("--weights", self.reference.weights.to_str().unwrap()),
            // Nobody listens there.
            ("--orchestrator", "127.0.0.1:1"),
            ("--listen", "127.0.0.1:0"),
            ("--admin", "127.0.0.1:0"),
            ("--log-format", "json"),
        ];
        let kept = defaults.iter().filter(|(name, _)| changes.iter().all(|(changed, _)| changed != name));
        let mut command = Command::new(env!("CARGO_BIN_EXE_weir-worker"));
        command.arg("serve").env_remove("WEIR_LOG").stdout(Stdio::null()).stderr(Stdio::piped());
        for (name, value) in kept.chain(changes) {
            command.args([name, value]);
        }
        command
    }

    /// The worker ends at once with status 1, and its error names all of `expect`.
    fn check_refused(&self, changes: &[(&str, &str)], expect: &[&str]) {
        let mut running = Running { child: self.command(changes).spawn().unwrap() };
        let status = running.ended(PATIENCE).unwrap_or_else(|| panic!("it runs with {changes:?}"));
        let mut said = String::new();
        running.child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert_eq!(status.code(), Some(1), "{said}");
        let error = said.lines().find(|line| line.starts_with("error: ")).unwrap_or_else(|| panic!("{said}"));
        assert!(expect.iter().all(|text| error.contains(text)), "{error}");
        assert!(!said.contains("panicked"), "{said}");
    }

    /// Starts the worker; returns it with the address of its HTTP side.
    fn start(&self) -> (Running, SocketAddr) {
        let mut child = self.command(&[]).spawn().unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let running = Running { child };
        let mut line = String::new();
        let admin = loop {
            line.clear();
            assert!(log.read_line(&mut line).unwrap() > 0, "it ended before it started");
            let event: serde_json::Value = serde_json::from_str(&line).unwrap();
            if event["message"] == "worker started" {
                assert_eq!(event["worker"], "porch");
                break event["admin"].as_str().unwrap().parse().unwrap();
            }
        };
        // Somebody must read the log, or a long one would stop the worker.
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        (running, admin)
    }
}

/// A worker process that does not outlive its test.
struct Running {
    child: Child,
}

impl Running {
    fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }

    /// How it ended, if it does within `patience`.
    fn ended(&mut self, patience: Duration) -> Option<ExitStatus> {
        let began = Instant::now();
        while began.elapsed() < patience {
            if let Some(status) = self.child.try_wait().unwrap() {
                return Some(status);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        None
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Status and body of a page.
fn get(admin: SocketAddr, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(admin).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: porch\r\nConnection: close\r\n\r\n").unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn what_is_missing_or_wrong_at_the_start_is_named_with_the_remedy() {
    let setting = Setting::new();
    let folder = tempfile::tempdir().unwrap();
    let nowhere = folder.path().join("nowhere");
    setting.check_refused(&[("--certs", path(&nowhere))], &["nowhere/tls.crt", "weir certs"]);
    setting.check_refused(&[("--weights", path(&nowhere))], &["nowhere", "No such file"]);
    let text = folder.path().join("weights.txt");
    std::fs::write(&text, "these are no weights").unwrap();
    setting.check_refused(&[("--weights", path(&text))], &["weights.txt"]);
    setting
        .check_refused(&[("--orchestrator-name", "Main Office")], &["\"Main Office\"", "lower-case letters"]);
    let gateway = setting.peers.certificates(&setting.peers.gateway());
    setting
        .check_refused(&[("--certs", path(&gateway))], &["orchestrator main", "<name>.worker.weir.internal"]);
}

#[test]
fn a_port_in_use_is_named() {
    let setting = Setting::new();
    let udp = UdpSocket::bind(ANY_PORT).unwrap();
    let taken = udp.local_addr().unwrap().to_string();
    setting.check_refused(&[("--listen", &taken)], &["UDP", &taken, "in use", "another port"]);
    let tcp = TcpListener::bind(ANY_PORT).unwrap();
    let taken = tcp.local_addr().unwrap().to_string();
    setting.check_refused(&[("--admin", &taken)], &["TCP", &taken, "in use", "another port"]);
}

#[test]
fn without_an_orchestrator_a_worker_is_alive_but_not_ready() {
    let setting = Setting::new();
    let (_running, admin) = setting.start();
    assert_eq!(get(admin, "/livez"), (200, "ok\n".to_owned()));
    let (status, body) = get(admin, "/readyz");
    assert!(status == 503 && body.contains("no session with the orchestrator"), "{status} {body}");
    assert_eq!(get(admin, "/nothing").0, 404);
}

#[test]
fn metrics_are_in_prometheus_text_format() {
    let setting = Setting::new();
    let (_running, admin) = setting.start();
    let (status, body) = get(admin, "/metrics");
    assert_eq!(status, 200);
    let (mut typed, mut helped) = (BTreeSet::new(), BTreeSet::new());
    for line in body.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            typed.insert(rest.split(' ').next().unwrap());
        } else if let Some(rest) = line.strip_prefix("# HELP ") {
            helped.insert(rest.split(' ').next().unwrap());
        } else {
            let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line:?}"));
            value.parse::<f64>().unwrap_or_else(|_| panic!("{line:?}"));
            let name = series.split('{').next().unwrap();
            let family = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
            assert!(typed.contains(name) || family.is_some_and(|family| typed.contains(family)), "{line:?}");
            assert!(name.starts_with("weir_"), "{line:?}");
        }
    }
    assert_eq!(typed, helped);
    let version = format!("weir_build_info{{version=\"{}\"}} 1", env!("CARGO_PKG_VERSION"));
    assert!(body.contains(&version) && body.contains("weir_live_plans 0"), "{body}");
}

#[test]
fn a_signal_ends_a_worker_in_order_and_soon() {
    let setting = Setting::new();
    for signal in ["TERM", "INT"] {
        let (mut running, admin) = setting.start();
        assert_eq!(get(admin, "/livez").0, 200);
        running.signal(signal);
        let status =
            running.ended(Duration::from_secs(3)).unwrap_or_else(|| panic!("SIG{signal} was not heeded"));
        assert_eq!(status.code(), Some(0), "SIG{signal}");
    }
}
