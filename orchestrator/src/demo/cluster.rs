//! Starts the cluster: an orchestrator, workers, and a link between any two of them; and waits until it is ready.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tokio::time::sleep;
use weir_shared::arch::Arch;
use weir_shared::ids::{BadName, PeerName, Role};

use super::certificates::{self, CertificatesError};
use super::command::Binaries;
use super::processes::{ProcessError, Processes, tail};
use super::topology::GATEWAY;
use super::wiring::{Wiring, WiringError};
use crate::client::{AdminClient, AdminError};

/// Workers load, connect through slow links and run a canary; a busy machine takes its time for it.
const READY_LIMIT: Duration = Duration::from_secs(60);

/// What the orchestrator allows a request: three times its default, because an activation takes seconds on the
/// slowest links, and a demonstration is not about being in time.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// How often readiness is asked for: often enough that waiting for it costs nothing that one sees.
const READY_PERIOD: Duration = Duration::from_millis(50);

/// What to start.
#[derive(Debug)]
pub struct ClusterSpec<'a> {
    /// The programs.
    pub binaries: &'a Binaries,
    /// The network.
    pub arch: Arch,
    /// Its checkpoint.
    pub weights: &'a Path,
    /// Workers.
    pub workers: &'a [WorkerStart],
    /// More arguments of the orchestrator.
    pub orchestrator_flags: &'a [String],
    /// What the orchestrator allows a request.
    pub deadline: Duration,
    /// Where certificates go.
    pub certs: &'a Path,
    /// Where logs and the links file go.
    pub out: &'a Path,
}

/// How a worker is started.
#[derive(Debug, Clone, Default)]
pub struct WorkerStart {
    /// Its name.
    pub name: String,
    /// More arguments.
    pub flags: Vec<String>,
    /// `nice` value of the process; 0 leaves it as it is.
    pub nice: u8,
}

impl WorkerStart {
    /// A worker without any special arguments.
    pub fn plain(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }
}

/// Why there is no cluster.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// No certificates.
    #[error("cannot make the certificates")]
    Certificates(#[from] CertificatesError),
    /// A name that no certificate can state.
    #[error("a peer cannot have this name")]
    Name(#[from] BadName),
    /// No links.
    #[error("cannot make the links")]
    Wiring(#[from] WiringError),
    /// A process does not run.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// The admin API answers with something else.
    #[error("the orchestrator's admin API cannot be used")]
    Admin(#[from] AdminError),
    /// It did not become ready.
    #[error("the cluster is not ready after {} s: {reason}; the log {} ends:\n{tail}", READY_LIMIT.as_secs(), log.display())]
    NotReady {
        /// What the orchestrator says.
        reason: String,
        /// Its log.
        log: PathBuf,
        /// The end of it.
        tail: String,
    },
}

impl ClusterSpec<'_> {
    /// Makes certificates for all, from a new authority.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn certify(&self) -> Result<(), ClusterError> {
        let gateway = PeerName::new(Role::Orchestrator, GATEWAY);
        let workers = self.workers.iter().map(|worker| PeerName::new(Role::Worker, &worker.name));
        let peers = std::iter::once(gateway).chain(workers).collect::<Result<Vec<_>, _>>()?;
        certificates::make(self.certs, &peers)?;
        Ok(())
    }

    /// Starts all processes on the ports of `wiring`.
    ///
    /// # Errors
    /// If one cannot be started. Those that run end when `processes` is stopped or dropped.
    pub fn start(&self, wiring: &mut Wiring, processes: &mut Processes) -> Result<(), ClusterError> {
        wiring.save(&self.links_file())?;
        wiring.release();
        processes.start(
            GATEWAY,
            &self.binaries.orchestrator,
            &self.orchestrator(wiring),
            &self.log(GATEWAY),
        )?;
        for worker in self.workers {
            self.start_worker(worker, wiring, processes)?;
        }
        Ok(())
    }

    /// Starts one worker, at the beginning or again after it has ended.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start_worker(
        &self,
        worker: &WorkerStart,
        wiring: &Wiring,
        processes: &mut Processes,
    ) -> Result<(), ClusterError> {
        let arguments = self.worker(worker, wiring);
        processes.start(&worker.name, &self.binaries.worker, &arguments, &self.log(&worker.name))?;
        processes.nice(&worker.name, worker.nice);
        Ok(())
    }

    /// Waits until requests would be admitted, and tells how long that took.
    ///
    /// # Errors
    /// If a process ends, or it takes too long.
    pub async fn wait_until_ready(
        &self,
        admin: &AdminClient,
        processes: &mut Processes,
    ) -> Result<Duration, ClusterError> {
        let began = Instant::now();
        loop {
            processes.check()?;
            let reason = match admin.readiness().await {
                Ok(Ok(())) => return Ok(began.elapsed()),
                // What stands against a plan says more than that there is none.
                Ok(Err(reason)) => admin.plan().await?.err().unwrap_or(reason),
                // It has not opened its port yet.
                Err(error @ AdminError::Unreachable { .. }) => weir_shared::chain(&error),
                Err(error) => return Err(error.into()),
            };
            if began.elapsed() > READY_LIMIT {
                let log = self.log(GATEWAY);
                return Err(ClusterError::NotReady { reason, tail: tail(&log), log });
            }
            sleep(READY_PERIOD).await;
        }
    }

    fn links_file(&self) -> PathBuf {
        self.out.join("links.toml")
    }

    fn log(&self, peer: &str) -> PathBuf {
        self.out.join(format!("{peer}.log"))
    }

    /// What both programs need.
    fn common(&self, role: Role, name: &str) -> Vec<(&'static str, String)> {
        let certs = self.certs.join(role.label()).join(name);
        vec![("--certs", text(&certs)), ("--weights", text(self.weights))]
    }

    fn orchestrator(&self, wiring: &Wiring) -> Vec<String> {
        let mut flags = self.common(Role::Orchestrator, GATEWAY);
        flags.push(("--arch", self.arch.name().to_owned()));
        flags.extend(wiring.address(GATEWAY).map(|address| ("--listen", address.to_string())));
        flags.push(("--http", wiring.http.to_string()));
        flags.push(("--admin", wiring.admin.to_string()));
        flags.push(("--workers", self.workers.len().to_string()));
        flags.push(("--links", text(&self.links_file())));
        flags.push(("--deadline-ms", self.deadline.as_millis().to_string()));
        let mut arguments = flatten(flags);
        arguments.extend_from_slice(self.orchestrator_flags);
        arguments
    }

    fn worker(&self, worker: &WorkerStart, wiring: &Wiring) -> Vec<String> {
        let name = worker.name.as_str();
        let mut flags = self.common(Role::Worker, name);
        // The control connection takes the emulated link as well: a worker has no other way to the orchestrator.
        flags.extend(wiring.dialled(name, GATEWAY).map(|address| ("--orchestrator", address.to_string())));
        flags.push(("--orchestrator-name", GATEWAY.to_owned()));
        flags.extend(wiring.address(name).map(|address| ("--listen", address.to_string())));
        flags.push(("--admin", "127.0.0.1:0".to_owned()));
        let mut arguments = vec!["serve".to_owned()];
        arguments.extend(flatten(flags));
        arguments.extend_from_slice(&worker.flags);
        arguments
    }
}

fn flatten(flags: Vec<(&'static str, String)>) -> Vec<String> {
    flags.into_iter().flat_map(|(flag, value)| [flag.to_owned(), value]).collect()
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
