//! Which connections are off in a step.
//!
//! Stochastic depth (Huang et al. 2016, section 3) drops residual branches at a rate that rises in a line with
//! depth, because early features feed everything behind them. Two things are added. Shortcuts are dropped in the
//! same way, for they are what a cut inside a block sends twice. And each step draws how severe it is, so that
//! sub-networks from nearly whole to very thin are all seen, not only those near the mean.

use weir_shared::arch::Network;
use weir_shared::plan::{ActiveSet, ActiveSetError, Connection};

use super::random::{Purpose, Stream};

/// No block is ever nearly sure to lose its branch, however severe the step.
const RATE_MAX: f64 = 0.9;

/// The rates at which connections are off.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dropping {
    /// Mean rate of the last block's residual branch, 0 to 1.
    pub branch: f64,
    /// Mean rate of the last block's shortcut, 0 to 1.
    pub shortcut: f64,
}

impl Dropping {
    /// The sub-network of training step `step`.
    pub(super) fn at_step(
        self,
        network: &Network,
        seed: u64,
        step: u64,
    ) -> Result<ActiveSet, ActiveSetError> {
        let mut stream = Stream::new(seed, Purpose::Drop, step);
        let severity = 2.0 * stream.unit();
        self.draw(network, severity, &mut stream)
    }

    /// Sub-network `number` of those that are measured after each pass, the same in every run.
    pub(super) fn probe(self, network: &Network, number: u64) -> Result<ActiveSet, ActiveSetError> {
        self.draw(network, 1.0, &mut Stream::new(0, Purpose::Probe, number))
    }

    fn draw(
        self,
        network: &Network,
        severity: f64,
        stream: &mut Stream,
    ) -> Result<ActiveSet, ActiveSetError> {
        let blocks = network.blocks.len() as f64;
        let mut off = Vec::new();
        for (block, depth) in network.blocks.iter().zip(1_u32..) {
            let share = severity * f64::from(depth) / blocks;
            // Both numbers are always drawn, so that one rate does not change what the other one gives.
            let [for_branch, for_shortcut] = [stream.unit(), stream.unit()];
            if for_branch < (share * self.branch).min(RATE_MAX) {
                off.push(Connection::Branch(block.id));
            } else if for_shortcut < (share * self.shortcut).min(RATE_MAX) {
                off.push(Connection::Shortcut(block.id));
            }
        }
        ActiveSet::without(off)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_shared::arch::{Arch, BlockId};

    #[test]
    fn rates_rise_with_depth_and_no_block_vanishes() {
        let network = Arch::ResNet20.network();
        let dropping = Dropping { branch: 0.5, shortcut: 0.2 };
        let sets: Vec<_> = (0..4_000).map(|step| dropping.at_step(&network, 1, step).unwrap()).collect();
        let rate =
            |is_off: &dyn Fn(&ActiveSet) -> bool| sets.iter().filter(|set| is_off(set)).count() as f64 / 4e3;
        let [first, last] = [BlockId(0), BlockId(8)];
        assert!((rate(&|set| !set.branch(first)) - 0.5 / 9.0).abs() < 0.02);
        assert!((rate(&|set| !set.branch(last)) - 0.5).abs() < 0.04);
        // Only blocks that kept their branch may lose their shortcut.
        assert!((0.05..0.2).contains(&rate(&|set| !set.shortcut(last))));
        assert_eq!(sets[7], dropping.at_step(&network, 1, 7).unwrap());
    }
}
