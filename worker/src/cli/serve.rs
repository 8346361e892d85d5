//! `weir-worker serve`: runs a worker until it is told to stop.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use weir_shared::ids::{PeerName, Role};
use weir_shared::logging::{self, LogFormat};
use weir_shared::telemetry::Calibration;
use weir_shared::transport::{Certificates, Congestion, Identity, Settings};
use weir_shared::weights::Checkpoint;

use crate::app::{Config, Worker};
use crate::loader::{StageLoader, prepare_thread};
use crate::resnet::{pace, threads};
use crate::telemetry::{PowerModel, RadioModel, TelemetryConfig, calibrate};
use crate::weights::{Remote, Sources, Store};

/// Arguments of `serve`. Each can be given as an environment variable too.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  weir-worker serve --certs certs/worker/camera --weights resnet50.safetensors \\
    --orchestrator 192.0.2.1:7600
  weir-worker serve --certs certs/worker/router --cache layers --orchestrator 192.0.2.1:7600
  weir-worker serve --config /etc/weir.toml
  weir-worker serve --config /etc/weir.toml --check-config

A setting is taken from its flag; else from its environment variable; else from the file; else its default holds.

Exit status: 0 stopped by a signal, or the settings can be used; 1 failed; 2 wrong arguments or settings.")]
pub struct Args {
    /// Folder with ca.crt, tls.crt and tls.key; the certificate's name is the worker's name. New ones are used without a
    /// restart.
    #[arg(long, env = "WEIR_CERTS", value_name = "DIR")]
    certs: PathBuf,
    /// Checkpoint (safetensors) from which stages are loaded. Without it, layers are fetched from the orchestrator.
    #[arg(long, env = "WEIR_WEIGHTS", value_name = "FILE", required_unless_present = "cache")]
    weights: Option<PathBuf>,
    /// Folder for layers fetched from the orchestrator; with it, a layer that --weights lacks is fetched.
    #[arg(long, env = "WEIR_CACHE", value_name = "DIR")]
    cache: Option<PathBuf>,
    /// The orchestrator, as host:port (UDP).
    #[arg(long, env = "WEIR_ORCHESTRATOR", value_name = "HOST:PORT", default_value = "127.0.0.1:7600")]
    orchestrator: String,
    /// The orchestrator's name in its certificate.
    #[arg(long, env = "WEIR_ORCHESTRATOR_NAME", value_name = "NAME", default_value = "main")]
    orchestrator_name: String,
    /// UDP address on which activations are accepted.
    #[arg(long, env = "WEIR_LISTEN", value_name = "ADDR", default_value = "0.0.0.0:7601")]
    listen: SocketAddr,
    /// Address under which other peers reach this worker, where it differs from --listen.
    #[arg(long, env = "WEIR_ADVERTISE", value_name = "ADDR")]
    advertise: Option<SocketAddr>,
    /// TCP address of /livez, /readyz and /metrics.
    #[arg(long, env = "WEIR_ADMIN", value_name = "ADDR", default_value = "127.0.0.1:7602")]
    admin: SocketAddr,
    /// Threads that libtorch computes with.
    #[arg(long, env = "WEIR_THREADS", value_name = "N", default_value = "1")]
    threads: NonZeroUsize,
    /// Multiply-accumulate operations per second to compute at most, to stand for a smaller machine in demonstrations.
    #[arg(long, env = "WEIR_MACS_PER_SECOND", value_name = "N")]
    macs_per_second: Option<f64>,
    /// How QUIC finds its rate: bbr keeps it on lossy links, cubic is the field's default.
    #[arg(long, env = "WEIR_CONGESTION", value_name = "NAME", default_value = "bbr")]
    congestion: Congestion,
    /// Milliseconds between two reports to the orchestrator.
    #[arg(long, env = "WEIR_REPORT_PERIOD_MS", value_name = "MS", default_value_t = 250,
          value_parser = clap::value_parser!(u64).range(20..=60_000))]
    report_period_ms: u64,
    /// The most milliseconds to measure this machine for before the first session; 0 measures nothing.
    #[arg(long, env = "WEIR_CALIBRATION_MS", value_name = "MS", default_value_t = 800,
          value_parser = clap::value_parser!(u64).range(..=60_000))]
    calibration_ms: u64,
    /// Where energy, batteries and memory limits are read.
    #[arg(long, env = "WEIR_SYSFS_ROOT", value_name = "DIR", default_value = "/sys")]
    sysfs_root: PathBuf,
    /// Watts of this machine while idle and while all compute threads are busy, used where nothing can be read.
    #[arg(long, env = "WEIR_POWER_MODEL", value_name = "MODEL", default_value_t = PowerModel::default())]
    power_model: PowerModel,
    /// Joules for each byte sent and received.
    #[arg(long, env = "WEIR_RADIO_MODEL", value_name = "MODEL", default_value_t = RadioModel::default())]
    radio_model: RadioModel,
    /// The most watts that this machine may draw on average.
    #[arg(long, env = "WEIR_POWER_BUDGET_WATTS", value_name = "WATTS", value_parser = positive)]
    power_budget_watts: Option<f64>,
    /// Hours that the battery must last from now on.
    #[arg(long, env = "WEIR_BATTERY_HOURS", value_name = "HOURS", value_parser = positive)]
    battery_hours: Option<f64>,
    /// The most bytes of memory that this process may use, if fewer than its cgroup and the machine allow.
    #[arg(long, env = "WEIR_MEMORY_LIMIT_BYTES", value_name = "BYTES",
          value_parser = clap::value_parser!(u64).range(1..))]
    memory_limit_bytes: Option<u64>,
    /// How log lines are written: text or json.
    #[arg(long, env = "WEIR_LOG_FORMAT", value_name = "FORMAT", default_value = "text")]
    log_format: LogFormat,
    /// Settings from the table [worker] of a file (TOML); its keys are the flags with underscores.
    #[arg(long, env = "WEIR_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Check the settings and the files that they name, and end.
    #[arg(long, conflicts_with = "show_config")]
    check_config: bool,
    /// Print the settings that hold and where each comes from, and end.
    #[arg(long)]
    pub(super) show_config: bool,
}

/// A number above zero that some use can be made of.
fn positive(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number: &f64| *number > 0.0 && *number <= 1e6);
    number.ok_or_else(|| format!("{text:?} is no number above 0 and up to 1000000"))
}

impl Args {
    /// Whether the files and names can be used; nothing is started.
    fn check(&self) -> anyhow::Result<()> {
        Identity::load(&self.certs)?;
        PeerName::new(Role::Orchestrator, &self.orchestrator_name)?;
        self.weights.as_ref().map(Checkpoint::open).transpose()?;
        // One that is not there yet is made at the start, not by asking.
        self.cache.as_deref().filter(|cache| cache.exists()).map(Store::open).transpose()?;
        Ok(())
    }

    fn telemetry(&self) -> TelemetryConfig {
        TelemetryConfig {
            sysfs_root: self.sysfs_root.clone(),
            power: self.power_model,
            radio: self.radio_model,
            budget_watts: self.power_budget_watts,
            battery_for: self.battery_hours.map(|hours| Duration::from_secs_f64(hours * 3600.0)),
            memory_limit: self.memory_limit_bytes,
            ..TelemetryConfig::default()
        }
    }

    /// Measures the machine, unless that is turned off. Plans can be made without.
    fn calibration(&self, checkpoint: Option<&Checkpoint>) -> Option<Calibration> {
        if self.calibration_ms == 0 {
            return None;
        }
        let began = Instant::now();
        match calibrate(checkpoint, Duration::from_millis(self.calibration_ms)) {
            Ok(found) => {
                let measured = found.layer_seconds.iter().flatten().count();
                tracing::info!(macs_per_second = found.macs_per_second, measured, took = ?began.elapsed(), "calibrated");
                Some(found)
            }
            Err(error) => {
                tracing::warn!(error = %weir_shared::chain(&error), "not calibrated");
                None
            }
        }
    }
}

/// Runs a worker until SIGTERM or SIGINT.
pub fn run(args: &Args) -> anyhow::Result<()> {
    if args.check_config {
        return args.check();
    }
    logging::start(args.log_format);
    threads::configure(args.threads)?;
    args.macs_per_second.map_or(Ok(()), pace::configure)?;
    let certificates = Certificates::open(&args.certs)?;
    let threads = args.threads;
    let orchestrator = PeerName::new(Role::Orchestrator, &args.orchestrator_name)?;
    let settings = Settings { congestion: args.congestion };
    // A missing file should be said now, not when the first plan comes.
    let checkpoint = args.weights.as_ref().map(Checkpoint::open).transpose()?;
    let store = args.cache.as_deref().map(Store::open).transpose()?;
    let remote = store.is_some().then(|| Remote {
        certificates: certificates.clone(),
        settings,
        orchestrator: orchestrator.clone(),
        address: args.orchestrator.clone(),
    });
    let config = Config {
        certificates,
        listen: args.listen,
        advertise: args.advertise,
        orchestrator,
        orchestrator_address: args.orchestrator.clone(),
        admin: args.admin,
        threads: u16::try_from(threads.get()).context("--threads is too large")?,
        transport: settings,
        loader: Arc::new(StageLoader::new(Sources { checkpoint: args.weights.clone(), store, remote })),
        telemetry: args.telemetry(),
        report_period: Duration::from_millis(args.report_period_ms),
        calibration: args.calibration(checkpoint.as_ref()),
    };
    logging::span::start_export("weir-worker", config.certificates.current().name().short());
    let done = serve(config, threads);
    logging::span::stop_export();
    done
}

fn serve(config: Config, threads: NonZeroUsize) -> anyhow::Result<()> {
    actix_rt::System::new().block_on(async move {
        let worker = Worker::start(config, move || prepare_thread(threads))?;
        let failed = tokio::select! {
            signal = weir_shared::signal::terminated() => {
                signal.context("cannot listen for signals")?;
                None
            }
            () = worker.failed() => Some(anyhow::anyhow!("the stage actor died; the log says why")),
        };
        tracing::info!("stopping");
        worker.stop().await;
        failed.map_or(Ok(()), Err)
    })
}
