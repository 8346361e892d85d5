//! How alike two active sets are: what the surrogate knows of them.
//!
//! Sets are alike that differ in few connections, and in such as cost little alone; and beside that, losses of single
//! connections nearly add up, until nothing is left to lose.

use crate::arch::{BlockId, Network};
use crate::plan::ActiveSet;

/// Variance of losses between sets that have nothing in common, in squared log-odds.
///
/// This and the constants below were chosen on studies of ResNet-20 on `shapes`; the error hardly depends on them.
const VARIANCE: f64 = 10.0;

/// How many average connections make two sets unlike.
const LENGTH: f64 = 3.0;

/// What a connection counts that costs nothing alone, as a share of the average one.
const COUNT_MIN: f64 = 0.2;

/// Variance of a connection's share in a loss, wherever it is off.
const OF_CONNECTION: f64 = 0.05;

/// Variance of the factor by which the sum of single losses is wrong.
const OF_SUM: f64 = 0.3;

/// Losses in log-odds beyond this hardly grow: the network guesses.
const SATURATION: f64 = 3.0;

/// Compares active sets of one network.
#[derive(Debug, Clone)]
pub(super) struct Likeness {
    /// Loss of each connection alone, in log-odds: branches, then shortcuts; of blocks in order.
    singles: Vec<f64>,
    /// What each counts in a difference.
    counts: Vec<f64>,
}

/// What is compared of a set.
#[derive(Debug, Clone)]
pub(super) struct View {
    /// Connections that are off, a bit each: a fit compares millions of pairs.
    off: Vec<u64>,
    sum: f64,
}

impl Likeness {
    /// `singles` tells what each set with one connection off loses, in log-odds.
    pub(super) fn new(singles: Vec<f64>) -> Self {
        let mean = singles.iter().map(|loss| loss.abs()).sum::<f64>() / singles.len().max(1) as f64;
        let relative = |loss: &f64| if mean > 0.0 { loss.abs() / mean } else { 1.0 };
        let counts = singles.iter().map(|loss| (relative(loss) + COUNT_MIN) / (1.0 + COUNT_MIN)).collect();
        Self { singles, counts }
    }

    pub(super) fn view(&self, network: &Network, active: &ActiveSet) -> View {
        let blocks = || (0..network.blocks.len() as u16).map(BlockId);
        let branches = blocks().map(|block| !active.branch(block));
        let off: Vec<bool> = branches.chain(blocks().map(|block| !active.shortcut(block))).collect();
        let sum: f64 = self.singles.iter().zip(&off).filter(|(_, off)| **off).map(|(loss, _)| loss).sum();
        let bits = off
            .chunks(64)
            .map(|off| off.iter().enumerate().fold(0, |bits, (place, off)| bits | u64::from(*off) << place));
        View { off: bits.collect(), sum: SATURATION * (sum / SATURATION).tanh() }
    }

    /// The covariance of two sets' losses (Rasmussen and Williams 2006, Gaussian Processes, section 4.2: sums of
    /// kernels are kernels).
    pub(super) fn of(&self, a: &View, b: &View) -> f64 {
        let (mut distance, mut common) = (0.0, 0);
        for ((a, b), counts) in a.off.iter().zip(&b.off).zip(self.counts.chunks(64)) {
            common += (a & b).count_ones();
            let mut differing = a ^ b;
            while differing != 0 {
                distance += counts[differing.trailing_zeros() as usize];
                // Clears the lowest bit.
                differing &= differing - 1;
            }
        }
        VARIANCE * (-distance / LENGTH).exp() + OF_CONNECTION * f64::from(common) + OF_SUM * a.sum * b.sum
    }
}
