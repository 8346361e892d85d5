//! `weir-worker init`: a checkpoint with seeded random weights, and its manifest.

use std::path::PathBuf;

use anyhow::Context as _;
use weir_shared::arch::{Arch, NetworkSpec};
use weir_shared::weights::{Checkpoint, Manifest, writer};

use crate::resnet::random;

/// Arguments of `init`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The network: resnet20, resnet32, resnet44, resnet56, resnet110, resnet18, resnet34, resnet50, resnet101
    /// or resnet152.
    #[arg(long)]
    arch: Arch,
    /// The same seed gives the same file, on any machine.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Number of classes; without it, the paper's: 10 for CIFAR, 1000 for ImageNet.
    #[arg(long)]
    classes: Option<u32>,
    /// The safetensors file to write; its manifest goes beside it.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// Writes the checkpoint and its manifest.
///
/// # Errors
/// If the network is impossible or a file cannot be written.
pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let paper = args.arch.network();
    let spec = NetworkSpec::new(args.arch, paper.input, args.classes.unwrap_or(paper.head.classes))?;
    let network = spec.network();
    let layers: Vec<_> =
        network.layers().iter().map(|layer| random::layer(&network, layer.kind, args.seed)).collect();
    writer::save_layers(&args.out, &layers)?;
    // The manifest is made from the file, so what it names is what a worker will read.
    let manifest = Manifest::compute(&Checkpoint::open(&args.out)?, &spec)
        .context("the new file cannot be read back")?;
    let beside = Manifest::beside(&args.out);
    manifest.save(&beside)?;
    println!(
        "{}: {} with {} random parameters (seed {}); manifest {}",
        args.out.display(),
        args.arch,
        network.parameter_count(),
        args.seed,
        beside.display()
    );
    Ok(())
}
