//! `weir-worker profile`: the time of every layer on this machine, as a table or as JSON.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use serde::Serialize;
use weir_shared::arch::Arch;
use weir_shared::plan::plan::BatchNorm;
use weir_shared::weights::Checkpoint;

use crate::resnet::timing::{self, Measurement};
use crate::resnet::{WholeNetwork, threads};

/// Arguments of `profile`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The network: resnet20, resnet32, resnet44, resnet56, resnet110, resnet18, resnet34, resnet50, resnet101
    /// or resnet152.
    #[arg(long)]
    arch: Arch,
    /// A checkpoint of the network; without it, random weights, which take the same time.
    #[arg(long, value_name = "FILE")]
    weights: Option<PathBuf>,
    /// Threads for one operation.
    #[arg(long, default_value = "1")]
    threads: NonZeroUsize,
    /// Samples in one run.
    #[arg(long, default_value = "1")]
    batch: NonZeroUsize,
    /// Runs that are measured; the median of them is told.
    #[arg(long, default_value = "20")]
    runs: NonZeroUsize,
    /// Runs before the measured ones.
    #[arg(long, default_value_t = 3)]
    warm_up: usize,
    /// Compute batch normalisation as the checkpoint states it, or folded into the convolutions.
    #[arg(long, value_enum, default_value = "folded")]
    batch_norm: Norm,
    /// How the result is written.
    #[arg(long, value_enum, default_value = "table")]
    output: Output,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Norm {
    Folded,
    Separate,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Output {
    Table,
    Json,
}

/// What was measured where; times in seconds for one batch.
#[derive(Debug, Serialize)]
struct Report {
    network: Arch,
    batch_norm: BatchNorm,
    libtorch: Option<String>,
    threads: usize,
    batch: usize,
    runs: usize,
    layers: Vec<Row>,
    total_macs: u64,
    total_weight_bytes: u64,
    /// Sum of the layers' medians.
    layers_seconds: f64,
    /// Median of whole runs, with the copies in and out.
    whole_seconds: f64,
}

#[derive(Debug, Serialize)]
struct Row {
    layer: u16,
    name: String,
    /// For one sample.
    macs: u64,
    weight_bytes: u64,
    /// Median for one batch.
    seconds: f64,
    gmacs_per_second: f64,
}

/// Measures and prints.
///
/// # Errors
/// If the weights cannot be loaded or computed with.
pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    threads::configure(args.threads)?;
    let batch_norm = match args.batch_norm {
        Norm::Folded => BatchNorm::Folded,
        Norm::Separate => BatchNorm::Separate,
    };
    let network = match &args.weights {
        Some(path) => {
            let checkpoint = Checkpoint::open(path)?;
            let spec = checkpoint.spec(args.arch)?;
            WholeNetwork::load(&checkpoint, spec.network(), batch_norm)?
        }
        None => WholeNetwork::random(args.arch.network(), batch_norm, 1)?,
    };
    let report = measure(args, batch_norm, &network)?;
    match args.output {
        Output::Table => print_table(&report),
        Output::Json => println!("{}", serde_json::to_string_pretty(&report)?),
    }
    Ok(())
}

fn measure(args: &Args, batch_norm: BatchNorm, network: &WholeNetwork) -> anyhow::Result<Report> {
    let (batch, runs) = (args.batch.get(), args.runs.get());
    let times = timing::measure(network, Measurement { batch, warm_up: args.warm_up, runs })?;
    let network = network.network();
    let row = |(layer, time): (&weir_shared::arch::Layer, &std::time::Duration)| {
        let seconds = time.as_secs_f64();
        Row {
            layer: layer.id.0,
            name: network.layer_name(layer.kind),
            macs: layer.macs,
            weight_bytes: layer.weight_bytes,
            seconds,
            gmacs_per_second: rate(layer.macs, batch, seconds),
        }
    };
    let layers: Vec<_> = network.layers().iter().zip(&times.layers).map(row).collect();
    Ok(Report {
        network: network.arch,
        batch_norm,
        libtorch: threads::libtorch_version(),
        threads: threads::in_force(),
        batch,
        runs,
        total_macs: network.macs(),
        total_weight_bytes: network.weight_bytes(),
        layers_seconds: layers.iter().map(|row| row.seconds).sum(),
        whole_seconds: times.whole.as_secs_f64(),
        layers,
    })
}

/// Billions of multiply-accumulate operations a second.
fn rate(macs: u64, batch: usize, seconds: f64) -> f64 {
    if seconds > 0.0 { macs as f64 * batch as f64 / seconds / 1e9 } else { 0.0 }
}

fn print_table(report: &Report) {
    let width = report.layers.iter().map(|row| row.name.len()).max().unwrap_or(0).max("whole run".len());
    println!(
        "{}, batch {}, {} thread(s), median of {} runs, libtorch {}",
        report.network,
        report.batch,
        report.threads,
        report.runs,
        report.libtorch.as_deref().unwrap_or("of unknown version")
    );
    println!(
        "{:>5}  {:width$}  {:>9}  {:>12}  {:>10}  {:>8}",
        "layer", "name", "M MACs", "weight bytes", "ms", "GMAC/s"
    );
    let line = |id: &str, name: &str, macs: u64, bytes: u64, seconds: f64| {
        let (millions, millis) = (macs as f64 / 1e6, seconds * 1e3);
        let rate = rate(macs, report.batch, seconds);
        println!("{id:>5}  {name:width$}  {millions:>9.2}  {bytes:>12}  {millis:>10.4}  {rate:>8.2}");
    };
    for row in &report.layers {
        line(&row.layer.to_string(), &row.name, row.macs, row.weight_bytes, row.seconds);
    }
    line("", "all layers", report.total_macs, report.total_weight_bytes, report.layers_seconds);
    line("", "whole run", report.total_macs, report.total_weight_bytes, report.whole_seconds);
}
