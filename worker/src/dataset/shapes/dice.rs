//! Random numbers for drawing, the same on every machine and with every version of the libraries.
//!
//! Only the raw 32-bit output of ChaCha8 is used, which is fixed for ever; turning it into numbers is done
//! here, because libraries may change how they do it.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore as _, SeedableRng as _};

/// A stream of random numbers that belongs to one image.
pub(super) struct Dice(ChaCha8Rng);

impl Dice {
    /// The stream of a key. Distinct keys have unrelated streams.
    pub(super) fn new(key: [u64; 3]) -> Self {
        let mut seed = [0; 32];
        // Sets these streams apart from any other use of ChaCha here.
        seed[24..].copy_from_slice(b"shapes/2");
        for (bytes, word) in seed.chunks_exact_mut(8).zip(key) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        Self(ChaCha8Rng::from_seed(seed))
    }

    /// Uniform in `[0, 1)`, a multiple of 2^-24, so exact in `f32`.
    pub(super) fn unit(&mut self) -> f32 {
        (self.0.next_u32() >> 8) as f32 / (1 << 24) as f32
    }

    /// Uniform between `low` and `high`.
    pub(super) fn between(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.unit()
    }

    /// Uniform in `0..count`.
    pub(super) fn below(&mut self, count: u32) -> u32 {
        ((u64::from(self.0.next_u32()) * u64::from(count)) >> 32) as u32
    }

    /// A direction, uniform on the circle: a point of the disc, scaled. No sine is needed.
    pub(super) fn direction(&mut self) -> [f32; 2] {
        loop {
            let [x, y] = [self.between(-1.0, 1.0), self.between(-1.0, 1.0)];
            let square = x * x + y * y;
            if (0.01..=1.0).contains(&square) {
                let length = square.sqrt();
                return [x / length, y / length];
            }
        }
    }

    /// Nearly normal, with standard deviation 1: four uniform numbers, summed (Irwin and Hall; variance 4/12).
    pub(super) fn bell(&mut self) -> f32 {
        // Two 16-bit numbers from each draw are fine enough for noise on bytes.
        let mut sum = 0;
        for _ in 0..2 {
            let bits = self.0.next_u32();
            sum += (bits & 0xffff) + (bits >> 16);
        }
        (sum as f32 / 65_536.0 - 2.0) * SQRT_3
    }

    /// A colour, each channel uniform in 0 to 1.
    pub(super) fn colour(&mut self) -> [f32; 3] {
        [self.unit(), self.unit(), self.unit()]
    }
}

/// 1 / sqrt(4/12).
const SQRT_3: f32 = 1.732_050_8;
