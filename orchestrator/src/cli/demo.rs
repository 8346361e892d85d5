//! `weir demo`: the arguments of a demonstration.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::builder::RangedU64ValueParser;
use weir_shared::arch::Arch;

use crate::demo::config::{Config, Dataset, IMAGES};
use crate::demo::run;
use crate::demo::scenario::Scenario;
use crate::demo::story::run::{self as story, StoryConfig};
use crate::demo::topology::{Conditions, WORKERS_MAX};

/// More requests at once than this meet the orchestrator's own limit of 64.
const CONCURRENCY_MAX: u64 = 64;

/// The scenarios that are part of the program, so that it tells its story wherever it is.
const STORY: &str = include_str!("../../../scenarios/home.toml");
const SWITCHES: &str = include_str!("../../../scenarios/switches.toml");
const NOISE: &str = include_str!("../../../scenarios/rtt-noise.toml");
const LOSS: &str = include_str!("../../../scenarios/bypass.toml");

/// Arguments of `demo`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  weir demo
  weir demo --scenario scenarios/rtt-noise.toml
  weir demo --stream --images 200 --conditions congested-wifi
  weir demo --stream --dataset cifar10 --data cifar-10-batches-bin \\
    --weights resnet56.safetensors --arch resnet56

A scenario is played in several runs under the same conditions: adaptive, with the plan that was best in the \
beginning, and with one worker alone. The exit status is 0 when every answer of every run equals the unsplit \
network's under the same plan bit for bit, and the adaptive run answered every request. With --stream images are \
sent as fast as they are answered, over links that stay as they are; then a quarter of ResNet-50 must take a quarter \
of its memory, too. OUT/report.json has all figures, OUT/report.html the drawings, OUT/**/*.log the logs.")]
pub(super) struct Args {
    /// What happens, as a file (scenarios/README.md describes it); without one, a home where things go wrong.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["stream", "bench"])]
    scenario: Option<PathBuf>,
    /// Play what the table of targets needs: the story, many plan switches, noise, and a loss that survivors bypass.
    #[arg(long, conflicts_with = "stream")]
    bench: bool,
    /// The accuracy profile; without it, the one beside the checkpoint.
    #[arg(long, value_name = "FILE", conflicts_with = "stream")]
    profile: Option<PathBuf>,
    /// Stream images over links that stay as they are, instead of playing a scenario.
    #[arg(long)]
    stream: bool,
    /// The images: drawn by a generator, or CIFAR-10 from --data. [stream]
    #[arg(long, value_enum, default_value_t = Dataset::Shapes, requires = "stream")]
    dataset: Dataset,
    /// Folder of a data set on disk.
    #[arg(long, value_name = "DIR", required_if_eq("dataset", "cifar10"))]
    data: Option<PathBuf>,
    /// The network; it must be for images of this size. [stream]
    #[arg(long, default_value_t = Arch::ResNet20, requires = "stream")]
    arch: Arch,
    /// Its checkpoint; without it, models/<dataset>-<network>.safetensors.
    #[arg(long, value_name = "FILE")]
    weights: Option<PathBuf>,
    /// How many images are streamed. [stream]
    #[arg(long, value_name = "N", default_value_t = IMAGES, requires = "stream", value_parser = RangedU64ValueParser::<usize>::new().range(1..))]
    images: usize,
    /// How many workers share the network. [stream]
    #[arg(long, value_name = "N", default_value_t = 4, requires = "stream", value_parser = RangedU64ValueParser::<usize>::new().range(1..=WORKERS_MAX as u64))]
    workers: usize,
    /// What the links are like: home (a mix), or all alike: loopback, lan, good-wifi, congested-wifi, weak-4g,
    /// slow-3g. [stream]
    #[arg(long, value_name = "NAME", default_value_t = Conditions::Home, requires = "stream")]
    conditions: Conditions,
    /// Requests under way at once. [stream]
    #[arg(long, value_name = "N", default_value_t = 4, requires = "stream", value_parser = RangedU64ValueParser::<usize>::new().range(1..=CONCURRENCY_MAX))]
    concurrency: usize,
    /// Where the report and the logs go.
    #[arg(long, value_name = "DIR", default_value = "target/demo")]
    out: PathBuf,
    /// Folder of weir-orchestrator and weir-worker; without it, the one of this program.
    #[arg(long, value_name = "DIR")]
    bin_dir: Option<PathBuf>,
}

/// Runs the demonstration.
///
/// # Errors
/// If it did not come to a report.
pub(super) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let passed = if args.stream { stream(args).await? } else { play(args).await? };
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn stream(args: Args) -> anyhow::Result<bool> {
    let Args { dataset, data, arch, weights, images, workers, conditions, concurrency, out, bin_dir, .. } =
        args;
    let config =
        Config { dataset, data, arch, weights, images, workers, conditions, concurrency, out, bin_dir };
    Ok(run::run(&config).await?.passed)
}

async fn play(args: Args) -> anyhow::Result<bool> {
    let built_in = |text: &str, name: &str| Scenario::parse(text, Path::new(name));
    let scenario = match &args.scenario {
        Some(path) => Scenario::load(path)?,
        None => built_in(STORY, "scenarios/home.toml")?,
    };
    anyhow::ensure!(
        args.data.is_some() || !story::needs_data(&scenario),
        "the scenario is about images of {}; name their folder with --data",
        scenario.dataset.name()
    );
    let extra = |text: &str, name: &str| args.bench.then(|| built_in(text, name)).transpose();
    let config = StoryConfig {
        story: scenario,
        switches: extra(SWITCHES, "scenarios/switches.toml")?,
        noise: extra(NOISE, "scenarios/rtt-noise.toml")?,
        loss: extra(LOSS, "scenarios/bypass.toml")?,
        weights: args.weights,
        profile: args.profile,
        data: args.data,
        out: args.out,
        bin_dir: args.bin_dir,
    };
    Ok(story::run(&config).await?.passed)
}
