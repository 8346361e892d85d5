//! The demonstration from its first step to its last, and the clean-up behind it.
//!
//! Always true: whether it ends well, fails or is interrupted, every process has ended before it returns.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{self, SignalKind};
use tokio::time::sleep;
use weir_shared::signal;

use super::cluster::{ClusterError, ClusterSpec, DEADLINE, WorkerStart};
use super::command::{Binaries, CommandError};
use super::config::{Config, NoWeights};
use super::display::Display;
use super::observe::{Observed, Reading, observe};
use super::oracle::{Oracle, OracleError, Question};
use super::processes::Processes;
use super::report::{self, ConfigReport, Report, SaveError, Versions, WeightMemory};
use super::story::director::DirectorError;
use super::stream::{Ending, Streamed, stream};
use super::summary;
use super::tally::BATCH_SIZE;
use super::topology;
use super::weight_memory::{self, WeightMemoryError};
use super::wiring::{Wiring, WiringError};
use crate::client::{AdminClient, AdminError, InferClient, InferError};
use crate::terminal::table::percent;
use crate::terminal::{say, step};

/// A request is allowed this long. The orchestrator gives up before and says why.
const REQUEST_LIMIT: Duration = DEADLINE.saturating_add(Duration::from_secs(5));

/// Workers report four times a second: after this, the last report holds all that has happened.
const SETTLE: Duration = Duration::from_millis(600);

/// Why a demonstration did not come to a report.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// Somebody stopped it.
    #[error("interrupted; all processes have been stopped")]
    Interrupted,
    /// It cannot be stopped by anybody.
    #[error("cannot listen for signals")]
    Signals(#[source] std::io::Error),
    /// The folder cannot be used.
    #[error("cannot use the folder {}; choose another with --out", path.display())]
    Out {
        /// The folder or a file in it.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// No programs.
    #[error(transparent)]
    Binaries(#[from] CommandError),
    /// No checkpoint.
    #[error(transparent)]
    Weights(#[from] NoWeights),
    /// Nothing to compare with.
    #[error(transparent)]
    Oracle(#[from] OracleError),
    /// Memory was not measured.
    #[error(transparent)]
    WeightMemory(#[from] WeightMemoryError),
    /// No links.
    #[error("cannot make the links")]
    Wiring(#[from] WiringError),
    /// No cluster.
    #[error("the cluster did not come up")]
    Cluster(#[from] ClusterError),
    /// The cluster cannot be looked at.
    #[error("cannot look at the cluster")]
    Admin(#[from] AdminError),
    /// Images cannot be sent.
    #[error("cannot send images")]
    Infer(#[from] InferError),
    /// There is no plan, although the cluster was ready.
    #[error("the orchestrator has a plan no more: {reason}; see {}", log.display())]
    NoPlan {
        /// In its words.
        reason: String,
        /// Its log.
        log: PathBuf,
    },
    /// A step of a scenario could not be done.
    #[error("the scenario cannot go on")]
    Direct(#[source] Box<DirectorError>),
    /// The report cannot be written.
    #[error(transparent)]
    Save(#[from] SaveError),
}

impl From<DirectorError> for DemoError {
    fn from(error: DirectorError) -> Self {
        Self::Direct(Box::new(error))
    }
}

/// What runs and must be ended, in this order: a process may still need the links when it drains.
#[derive(Debug, Default)]
pub(super) struct Running {
    pub(super) processes: Processes,
    pub(super) wiring: Option<Wiring>,
}

/// What the steps found out.
struct Findings {
    weights: PathBuf,
    oracle: Arc<Oracle>,
    memory: WeightMemory,
    release: String,
    streamed: Streamed,
    reading: Reading,
    observed: Observed,
}

/// Private keys of this run. They are of no use to the next, so they go when it ends.
pub(super) struct Keys(pub(super) PathBuf);

impl Drop for Keys {
    fn drop(&mut self) {
        // The keys open nothing once the processes have ended.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Runs the demonstration, says what it does, and writes `report.json`.
///
/// # Errors
/// If it did not come to a report. A report that did not pass is no error here.
pub async fn run(config: &Config) -> Result<Report, DemoError> {
    let report_file = config.out.join("report.json");
    prepare(&config.out, &report_file)?;
    let mut running = Running::default();
    let outcome = tokio::select! {
        outcome = steps(config, &mut running) => outcome,
        heard = interrupted() => Err(heard.map_or_else(DemoError::Signals, |()| DemoError::Interrupted)),
    };
    let wrong: Vec<_> =
        running.processes.stop().await.iter().map(|error| weir_shared::chain(error)).collect();
    drop(running);
    let findings = outcome?;
    let report = conclude(config, findings, wrong)?;
    report.save(&report_file)?;
    for line in summary::lines(&report) {
        say(&line);
    }
    say(&format!("report: {}", report_file.display()));
    Ok(report)
}

/// Completes when somebody wants the demonstration to end, also by closing its terminal.
pub(super) async fn interrupted() -> std::io::Result<()> {
    let mut hangup = unix::signal(SignalKind::hangup())?;
    tokio::select! {
        heard = signal::terminated() => heard,
        _ = hangup.recv() => Ok(()),
    }
}

/// Makes the folder; an earlier run's report must not be taken for this one's.
pub(super) fn prepare(out: &Path, report_file: &Path) -> Result<(), DemoError> {
    fs::create_dir_all(out).map_err(|source| DemoError::Out { path: out.to_owned(), source })?;
    match fs::remove_file(report_file) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(DemoError::Out { path: report_file.to_owned(), source })
        }
        _ => Ok(()),
    }
}

async fn steps(config: &Config, running: &mut Running) -> Result<Findings, DemoError> {
    let Config { arch, dataset, concurrency, conditions, out, .. } = config;
    say(&format!(
        "weir demo: {arch} over {} workers, images of {}, links: {conditions}",
        config.workers,
        dataset.name()
    ));
    let binaries = Binaries::find(config.bin_dir.as_deref())?;
    let weights = config.weights_file(&binaries.worker)?;
    step("weights", &weights.display().to_string());

    let question = Question {
        arch: *arch,
        weights: &weights,
        dataset: *dataset,
        data: config.data.as_deref(),
        images: config.images,
    };
    let oracle = Arc::new(Oracle::ask(&binaries.worker, &question, &out.join("unsplit.safetensors")).await?);
    let share = oracle.correct() as f64 / oracle.len() as f64;
    step("unsplit network", &format!("{} images in one process, {} right", oracle.len(), percent(share)));

    let memory = weight_memory::measure(&binaries.worker, out).await?;
    let [weights_share, memory_share] = [memory.weight_ratio, memory.resident_ratio].map(percent);
    let quarter = format!("a quarter of {}", memory.network);
    step(
        "weight memory",
        &format!("{quarter} is {weights_share} of its weights and takes {memory_share} of its memory"),
    );

    let workers = topology::workers(config.workers);
    let keys = Keys(out.join(format!(".certs-{}", std::process::id())));
    let starts: Vec<_> = workers.iter().map(|name| WorkerStart::plain(name)).collect();
    let spec = ClusterSpec {
        binaries: &binaries,
        arch: *arch,
        weights: &weights,
        workers: &starts,
        // Every worker computes and every link carries something, whatever the model would choose.
        orchestrator_flags: &["--planner", "balanced"].map(str::to_owned),
        deadline: DEADLINE,
        certs: &keys.0,
        out,
    };
    spec.certify()?;
    step("certificates", &format!("a private authority, and one for each of {} peers", workers.len() + 1));

    let wiring =
        running.wiring.insert(Wiring::new(&workers, topology::links(workers.len(), *conditions), 0)?);
    step("links", &format!("{} emulated, one for each ordered pair of peers", wiring.links().count()));

    let admin = AdminClient::new(&format!("http://{}", wiring.admin))?;
    spec.start(wiring, &mut running.processes)?;
    let took = spec.wait_until_ready(&admin, &mut running.processes).await?;
    step(
        "cluster",
        &format!(
            "orchestrator and {} workers, ready after {:.1} s; look at it: http://{}/",
            workers.len(),
            took.as_secs_f64(),
            wiring.admin
        ),
    );

    let client = InferClient::new(&wiring.http.to_string(), arch.name(), oracle.shape(), REQUEST_LIMIT)?;
    let release = admin.release().await?;
    sleep(SETTLE).await;
    let before = Reading::take(&admin).await?;
    step("stream", &format!("{} images, {concurrency} at once", oracle.len()));
    let mut display = Display::new(oracle.len());
    let streamed = stream(&client, &admin, oracle.clone(), *concurrency, |look| {
        let observed = look.reading.map(|now| observe(&before, now, wiring.links())).unwrap_or_default();
        display.show(look, &observed);
    })
    .await;
    display.finish();
    sleep(SETTLE).await;
    let mut reading = Reading::take(&admin).await?;
    // What is busy is busy while images stream, not while reports settle.
    reading.at = before.at + streamed.duration;
    let observed = observe(&before, &reading, wiring.links());
    Ok(Findings { weights, oracle, memory, release, streamed, reading, observed })
}

fn conclude(config: &Config, findings: Findings, mut wrong: Vec<String>) -> Result<Report, DemoError> {
    let Findings { weights, oracle, memory, release, streamed, reading, observed } = findings;
    let Streamed { tally, duration, ending } = streamed;
    let no_plan =
        |reason| DemoError::NoPlan { reason, log: config.out.join(format!("{}.log", topology::GATEWAY)) };
    if ending == Ending::GivenUp {
        wrong.push(format!(
            "gave up after {} failures; logs are in {}",
            tally.failed(),
            config.out.display()
        ));
    }
    let mut report = Report {
        report_version: report::VERSION,
        passed: false,
        problems: Vec::new(),
        versions: Versions {
            weir: env!("CARGO_PKG_VERSION").to_owned(),
            orchestrator: release,
            workers: reading.workers.workers.iter().map(|w| (w.name.clone(), w.release.clone())).collect(),
            platform: format!("{}-{}", std::env::consts::OS, std::env::consts::ARCH),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
        },
        config: ConfigReport {
            arch: config.arch.to_string(),
            weights,
            dataset: config.dataset.name().to_owned(),
            images: oracle.len(),
            workers: topology::workers(config.workers),
            conditions: config.conditions.to_string(),
            concurrency: config.concurrency,
            batch_size: BATCH_SIZE,
        },
        requests: tally.requests(),
        equality: tally.equality(),
        latency_ms: tally.latency_ms(),
        duration_seconds: duration.as_secs_f64(),
        throughput_per_second: tally.ok() as f64 / duration.as_secs_f64().max(1e-9),
        accuracy: tally.accuracy(&oracle),
        plan: reading.plan.map_err(no_plan)?,
        stages: observed.stages,
        links: observed.links,
        weight_memory: memory,
    };
    report.problems = summary::problems(&report, wrong);
    report.passed = report.problems.is_empty();
    Ok(report)
}
