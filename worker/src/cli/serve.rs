//! `weir-worker serve`: runs a worker until it is told to stop.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use weir_shared::ids::{PeerName, Role};
use weir_shared::logging::{self, LogFormat};
use weir_shared::transport::{Congestion, Identity, Settings};

use crate::app::{Config, Worker};
use crate::loader::{StageLoader, prepare_thread};
use crate::resnet::threads;
use crate::weights::{Remote, Sources, Store};

/// Arguments of `serve`. Each can be given as an environment variable too.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folder with ca.crt, tls.crt and tls.key; the certificate's name is the worker's name.
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
    /// How QUIC finds its rate: bbr keeps it on lossy links, cubic is the field's default.
    #[arg(long, env = "WEIR_CONGESTION", value_name = "NAME", default_value = "bbr")]
    congestion: Congestion,
    /// How log lines are written: text or json.
    #[arg(long, env = "WEIR_LOG_FORMAT", value_name = "FORMAT", default_value = "text")]
    log_format: LogFormat,
}

/// Runs a worker until SIGTERM or SIGINT.
pub fn run(args: &Args) -> anyhow::Result<()> {
    logging::start(args.log_format);
    threads::configure(args.threads)?;
    let identity = Identity::load(&args.certs)?;
    let threads = args.threads;
    let orchestrator = PeerName::new(Role::Orchestrator, &args.orchestrator_name)?;
    let settings = Settings { congestion: args.congestion };
    if let Some(weights) = &args.weights {
        // A missing file should be said now, not when the first plan comes.
        weir_shared::weights::Checkpoint::open(weights)?;
    }
    let store = args.cache.as_deref().map(Store::open).transpose()?;
    let remote = store.is_some().then(|| Remote {
        certs: args.certs.clone(),
        settings,
        orchestrator: orchestrator.clone(),
        address: args.orchestrator.clone(),
    });
    let config = Config {
        identity,
        listen: args.listen,
        advertise: args.advertise,
        orchestrator,
        orchestrator_address: args.orchestrator.clone(),
        admin: args.admin,
        threads: u16::try_from(threads.get()).context("--threads is too large")?,
        transport: settings,
        loader: Arc::new(StageLoader::new(Sources { checkpoint: args.weights.clone(), store, remote })),
    };
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
