//! Seeded random weights: for tests, for measuring time, and as the start of training.
//!
//! Each tensor has its own stream of numbers, chosen by seed and name. So a layer has the same weights whether
//! it is made alone or with the whole network, on any machine: only exactly rounded operations are used.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore as _, SeedableRng as _};
use weir_shared::arch::{LayerKind, Network, Parameter};
use weir_shared::digest::Digest;
use weir_shared::weights::LayerTensors;

/// How much the last normalisation of a branch scales, at most twice this.
///
/// Without it each block doubles the variance, and 50 blocks reach 10^15. A quarter lets it grow by a
/// sixteenth a block, in the manner of Goyal et al. 2017 (section 5.1), who begin with zero.
const LAST_GAMMA: f64 = 0.25;

/// How far the statistics and the scales of a normalisation lie from those of none at all.
///
/// Enough that a worker which forgets them, or applies them twice, gives other logits.
const SPREAD: f64 = 0.1;

/// The tensors of `layer` for `seed`.
pub fn layer(network: &Network, layer: LayerKind, seed: u64) -> LayerTensors {
    LayerTensors::make(network, layer, |parameter| numbers(network, parameter, seed))
}

fn numbers(network: &Network, parameter: &Parameter, seed: u64) -> Vec<f32> {
    let (middle, reach) = distribution(network, parameter);
    let mut stream = ChaCha8Rng::seed_from_u64(seed);
    stream.set_stream(u64::from(Digest::of(parameter.name.as_bytes()).prefix()));
    // 24 bits are what an f32 between 0 and 1 can hold.
    let mut unit = || f64::from(stream.next_u32() >> 8) / f64::from(1 << 24);
    (0..parameter.elements()).map(|_| (middle + reach * (2.0 * unit() - 1.0)) as f32).collect()
}

/// Middle and half width of the uniform distribution of a tensor.
fn distribution(network: &Network, parameter: &Parameter) -> (f64, f64) {
    let fan_in = |dimensions: &[usize]| dimensions.iter().product::<usize>() as f64;
    let (owner, kind) = parameter.name.rsplit_once('.').unwrap_or(("", &parameter.name));
    let ends_branch = |owner: &str| {
        let mut last = network.blocks.iter().filter_map(|block| block.branch.last());
        last.any(|conv| conv.norm_name == owner)
    };
    match (kind, parameter.shape.as_slice()) {
        // He et al. 2015 ("Delving Deep into Rectifiers"), Eq. 10: variance 2 / fan-in; uniform up to sqrt(6 / fan-in).
        ("weight", [_, filter @ ..]) if filter.len() == 3 => (0.0, (6.0 / fan_in(filter)).sqrt()),
        // The classifier: variance 1 / (3 fan-in), PyTorch's default for linear layers, for its bias too.
        ("weight", [_, filter @ ..]) if filter.len() == 1 => (0.0, 1.0 / fan_in(filter).sqrt()),
        ("bias", _) if owner == network.head.name => {
            (0.0, 1.0 / f64::from(network.head.input.channels).sqrt())
        }
        ("weight", _) if ends_branch(owner) => (LAST_GAMMA, LAST_GAMMA * SPREAD),
        ("weight", _) => (1.0, SPREAD),
        ("running_var", _) => (1.0, 2.0 * SPREAD),
        _ => (0.0, SPREAD),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_shared::arch::Arch;

    #[test]
    fn a_layer_has_the_same_weights_on_every_machine() {
        let network = Arch::ResNet20.network();
        let stem = layer(&network, LayerKind::Stem, 7);
        assert_eq!(stem.digest(), layer(&network, LayerKind::Stem, 7).digest());
        assert_ne!(stem.digest(), layer(&network, LayerKind::Stem, 8).digest());
        // Pinned: a change would make other files from the same seed.
        assert!(stem.digest().to_string().starts_with("fbf8f629"), "{}", stem.digest());
    }

    #[test]
    fn variances_are_positive_and_statistics_matter() {
        let network = Arch::ResNet20.network();
        let stem = layer(&network, LayerKind::Stem, 7);
        let variance = stem.get("bn1.running_var").unwrap();
        assert!(
            variance.iter().all(|v| (0.8..=1.2).contains(v))
                && variance.iter().any(|v| (v - 1.0).abs() > 0.05)
        );
    }
}
