//! Starts and stops clusters for tests, and talks to them as clients do.

use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering::Relaxed};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use weir_shared::ids::{PeerName, Role};
use weir_shared::transport::Authority;

/// Nothing on loopback takes longer, even on two busy cores.
const PATIENCE: Duration = Duration::from_secs(60);

/// A folder with an authority and weights, from which clusters are started.
pub struct Site {
    pub folder: tempfile::TempDir,
    pub authority: Authority,
    pub arch: &'static str,
    http: reqwest::blocking::Client,
}

/// An orchestrator and its workers. Killed when dropped.
pub struct Cluster<'a> {
    pub site: &'a Site,
    pub orchestrator: Process,
    pub workers: Vec<(String, Process)>,
    pub quic: SocketAddr,
    pub http: SocketAddr,
    pub admin: SocketAddr,
    arguments: Vec<String>,
    admins: std::sync::Mutex<Vec<SocketAddr>>,
}

/// A process that does not outlive its test.
pub struct Process(pub Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What a client got.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub body: Value,
}

/// The worker's binary lies beside the orchestrator's: cargo builds both into one folder.
pub fn worker_binary() -> PathBuf {
    let path = Path::new(env!("CARGO_BIN_EXE_weir-orchestrator")).with_file_name("weir-worker");
    assert!(path.exists(), "{} is missing; run `cargo build --release --workspace --bins`", path.display());
    path
}

pub fn orchestrator_command() -> Command {
    Command::new(env!("CARGO_BIN_EXE_weir-orchestrator"))
}

/// A port that was free a moment ago, for TCP and UDP alike.
pub fn free_address() -> SocketAddr {
    /// Ports below those that the system gives to whoever dials, so that no connection takes one meanwhile; and each is given
    /// once, so that tests side by side do not meet.
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = 10_000 + (std::process::id() % 10) as u16 * 2_000;
    loop {
        let port = first + NEXT.fetch_add(1, Relaxed) % 2_000;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        if TcpListener::bind(address).is_ok() && UdpSocket::bind(address).is_ok() {
            return address;
        }
    }
}

/// Runs a command that must fail, and returns what it said on standard error.
pub fn failure_of(command: &mut Command) -> String {
    let mut child = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let started = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if started.elapsed() > PATIENCE {
            child.kill().unwrap();
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(!text.contains("panicked"), "{text}");
    text
}

impl Site {
    pub fn new(arch: &'static str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let site = Self {
            folder,
            authority: Authority::create().unwrap(),
            arch,
            http: reqwest::blocking::Client::builder().timeout(PATIENCE).build().unwrap(),
        };
        site.random_weights(1, "weights.safetensors");
        site
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn weights(&self) -> PathBuf {
        self.path("weights.safetensors")
    }

    pub fn random_weights(&self, seed: u64, name: &str) -> PathBuf {
        let path = self.path(name);
        let mut command = Command::new(worker_binary());
        command.args(["init", "--arch", self.arch, "--seed", &seed.to_string(), "--out"]).arg(&path);
        assert!(command.output().unwrap().status.success());
        path
    }

    pub fn certificates(&self, role: Role, name: &str) -> PathBuf {
        self.certificates_by(&self.authority, role, name, name)
    }

    pub fn certificates_by(&self, authority: &Authority, role: Role, name: &str, folder: &str) -> PathBuf {
        let folder = self.path("certs").join(folder);
        authority.issue(&PeerName::new(role, name).unwrap()).unwrap().save(&folder).unwrap();
        folder
    }

    /// Addresses for a cluster whose orchestrator the test hosts itself; a process that does nothing stands in for it.
    pub fn bare(&self) -> Cluster<'_> {
        let orchestrator = Process(Command::new("sleep").arg("600").spawn().unwrap());
        let (quic, http, admin) = (free_address(), free_address(), free_address());
        self.cluster(orchestrator, [quic, http, admin], vec![])
    }

    /// A cluster without workers, at the addresses for QUIC, inference and administration.
    fn cluster(
        &self,
        orchestrator: Process,
        [quic, http, admin]: [SocketAddr; 3],
        arguments: Vec<String>,
    ) -> Cluster<'_> {
        let (site, workers, admins) = (self, vec![], Default::default());
        Cluster { site, orchestrator, workers, quic, http, admin, arguments, admins }
    }

    /// Starts an orchestrator that waits for `names`, and those workers.
    pub fn start(&self, names: &[&str], more: &[&str]) -> Cluster<'_> {
        let mut cluster = self.start_orchestrator(names.len(), more);
        for name in names {
            cluster.start_worker(name);
        }
        cluster
    }

    pub fn start_orchestrator(&self, workers: usize, more: &[&str]) -> Cluster<'_> {
        self.start_orchestrator_on("127.0.0.1", workers, more)
    }

    /// Starts an orchestrator that listens for workers on another address than it is reached at.
    pub fn start_orchestrator_on(&self, ip: &str, workers: usize, more: &[&str]) -> Cluster<'_> {
        let (quic, http, admin) = (free_address(), free_address(), free_address());
        let mut arguments: Vec<String> = vec!["--workers".into(), workers.to_string()];
        arguments.extend(more.iter().map(|&argument| argument.to_owned()));
        // On loopback the model would put all on one worker; most tests are about several.
        if !more.iter().any(|argument| ["--policy", "--plan", "--planner"].contains(argument)) {
            arguments.extend(["--planner", "balanced"].map(str::to_owned));
        }
        let listen = SocketAddr::new(ip.parse().unwrap(), quic.port());
        let orchestrator = self.spawn_orchestrator(listen, http, admin, &arguments);
        self.cluster(orchestrator, [quic, http, admin], arguments)
    }

    pub fn orchestrator_arguments(
        &self,
        quic: SocketAddr,
        http: SocketAddr,
        admin: SocketAddr,
    ) -> Vec<String> {
        let certs = self.certificates(Role::Orchestrator, "main");
        let (certs, weights) = (certs.display().to_string(), self.weights().display().to_string());
        let (quic, http, admin) = (quic.to_string(), http.to_string(), admin.to_string());
        let pairs = [
            ("--certs", certs),
            ("--weights", weights),
            ("--arch", self.arch.to_owned()),
            ("--listen", quic),
            ("--http", http),
            ("--admin", admin),
        ];
        pairs.into_iter().flat_map(|(flag, value)| [flag.to_owned(), value]).collect()
    }

    fn spawn_orchestrator(
        &self,
        quic: SocketAddr,
        http: SocketAddr,
        admin: SocketAddr,
        more: &[String],
    ) -> Process {
        let mut command = orchestrator_command();
        command.args(self.orchestrator_arguments(quic, http, admin)).args(more);
        Process(command.stderr(log_file(&self.path("orchestrator.log"))).spawn().unwrap())
    }
}

/// Logs are appended to a file of the site, so that a failing test can be understood.
fn log_file(path: &Path) -> Stdio {
    std::fs::OpenOptions::new().create(true).append(true).open(path).unwrap().into()
}

impl Cluster<'_> {
    pub fn start_worker(&mut self, name: &str) {
        self.start_worker_with(name, &self.site.weights());
    }

    pub fn start_worker_with(&mut self, name: &str, weights: &Path) {
        let certs = self.site.certificates(Role::Worker, name);
        self.spawn_worker(name, self.worker_command(&certs, weights));
    }

    /// Starts a worker that fetches what its checkpoint, if it has one, lacks.
    pub fn start_worker_fetching(&mut self, name: &str, weights: Option<&Path>, cache: &Path) {
        let certs = self.site.certificates(Role::Worker, name);
        let mut command = self.worker_command_on(free_address(), &certs, weights);
        command.arg("--cache").arg(cache);
        self.spawn_worker(name, command);
    }

    /// Starts a worker with further arguments.
    pub fn start_worker_arguments(&mut self, name: &str, arguments: &[&str]) {
        let certs = self.site.certificates(Role::Worker, name);
        let mut command = self.worker_command(&certs, &self.site.weights());
        command.args(arguments);
        self.spawn_worker(name, command);
    }

    /// Where the workers that were started answer `/metrics`.
    pub fn worker_admins(&self) -> Vec<SocketAddr> {
        self.admins.lock().unwrap().clone()
    }

    /// Starts a worker that listens on `ip` and states no other address.
    pub fn start_worker_on(&mut self, ip: &str, name: &str) {
        let certs = self.site.certificates(Role::Worker, name);
        let listen = SocketAddr::new(ip.parse().unwrap(), free_address().port());
        self.spawn_worker(name, self.worker_command_on(listen, &certs, Some(&self.site.weights())));
    }

    pub fn spawn_worker(&mut self, name: &str, mut command: Command) {
        self.workers.retain(|(known, _)| known != name);
        let log = log_file(&self.site.path(&format!("{name}.log")));
        self.workers.push((name.to_owned(), Process(command.stderr(log).spawn().unwrap())));
    }

    pub fn worker_command(&self, certs: &Path, weights: &Path) -> Command {
        self.worker_command_on(free_address(), certs, Some(weights))
    }

    fn worker_command_on(&self, listen: SocketAddr, certs: &Path, weights: Option<&Path>) -> Command {
        let mut command = Command::new(worker_binary());
        let (listen, admin) = (listen.to_string(), free_address());
        self.admins.lock().unwrap().push(admin);
        let admin = admin.to_string();
        command.arg("serve").arg("--certs").arg(certs);
        if let Some(weights) = weights {
            command.arg("--weights").arg(weights);
        }
        command.args(["--orchestrator", &self.quic.to_string(), "--listen", &listen, "--admin", &admin]);
        command
    }

    pub fn kill_worker(&mut self, name: &str) {
        self.workers.retain(|(known, _)| known != name);
    }

    /// Kills the orchestrator and starts another one in its place.
    pub fn restart_orchestrator(&mut self) {
        let _ = self.orchestrator.0.kill();
        let _ = self.orchestrator.0.wait();
        self.orchestrator = self.site.spawn_orchestrator(self.quic, self.http, self.admin, &self.arguments);
    }

    /// Reads a document of the admin API; `None` while it cannot be had.
    pub fn admin(&self, path: &str) -> Option<Value> {
        let answer = self.site.http.get(format!("http://{}{path}", self.admin)).send().ok()?;
        answer.json().ok()
    }

    pub fn plan(&self) -> Option<Value> {
        self.admin("/api/v1/plan").filter(|plan| plan.get("epoch").is_some())
    }

    pub fn text(&self, path: &str) -> String {
        self.site.http.get(format!("http://{}{path}", self.admin)).send().unwrap().text().unwrap()
    }

    /// Waits until the plan fulfils a condition, and returns it.
    pub fn plan_when(&self, story: &str, condition: impl Fn(&Value) -> bool) -> Value {
        self.until(story, || self.plan().filter(&condition))
    }

    pub fn plan_over(&self, workers: usize) -> Value {
        self.plan_when(&format!("a plan over {workers} workers"), |plan| {
            plan["stages"].as_array().is_some_and(|stages| stages.len() == workers)
        })
    }

    pub fn until<T>(&self, story: &str, mut look: impl FnMut() -> Option<T>) -> T {
        let started = Instant::now();
        loop {
            if let Some(found) = look() {
                return found;
            }
            assert!(started.elapsed() < PATIENCE, "never came: {story}\n{}", self.logs());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Sends images and returns whatever came back.
    pub fn try_infer(&self, images: &[f32], batch: usize) -> Answer {
        let url = format!("http://{}/v2/models/{}/infer", self.http, self.site.arch);
        let side = (images.len() / batch / 3).isqrt();
        let input =
            json!({ "name": "input", "shape": [batch, 3, side, side], "datatype": "FP32", "data": images });
        let response = self.site.http.post(url).json(&json!({ "inputs": [input] })).send().unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Answer { status, headers, body: response.json().unwrap() }
    }

    /// Sends images and returns the logits, which must come.
    pub fn infer(&self, images: &[f32], batch: usize) -> Vec<f64> {
        let answer = self.try_infer(images, batch);
        assert_eq!(answer.status, 200, "{}\n{}", answer.body, self.logs());
        logits(&answer.body)
    }

    pub fn logs(&self) -> String {
        let names = self.workers.iter().map(|(name, _)| name.as_str()).chain(["orchestrator"]);
        let tail = |name: &str| {
            let Ok(file) = std::fs::File::open(self.site.path(&format!("{name}.log"))) else {
                return String::new();
            };
            let lines: Vec<_> = BufReader::new(file).lines().map_while(Result::ok).collect();
            format!("-- {name}\n{}\n", lines[lines.len().saturating_sub(15)..].join("\n"))
        };
        names.map(tail).collect()
    }
}

pub fn logits(body: &Value) -> Vec<f64> {
    body["outputs"][0]["data"].as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

/// Images of plain numbers that differ from each other.
pub fn images(count: usize, side: usize) -> Vec<f32> {
    (0..count * 3 * side * side).map(|i| ((i * 7919 % 1009) as f32 / 504.5) - 1.0).collect()
}
