//! `weir-worker eval`: the accuracy of a whole network, in one process.

use std::num::{NonZeroU16, NonZeroUsize};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use weir_shared::plan::ActiveSet;
use weir_shared::plan::plan::BatchNorm;
use weir_shared::weights::Checkpoint;

use super::arguments::{DataArgs, NetworkArgs};
use crate::dataset::{Batch, Dataset, Split};
use crate::resnet::{SplitLike, SplitProgram, WholeNetwork, threads};
use crate::study::evaluate::{Evaluation, evaluate, evaluate_with};
use crate::study::export::Export;
use crate::study::progress;

/// Arguments of `eval`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    network: NetworkArgs,
    #[command(flatten)]
    data: DataArgs,
    /// Which part of the data set.
    #[arg(long, value_enum, default_value_t = Split::Test)]
    split: Split,
    /// Measure on the first N images only.
    #[arg(long, value_name = "N")]
    limit: Option<NonZeroUsize>,
    /// Images computed at once. Logits depend on it in the last bits.
    #[arg(long, value_name = "N", default_value = "100")]
    batch: NonZeroU16,
    /// Connections that are switched off: F:<block> for residual branches, S:<block> for shortcuts.
    #[arg(long, value_name = "F:layer2.1,S:layer1.0", default_value = "")]
    active: String,
    /// Compute stage by stage and round activations as a plan does: JSON with "layers" (the first layer of each
    /// stage, and behind the last) and "rounded" (from, to, encoding; stages by number, null is the gateway).
    #[arg(long, value_name = "FILE")]
    split_like: Option<PathBuf>,
    /// Whether batch normalisation is folded into the convolutions.
    #[arg(long, value_enum, default_value = "folded")]
    batch_norm: BatchNormArg,
    /// Threads that compute.
    #[arg(long, value_name = "N", default_value = "1")]
    threads: NonZeroUsize,
    /// Print one JSON object in place of text.
    #[arg(long)]
    json: bool,
    /// Also write images, labels and logits to a safetensors file.
    #[arg(long, value_name = "FILE")]
    export: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum BatchNormArg {
    Folded,
    Separate,
}

impl From<BatchNormArg> for BatchNorm {
    fn from(arg: BatchNormArg) -> Self {
        match arg {
            BatchNormArg::Folded => Self::Folded,
            BatchNormArg::Separate => Self::Separate,
        }
    }
}

/// Measures and prints.
///
/// # Errors
/// If weights, images and network do not fit, or a file can not be read or written.
pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    threads::configure(args.threads)?;
    let dataset = args.data.dataset(args.network.arch)?;
    let images = dataset.load(args.split, args.limit.map(NonZeroUsize::get))?;
    let checkpoint = Checkpoint::open(&args.network.weights)?;
    let network = args.network.spec(&checkpoint, &images)?.network();
    let active = ActiveSet::parse(&args.active, &network).context("--active can not be used")?;
    let network = WholeNetwork::load(&checkpoint, network, args.batch_norm.into())?;

    let bar = progress::bar(images.len() as u64, "images");
    let mut export = args.export.as_ref().map(|_| Export::default());
    let each_batch = |batch: &Batch, logits: &[f32]| {
        bar.inc(batch.len() as u64);
        if let Some(export) = &mut export {
            export.push(batch, logits);
        }
    };
    let at_once = usize::from(args.batch.get());
    let found = match &args.split_like {
        None => evaluate(&network, &active, &images, at_once, each_batch)?,
        Some(path) => {
            let split = SplitProgram::new(&network, &active, split_like(path)?)
                .with_context(|| format!("{} can not be used", path.display()))?;
            let compute = |count, numbers: Vec<f32>| split.logits(&network, count, &numbers);
            evaluate_with(network.network(), compute, &images, at_once, each_batch)?
        }
    };
    bar.finish_and_clear();
    if let (Some(export), Some(path)) = (export, &args.export) {
        export.save(path, images.shape(), &notes(args, &active.describe(network.network())))?;
    }
    print(args, &dataset, &active.describe(network.network()), &found)
}

fn split_like(path: &Path) -> anyhow::Result<SplitLike> {
    let text = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_slice(&text)
        .with_context(|| format!("{} is not what --split-like takes", path.display()))
}

/// What a reader of an export must know to make it again.
fn notes(args: &Args, off: &str) -> serde_json::Value {
    serde_json::json!({
        "arch": args.network.arch,
        "off": off,
        "batch": args.batch,
        "batch_norm": BatchNorm::from(args.batch_norm),
        "split": args.split.to_string(),
    })
}

fn print(args: &Args, dataset: &Dataset, off: &str, found: &Evaluation) -> anyhow::Result<()> {
    let interval = found.interval();
    if args.json {
        let report = serde_json::json!({
            "arch": args.network.arch,
            "weights": args.network.weights,
            "dataset": dataset.name(),
            "split": args.split.to_string(),
            "off": off,
            "batch": args.batch,
            "threads": args.threads,
            "correct": found.correct,
            "count": found.count,
            "accuracy": found.accuracy(),
            "interval_95": [interval.low, interval.high],
            "images_per_second": found.images_per_second(),
        });
        println!("{}", serde_json::to_string_pretty(&report)?);
        return Ok(());
    }
    let percent = |share: f64| format!("{:.2} %", 100.0 * share);
    println!("network    {} from {}", args.network.arch, args.network.weights.display());
    println!("images     {} of {}, {} split", found.count, dataset.name(), args.split);
    println!("off        {}", if off.is_empty() { "nothing" } else { off });
    println!(
        "accuracy   {} ({} right; 95 % interval {} to {})",
        percent(found.accuracy()),
        found.correct,
        percent(interval.low),
        percent(interval.high)
    );
    println!(
        "speed      {:.0} images/s (batch {}, {} threads)",
        found.images_per_second(),
        args.batch,
        args.threads
    );
    Ok(())
}
