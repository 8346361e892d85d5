//! `weir demo`: the arguments of a demonstration.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::builder::RangedU64ValueParser;
use weir_shared::arch::Arch;

use crate::demo::config::{Config, Dataset, IMAGES};
use crate::demo::run;
use crate::demo::topology::{Conditions, WORKERS_MAX};

/// More requests at once than this meet the orchestrator's own limit of 64.
const CONCURRENCY_MAX: u64 = 64;

/// Arguments of `demo`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  weir demo
  weir demo --images 200 --conditions congested-wifi
  weir demo --dataset cifar10 --data cifar-10-batches-bin --weights resnet56.safetensors --arch resnet56

The exit status is 0 when every answer equals the unsplit network's bit for bit, no request failed, and a
quarter of ResNet-50 took a quarter of its memory. OUT/report.json has all figures, OUT/*.log the logs.")]
pub(super) struct Args {
    /// The images: drawn by a generator, or CIFAR-10 from --data.
    #[arg(long, value_enum, default_value_t = Dataset::Shapes)]
    dataset: Dataset,
    /// Folder of a data set on disk.
    #[arg(long, value_name = "DIR", required_if_eq("dataset", "cifar10"))]
    data: Option<PathBuf>,
    /// The network; it must be for images of this size.
    #[arg(long, default_value_t = Arch::ResNet20)]
    arch: Arch,
    /// Its checkpoint; without it, models/<dataset>-<network>.safetensors.
    #[arg(long, value_name = "FILE")]
    weights: Option<PathBuf>,
    /// How many images are streamed.
    #[arg(long, value_name = "N", default_value_t = IMAGES, value_parser = RangedU64ValueParser::<usize>::new().range(1..))]
    images: usize,
    /// How many workers share the network.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = RangedU64ValueParser::<usize>::new().range(1..=WORKERS_MAX as u64))]
    workers: usize,
    /// What the links are like: home (a mix), or all alike: loopback, lan, good-wifi, congested-wifi, weak-4g,
    /// slow-3g.
    #[arg(long, value_name = "NAME", default_value_t = Conditions::Home)]
    conditions: Conditions,
    /// Requests under way at once.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = RangedU64ValueParser::<usize>::new().range(1..=CONCURRENCY_MAX))]
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
    let Args { dataset, data, arch, weights, images, workers, conditions, concurrency, out, bin_dir } = args;
    let config =
        Config { dataset, data, arch, weights, images, workers, conditions, concurrency, out, bin_dir };
    let report = run::run(&config).await?;
    Ok(if report.passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
