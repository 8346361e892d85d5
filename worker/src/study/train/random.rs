//! Random streams that need no memory: each is named by a seed, a purpose and a counter.
//!
//! A resumed run only has to know how many steps are done. A purpose of its own for each use means that changing
//! one, say the augmentation, leaves all others as they were.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore as _, SeedableRng as _};

/// What random numbers are for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Purpose {
    /// First weights; the counter is the tensor's number.
    Weights = 1,
    /// Order of the images; the counter is the pass over them.
    Order,
    /// How images are turned; the counter is the step.
    Augment,
    /// Which connections are off; the counter is the step.
    Drop,
    /// Which sub-networks are measured after each pass; the counter is their number.
    Probe,
}

/// A stream of random numbers.
pub(super) struct Stream(ChaCha8Rng);

impl Stream {
    pub(super) fn new(seed: u64, purpose: Purpose, counter: u64) -> Self {
        let mut key = [0; 32];
        for (bytes, word) in key.chunks_exact_mut(8).zip([seed, purpose as u64, counter]) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        // Sets these streams apart from those that draw images.
        key[24..].copy_from_slice(b"train/1\0");
        Self(ChaCha8Rng::from_seed(key))
    }

    /// Uniform in `[0, 1)`.
    pub(super) fn unit(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Uniform in `0..count`; the bias is below `count` / 2^64.
    pub(super) fn below(&mut self, count: usize) -> usize {
        ((u128::from(self.0.next_u64()) * count as u128) >> 64) as usize
    }

    /// A random order of `0..count` (Fisher and Yates).
    pub(super) fn order(&mut self, count: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..count).collect();
        for last in (1..count).rev() {
            order.swap(last, self.below(last + 1));
        }
        order
    }
}
