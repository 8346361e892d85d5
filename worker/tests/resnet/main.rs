//! The computed network as a story: it is torchvision's, it may be cut anywhere, and it refuses what is not its own.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

mod reference;
mod refusals;
mod split;
mod third_party;

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use weir_shared::arch::Network;
use weir_shared::weights::{LayerTensors, writer};
use weir_worker::resnet::{random, threads};

/// One thread for each operation: the tests themselves run beside each other.
fn setup() {
    threads::configure(NonZeroUsize::MIN).unwrap();
}

/// Every layer of `network` with seeded random weights.
fn random_layers(network: &Network, seed: u64) -> Vec<LayerTensors> {
    network.layers().iter().map(|layer| random::layer(network, layer.kind, seed)).collect()
}

/// A checkpoint of `network` with seeded random weights.
fn random_checkpoint(folder: &Path, network: &Network, seed: u64) -> PathBuf {
    let path = folder.join("weights.safetensors");
    writer::save_layers(&path, &random_layers(network, seed)).unwrap();
    path
}

/// Numbers from -2 to 2, as a normalised image has.
fn images(network: &Network, batch: usize) -> Vec<f32> {
    let elements = network.input.elements() * batch;
    (0..elements as u32)
        .map(|n| (n.wrapping_mul(2_654_435_769) >> 8) as f32 / (1 << 22) as f32 - 2.0)
        .collect()
}

/// The largest difference, as a fraction of the largest number expected.
fn relative_difference(found: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(found.len(), expected.len());
    let largest = expected.iter().fold(0.0_f32, |most, number| most.max(number.abs()));
    let pairs = found.iter().zip(expected);
    let difference = pairs.fold(0.0_f32, |most, (a, b)| most.max((a - b).abs()));
    assert!(difference.is_finite() && largest > 0.0, "{difference} of {largest}");
    difference / largest
}
