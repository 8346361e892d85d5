//! How much is measured.

use std::num::NonZeroUsize;

/// What a study spends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Budget {
    /// Minutes for a small network: 1,000 validation and 2,000 test images.
    Quick,
    /// All images, a sample of sets.
    Standard,
    /// All images, every pair of neighbours and every candidate in each step of a greedy order.
    Full,
}

/// What a budget means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Effort {
    /// Validation images where no number is asked for.
    pub validation: usize,
    /// Test images where no number is asked for.
    pub test: usize,
    /// Pairs that are not neighbours.
    pub pairs: usize,
    /// Drawn sets at each level of computation.
    pub random_per_level: usize,
    /// Drawn sets near those of the greedy orders.
    pub near: usize,
    /// Connections that a step of a greedy order looks at: those that promise most.
    pub candidates: usize,
}

/// What decides the figures of a study, beside the network and the images.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// How much is measured.
    pub effort: Effort,
    /// Seeds every drawn set.
    pub seed: u64,
    /// Images computed at once.
    pub batch: NonZeroUsize,
}

impl Budget {
    /// What it buys. The sizes of splits are those of CIFAR-10.
    pub const fn effort(self) -> Effort {
        match self {
            Self::Quick => Effort {
                validation: 1_000,
                test: 2_000,
                pairs: 24,
                random_per_level: 10,
                near: 40,
                candidates: 5,
            },
            Self::Standard => Effort {
                validation: 5_000,
                test: 10_000,
                pairs: 80,
                random_per_level: 40,
                near: 200,
                candidates: 10,
            },
            Self::Full => Effort {
                validation: 5_000,
                test: 10_000,
                pairs: 300,
                random_per_level: 120,
                near: 600,
                candidates: usize::MAX,
            },
        }
    }

    /// The name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Quick => "quick",
            Self::Standard => "standard",
            Self::Full => "full",
        }
    }
}
