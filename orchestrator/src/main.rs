//! The orchestrator's command line; everything it does is in the library.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::{CommandFactory as _, Parser};
use weir_orchestrator::admin::access::Access;
use weir_orchestrator::app::{Config, Orchestrator};
use weir_orchestrator::labels;
use weir_orchestrator::layers::LayerServer;
use weir_orchestrator::planner::{LinkMap, PlanFile};
use weir_orchestrator::replan::model;
use weir_orchestrator::supervisor::{PlanSource, Policy};
use weir_shared::arch::{Arch, NetworkSpec};
use weir_shared::config::{self, Read};
use weir_shared::digest::Digest;
use weir_shared::logging::{self, LogFormat};
use weir_shared::profile::Profile;
use weir_shared::transport::{Certificates, Congestion, Settings};
use weir_shared::weights::{Checkpoint, Manifest};

/// Weir's orchestrator: admits requests, decides plans, and rolls them out.
#[derive(Debug, Parser)]
#[command(
    name = "weir-orchestrator",
    version,
    about,
    max_term_width = 100,
    after_help = "Examples:
  weir-orchestrator --certs certs/orchestrator/main --arch resnet50 \\
    --weights resnet50.safetensors --workers 2
  weir-orchestrator --config /etc/weir.toml
  weir-orchestrator --config /etc/weir.toml --check-config

A setting is taken from its flag; else from its environment variable; else from the file; else its default holds. \
`weir` looks at the running process: `weir status`, `weir plan`. docs/cli.md describes all programs.

Exit status: 0 stopped by a signal, or the settings can be used; 1 failed; 2 wrong arguments or settings."
)]
struct Args {
    /// Folder with ca.crt, tls.crt and tls.key; new ones are used without a restart.
    #[arg(long, env = "WEIR_CERTS", value_name = "DIR")]
    certs: PathBuf,
    /// The network that is served, such as resnet20 or resnet50.
    #[arg(long, env = "WEIR_ARCH", value_name = "NAME")]
    arch: Arch,
    /// Checkpoint (safetensors). Workers hold the same one, or fetch the layers that they need from here.
    #[arg(long, env = "WEIR_WEIGHTS", value_name = "FILE")]
    weights: PathBuf,
    /// UDP address for workers.
    #[arg(long, env = "WEIR_LISTEN", value_name = "ADDR", default_value = "0.0.0.0:7600")]
    listen: SocketAddr,
    /// Address under which workers reach this process, where it differs from --listen.
    #[arg(long, env = "WEIR_ADVERTISE", value_name = "ADDR")]
    advertise: Option<SocketAddr>,
    /// TCP address of the inference API (Open Inference Protocol v2).
    #[arg(long, env = "WEIR_HTTP", value_name = "ADDR", default_value = "0.0.0.0:8080")]
    http: SocketAddr,
    /// TCP address of the admin API.
    #[arg(long, env = "WEIR_ADMIN", value_name = "ADDR", default_value = "127.0.0.1:7610")]
    admin: SocketAddr,
    /// Tokens that may look at the admin API, one a line (at least 16 characters). Without any token file, the admin API
    /// answers this machine only.
    #[arg(long, env = "WEIR_VIEWER_TOKEN_FILE", value_name = "FILE")]
    viewer_token_file: Option<PathBuf>,
    /// Tokens that may change things by the admin API. Both files are read again at each use.
    #[arg(long, env = "WEIR_ADMIN_TOKEN_FILE", value_name = "FILE")]
    admin_token_file: Option<PathBuf>,
    /// Workers to wait for before the first plan.
    #[arg(long, env = "WEIR_WORKERS", value_name = "N", default_value_t = 1)]
    workers: usize,
    /// What chooses plans.
    #[arg(long, env = "WEIR_PLANNER", value_name = "NAME", default_value = "adaptive")]
    planner: Planner,
    /// A plan written by hand (TOML), which stays as it is; with --policy, the plan to begin with.
    #[arg(long, env = "WEIR_PLAN", value_name = "FILE")]
    plan: Option<PathBuf>,
    /// What a plan is to make small and what must hold (TOML), with the rules of re-planning in [replan]. Without it,
    /// latency counts most, energy some, and at most a point of accuracy is given up.
    #[arg(long, env = "WEIR_POLICY", value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Accuracy profile of these weights, made by `weir-worker study`: says which connections may be switched off.
    #[arg(long, env = "WEIR_PROFILE", value_name = "FILE")]
    profile: Option<PathBuf>,
    /// Addresses of links that lead through something else (TOML).
    #[arg(long, env = "WEIR_LINKS", value_name = "FILE")]
    links: Option<PathBuf>,
    /// File that keeps the term and the committed plan for the next start, which then goes on with that plan. Without it, each
    /// start plans anew.
    #[arg(long, env = "WEIR_JOURNAL", value_name = "FILE")]
    journal: Option<PathBuf>,
    /// Names of the classes, one on a line, for answers in words; without it, WEIGHTS.labels.txt where there is one.
    #[arg(long, env = "WEIR_LABELS", value_name = "FILE")]
    labels: Option<PathBuf>,
    /// The most images in one request.
    #[arg(long, env = "WEIR_MAX_BATCH", value_name = "N", default_value_t = 8,
          value_parser = clap::value_parser!(u16).range(1..=i64::from(weir_shared::plan::plan::BATCH_MAX)))]
    max_batch: u16,
    /// Requests that may be in at once; more are refused with 503.
    #[arg(long, env = "WEIR_MAX_IN_FLIGHT", value_name = "N", default_value_t = 64)]
    max_in_flight: usize,
    /// Milliseconds that a request may take.
    #[arg(long, env = "WEIR_DEADLINE_MS", value_name = "MS", default_value_t = 10_000)]
    deadline_ms: u64,
    /// How QUIC finds its rate: bbr keeps it on lossy links, cubic is the field's default.
    #[arg(long, env = "WEIR_CONGESTION", value_name = "NAME", default_value = "bbr")]
    congestion: Congestion,
    /// How log lines are written: text or json.
    #[arg(long, env = "WEIR_LOG_FORMAT", value_name = "FORMAT", default_value = "text")]
    log_format: LogFormat,
    /// Settings from the table [orchestrator] of a file (TOML); its keys are the flags with underscores.
    #[arg(long, env = "WEIR_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Check the settings and the files that they name, and end.
    #[arg(long, conflicts_with = "show_config")]
    check_config: bool,
    /// Print the settings that hold and where each comes from, and end.
    #[arg(long)]
    show_config: bool,
}

/// Of the configuration file.
const TABLE: &str = "orchestrator";

/// What chooses plans.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Planner {
    /// The optimisation model, again whenever links, power or load shift.
    Adaptive,
    /// The layers are spread evenly over all workers that are there.
    Balanced,
}

fn main() -> ExitCode {
    let read: Read<Args> = match config::read(TABLE) {
        Ok(read) => read,
        Err(error) => {
            eprintln!("error: {}", weir_shared::chain(&error));
            return ExitCode::from(2);
        }
    };
    let args = &read.arguments;
    if args.show_config {
        config::show::lines(TABLE, &Args::command(), &read.matches, &read.completed)
            .iter()
            .for_each(|line| println!("{line}"));
        return ExitCode::SUCCESS;
    }
    let done = if args.check_config { settings(args).map(drop) } else { run(args) };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> anyhow::Result<()> {
    logging::start(args.log_format);
    let config = settings(args)?;
    logging::span::start_export("weir-orchestrator", config.certificates.current().name().short());
    let done = serve(config);
    logging::span::stop_export();
    done
}

fn serve(config: Config) -> anyhow::Result<()> {
    actix_rt::System::new().block_on(async move {
        let orchestrator = Orchestrator::start(config)?;
        let failed = tokio::select! {
            signal = weir_shared::signal::terminated() => {
                signal.context("cannot listen for signals")?;
                None
            }
            () = orchestrator.failed() => Some(anyhow::anyhow!("an essential actor died; the log says why")),
        };
        tracing::info!("stopping");
        orchestrator.stop().await;
        failed.map_or(Ok(()), Err)
    })
}

/// What the arguments and the files that they name come to.
fn settings(args: &Args) -> anyhow::Result<Config> {
    let access = Access::new(args.viewer_token_file.as_deref(), args.admin_token_file.as_deref())?;
    let certificates = Certificates::open(&args.certs)?;
    let checkpoint = Checkpoint::open(&args.weights)?;
    let network = checkpoint.spec(args.arch)?;
    checkpoint.check(&network.network())?;
    let source = match &args.plan {
        Some(path) => {
            let file = PlanFile::parse(&read(path)?, &network.network());
            PlanSource::File(file.with_context(|| format!("the plan file {}", path.display()))?)
        }
        None => PlanSource::Balanced,
    };
    let links = match &args.links {
        Some(path) => {
            LinkMap::parse(&read(path)?).with_context(|| format!("the links file {}", path.display()))?
        }
        None => LinkMap::default(),
    };
    let weights = manifest(&checkpoint, network)?.digests();
    let policy = match (&args.policy, args.planner) {
        (Some(_), Planner::Balanced) => {
            anyhow::bail!("--policy is for --planner adaptive; leave one of them out")
        }
        (Some(path), Planner::Adaptive) => {
            Some(policy(&read(path)?).with_context(|| format!("the policy file {}", path.display()))?)
        }
        (None, Planner::Adaptive) if args.plan.is_none() => Some(policy("")?),
        (None, _) => None,
    };
    let profile = match &args.profile {
        Some(path) => Some(profile(path, &network, &weights)?),
        None => None,
    };
    Ok(Config {
        access,
        policy,
        profile,
        certificates,
        listen: args.listen,
        advertise: args.advertise,
        http: args.http,
        admin: args.admin,
        network,
        layers: LayerServer::new(checkpoint, network, &weights),
        weights,
        source,
        first_workers: args.workers,
        links,
        labels: labels(args, &network)?,
        journal: args.journal.clone(),
        max_batch: args.max_batch,
        max_in_flight: args.max_in_flight,
        deadline: Duration::from_millis(args.deadline_ms),
        transport: Settings { congestion: args.congestion },
    })
}

fn policy(text: &str) -> anyhow::Result<Policy> {
    let (rules, model) = model::read(text).map_err(anyhow::Error::msg)?;
    Ok(Policy { text: text.to_owned(), rules, model: Arc::new(model) })
}

/// The names of the classes: what --labels names, else what lies beside the checkpoint.
fn labels(args: &Args, network: &NetworkSpec) -> anyhow::Result<Option<Vec<String>>> {
    let beside = labels::beside(&args.weights);
    let found = args.labels.clone().or_else(|| beside.exists().then_some(beside));
    let classes = network.network().head.classes;
    Ok(found.map(|path| labels::load(&path, classes)).transpose()?)
}

fn profile(path: &Path, network: &NetworkSpec, weights: &[Digest]) -> anyhow::Result<Profile> {
    let named = || format!("the accuracy profile {}", path.display());
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let profile = Profile::from_json(&bytes).with_context(named)?;
    profile.check_about(network, weights).with_context(named)?;
    Ok(profile)
}

fn read(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

/// The digests of the checkpoint as it is now; where a manifest lies beside it, both must agree.
fn manifest(checkpoint: &Checkpoint, network: NetworkSpec) -> anyhow::Result<Manifest> {
    let beside = Manifest::beside(checkpoint.path());
    if !beside.exists() {
        return Ok(Manifest::compute(checkpoint, &network)?);
    }
    let manifest = Manifest::load(&beside)?;
    manifest.verify(checkpoint)?;
    anyhow::ensure!(
        manifest.network == network,
        "{} describes {}, not {}; give the --arch of the checkpoint",
        beside.display(),
        manifest.network.arch(),
        network.arch()
    );
    Ok(manifest)
}
