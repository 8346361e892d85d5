//! `weir-worker train`: trains a network that survives losing connections.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use weir_shared::arch::Arch;

use crate::resnet::threads;
use crate::study::train::augment::Augment;
use crate::study::train::log::Row;
use crate::study::train::run::{Material, train};
use crate::study::train::{Compute, Options, Precision, Resume, Subnetwork};

use super::arguments::DataArgs;
use crate::dataset::Split;

/// Arguments of `train`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The network, such as resnet20.
    #[arg(long)]
    arch: Arch,
    #[command(flatten)]
    data: DataArgs,
    /// Where the network goes (safetensors); manifest, log, its curves and the state are put beside it.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Passes over the training images.
    #[arg(long, value_name = "N")]
    epochs: u32,
    /// Seeds weights, order, augmentation and dropping.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Train on the first N images of the train split only.
    #[arg(long, value_name = "N")]
    limit: Option<NonZeroUsize>,
    /// Measure after each pass on the first N images of the validation split.
    #[arg(long, value_name = "N", default_value = "5000")]
    validation: NonZeroUsize,
    /// Images in one step.
    #[arg(long, value_name = "N", default_value = "128")]
    batch: NonZeroUsize,
    /// Highest learning rate for a batch of 128; scaled with the batch.
    #[arg(long, value_name = "X", default_value_t = 0.2)]
    learning_rate: f64,
    /// Share of the run in which the learning rate rises.
    #[arg(long, value_name = "X", default_value_t = 0.2)]
    warm_up: f64,
    /// Nesterov momentum.
    #[arg(long, value_name = "X", default_value_t = 0.9)]
    momentum: f64,
    /// L2 penalty on weights; normalisation is spared.
    #[arg(long, value_name = "X", default_value_t = 5e-4)]
    weight_decay: f64,
    /// Greatest joint length of all gradients of a step.
    #[arg(long, value_name = "X", default_value_t = 2.0)]
    clip: f64,
    /// Share of the target spread over all classes.
    #[arg(long, value_name = "X", default_value_t = 0.0)]
    label_smoothing: f64,
    /// Mean share of the expendable residual branches that a sub-network lacks: two in three blocks have one.
    #[arg(long, value_name = "X", default_value_t = 0.5)]
    drop_branch: f64,
    /// The same for shortcuts: every third block of a group, from its first, has an expendable one.
    #[arg(long, value_name = "X", default_value_t = 0.5)]
    drop_shortcut: f64,
    /// What is done with the sub-network of each step.
    #[arg(long, value_enum, default_value = "distil")]
    subnetwork: Subnetwork,
    /// Share of the run before the first sub-network.
    #[arg(long, value_name = "X", default_value_t = 0.0)]
    subnetwork_from: f64,
    /// Decay of a moving average of the weights for each step; 0 keeps none.
    #[arg(long, value_name = "X", default_value_t = 0.0)]
    average: f64,
    /// What training steps compute in; bf16 is about twice as fast on processors with AVX512-BF16 or AMX.
    #[arg(long, value_enum, default_value = "f32")]
    precision: Precision,
    /// Where to compute.
    #[arg(long, value_enum, default_value = "auto")]
    device: Compute,
    /// Threads that compute; the result depends on their number in the last bits.
    #[arg(long, value_name = "N", default_value = "1")]
    threads: NonZeroUsize,
    /// What to do about an earlier run to the same output.
    #[arg(long, value_enum, default_value = "auto")]
    resume: Resume,
}

impl Args {
    fn options(&self) -> Options {
        Options {
            arch: self.arch,
            seed: self.seed,
            epochs: self.epochs,
            batch: self.batch,
            learning_rate: self.learning_rate,
            warm_up: self.warm_up,
            momentum: self.momentum,
            weight_decay: self.weight_decay,
            clip: self.clip,
            label_smoothing: self.label_smoothing,
            drop_branch: self.drop_branch,
            drop_shortcut: self.drop_shortcut,
            subnetwork: self.subnetwork,
            subnetwork_from: self.subnetwork_from,
            average: self.average,
            precision: self.precision,
        }
    }
}

/// Trains, and writes the network.
///
/// # Errors
/// If an option or the data do not fit, or a file can not be written.
pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    threads::configure(args.threads)?;
    let dataset = args.data.dataset(args.arch)?;
    let images = dataset.load(Split::Train, args.limit.map(NonZeroUsize::get))?;
    let validation = dataset.load(Split::Validation, Some(args.validation.get()))?;
    let material =
        Material { train: &images, validation: &validation, augment: Augment::suited_to(&dataset) };
    let report = train(&args.options(), material, &args.out, args.resume, args.device, |row| {
        eprintln!("{}", line(row, args.epochs));
    })?;
    println!("network    {} in {}", args.arch, args.out.display());
    println!(
        "accuracy   {:.2} % of {} validation images of {} (95 % interval {:.2} % to {:.2} %)",
        100.0 * report.validation_accuracy,
        report.validation_images,
        dataset.name(),
        100.0 * report.validation_interval.low,
        100.0 * report.validation_interval.high,
    );
    println!("with random connections off, on average {:.2} %", 100.0 * report.subnetwork_accuracy);
    Ok(())
}

/// One pass in one line; it stays on a terminal when the bar is gone, and is all there is elsewhere.
fn line(row: &Row, epochs: u32) -> String {
    format!(
        "epoch {} of {epochs}: loss {:.4}, train {:.2} %, validation {:.2} %, sub-networks {:.2} %, {:.0} s",
        row.epoch,
        row.loss,
        100.0 * row.train_accuracy,
        100.0 * row.report.validation_accuracy,
        100.0 * row.report.subnetwork_accuracy,
        row.seconds,
    )
}
