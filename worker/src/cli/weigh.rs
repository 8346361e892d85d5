//! `weir-worker weigh`: what the weights of some layers cost in memory, measured in this process.
//!
//! A stage must cost what its own layers weigh and no more: this is the command that shows it. It loads as
//! `serve` does, so what it measures is what a worker pays.

use std::num::NonZeroUsize;
use std::ops::Range;
use std::str::FromStr;

use anyhow::Context as _;
use weir_shared::plan::plan::BatchNorm;
use weir_shared::weights::Checkpoint;

use super::arguments::NetworkArgs;
use crate::resnet::{StageNetwork, threads};
use crate::telemetry::resident_bytes;

/// Arguments of `weigh`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    network: NetworkArgs,
    /// Layers to load, the second one exclusive; without it, all.
    #[arg(long, value_name = "START..END")]
    layers: Option<Layers>,
    /// Print one JSON object in place of text.
    #[arg(long)]
    json: bool,
}

/// A range of layers as it is written: `4..9`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Layers(Range<u16>);

/// The text is no range.
#[derive(Debug, thiserror::Error)]
#[error(
    "{0:?} is no range of layers; write the first one, two dots and the one behind the last, such as 4..9"
)]
struct BadLayers(String);

impl FromStr for Layers {
    type Err = BadLayers;

    fn from_str(text: &str) -> Result<Self, BadLayers> {
        let parse = || {
            let (start, end) = text.split_once("..")?;
            Some(start.parse().ok()?..end.parse().ok()?)
        };
        let layers = parse().filter(|layers: &Range<u16>| layers.start < layers.end);
        layers.map(Self).ok_or_else(|| BadLayers(text.to_owned()))
    }
}

/// Loads, measures and prints.
///
/// # Errors
/// If the weights do not fit, or the system does not tell how much memory this process has.
pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    threads::configure(NonZeroUsize::MIN)?;
    let checkpoint = Checkpoint::open(&args.network.weights)?;
    let network = checkpoint.spec(args.network.arch)?.network();
    let layers = args.layers.clone().map_or(0..network.layer_count(), |layers| layers.0);
    // Libtorch sets itself up and pages itself in at the first load; that is not what a stage costs.
    drop(StageNetwork::load(&checkpoint, &network, 0..1, BatchNorm::Folded)?);
    let before = resident_bytes();
    let stage = StageNetwork::load(&checkpoint, &network, layers.clone(), BatchNorm::Folded)?;
    let after = resident_bytes();
    anyhow::ensure!(
        before > 0,
        "this system has no /proc/self/statm, so memory cannot be measured; use Linux"
    );
    let name = |layer: u16| {
        let layer = network.layers().get(usize::from(layer)).context("the layers are not of this network")?;
        Ok::<_, anyhow::Error>(network.layer_name(layer.kind))
    };
    let (first, last) = (name(layers.start)?, name(layers.end - 1)?);
    if args.json {
        let found = serde_json::json!({
            "arch": args.network.arch,
            "layers": layers,
            "first": first,
            "last": last,
            "weight_bytes": stage.weight_bytes(),
            "resident_before_bytes": before,
            "resident_after_bytes": after,
        });
        println!("{found}");
        return Ok(());
    }
    let megabytes = |bytes: u64| bytes as f64 / 1e6;
    println!("layers     {first} to {last} ({} to {}) of {}", layers.start, layers.end, args.network.arch);
    println!("weights    {:.1} MB", megabytes(stage.weight_bytes()));
    let grown = after.saturating_sub(before);
    println!("memory     {:.1} MB more than before loading ({:.1} MB)", megabytes(grown), megabytes(before));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_are_written_as_a_range() {
        assert_eq!("4..9".parse::<Layers>().unwrap(), Layers(4..9));
        for text in ["4", "9..4", "4..4", "a..b", "..3"] {
            assert!(text.parse::<Layers>().unwrap_err().to_string().contains("4..9"), "{text}");
        }
    }
}
