//! Which active sets a study looks at, beside the greedy orders. Pure: seeds come in as arguments.

use std::collections::BTreeSet;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore as _, SeedableRng as _};
use weir_shared::arch::{BlockId, Network};
use weir_shared::plan::{ActiveSet, Connection};
use weir_shared::profile::profile::macs;

/// Shares of multiply-accumulate operations to drop, at which sets are drawn.
const LEVELS: [f64; 6] = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6];

/// A set is drawn with at most this share of the shortcuts off: more leave little of any network.
const SHORTCUTS_MAX: f64 = 0.4;

/// Every connection of `network`: branches, then shortcuts.
pub fn connections(network: &Network) -> Vec<Connection> {
    let blocks = || network.blocks.iter().map(|block| block.id);
    blocks().map(Connection::Branch).chain(blocks().map(Connection::Shortcut)).collect()
}

/// Neighbouring blocks that both lack their branch, or both their shortcut.
pub fn neighbours(network: &Network) -> Vec<ActiveSet> {
    let kinds: [fn(BlockId) -> Connection; 2] = [Connection::Branch, Connection::Shortcut];
    let of_kind = |kind: fn(BlockId) -> Connection| {
        network
            .blocks
            .windows(2)
            .filter_map(move |pair| ActiveSet::without([kind(pair[0].id), kind(pair[1].id)]).ok())
    };
    kinds.into_iter().flat_map(of_kind).collect()
}

/// For each block group, its last 2, 3 .. residual branches: training drops late ones most.
pub fn nested(network: &Network) -> Vec<ActiveSet> {
    let mut sets = Vec::new();
    let mut off: Vec<Connection> = Vec::new();
    for (block, next) in
        network.blocks.iter().rev().zip(network.blocks.iter().rev().skip(1).map(Some).chain([None]))
    {
        off.push(Connection::Branch(block.id));
        if off.len() > 1 {
            sets.extend(ActiveSet::without(off.iter().copied()).ok());
        }
        // The first block of a group changes the shape; the block before it is of another group.
        if block.reshapes() || next.is_none() {
            off.clear();
        }
    }
    sets
}

/// Draws sets without repeating itself.
pub struct Draw<'a> {
    network: &'a Network,
    /// Every connection, the one that hurts least alone first.
    ranked: Vec<Connection>,
    rng: ChaCha8Rng,
    drawn: BTreeSet<String>,
}

/// How a drawn set prefers connections.
#[derive(Debug, Clone, Copy)]
enum Taste {
    /// Each as likely as any other.
    None,
    /// Those that hurt less alone: these are the sets that planners ask about.
    Mild,
}

impl<'a> Draw<'a> {
    /// `ranked` has every connection, the one that hurts least alone first.
    pub fn new(network: &'a Network, ranked: Vec<Connection>, seed: u64) -> Self {
        Self { network, ranked, rng: ChaCha8Rng::seed_from_u64(seed), drawn: BTreeSet::new() }
    }

    /// Two connections each: half drawn evenly, half among those that hurt less.
    pub fn pairs(&mut self, count: usize) -> Vec<ActiveSet> {
        self.fill(count, |draw, taste| draw.shuffled(taste).into_iter().take(2).collect())
    }

    /// Sets at each level of computation, each with a random number of shortcuts off besides.
    pub fn levels(&mut self, per_level: usize) -> Vec<ActiveSet> {
        let all = self.network.macs() as f64;
        let at_level = |draw: &mut Self, level: f64| {
            draw.fill(per_level, |draw, taste| {
                let blocks = draw.network.blocks.len();
                let shortcuts = draw.below((blocks as f64 * SHORTCUTS_MAX) as u64 + 1) as usize;
                let order = draw.shuffled(taste);
                let mut off: Vec<Connection> = Vec::new();
                for &branch in order.iter().filter(|connection| matches!(connection, Connection::Branch(_))) {
                    let kept = ActiveSet::without(off.iter().copied())
                        .map_or(all, |set| macs(draw.network, &set) as f64);
                    if 1.0 - kept / all >= level {
                        break;
                    }
                    off.push(branch);
                }
                // Even a whole block may not vanish.
                let free = |block: BlockId, off: &[Connection]| !off.contains(&Connection::Branch(block));
                let chosen = order
                    .iter()
                    .filter(|c| matches!(c, Connection::Shortcut(b) if free(*b, &off)))
                    .take(shortcuts);
                let chosen: Vec<Connection> = chosen.copied().collect();
                off.extend(chosen);
                off
            })
        };
        LEVELS.into_iter().flat_map(|level| at_level(self, level)).collect()
    }

    /// Sets near `good` ones: some of what is off put back, and up to two others of the better half off.
    ///
    /// Planners ask about sets that lose little, and evenly drawn ones seldom do.
    pub fn near(&mut self, good: &[ActiveSet], count: usize) -> Vec<ActiveSet> {
        /// One in so many connections is put back.
        const BACK: u64 = 4;
        if good.is_empty() {
            return Vec::new();
        }
        self.fill(count, |draw, taste| {
            let from = &good[draw.below(good.len() as u64) as usize];
            let mut off: Vec<Connection> = from.off().collect();
            off.retain(|_| draw.below(BACK) > 0);
            let (more, half) = (draw.below(3) as usize, draw.ranked.len() / 2);
            let better: Vec<Connection> = draw.ranked[..half].to_vec();
            let others = draw
                .shuffled(taste)
                .into_iter()
                .filter(|other| better.contains(other) && !off.contains(other));
            let others: Vec<Connection> = others.take(more).collect();
            off.extend(others);
            off
        })
    }

    fn fill(
        &mut self,
        count: usize,
        mut make: impl FnMut(&mut Self, Taste) -> Vec<Connection>,
    ) -> Vec<ActiveSet> {
        let mut sets = Vec::new();
        // Small networks have few sets, so give up after a while.
        for attempt in 0..count * 4 {
            if sets.len() == count {
                break;
            }
            let taste = if attempt % 2 == 0 { Taste::None } else { Taste::Mild };
            let Ok(set) = ActiveSet::without(make(self, taste)) else { continue };
            if set.off().count() > 1 && self.drawn.insert(set.describe(self.network)) {
                sets.push(set);
            }
        }
        sets
    }

    fn shuffled(&mut self, taste: Taste) -> Vec<Connection> {
        let count = self.ranked.len() as f64;
        let ranks: Vec<Connection> = self.ranked.clone();
        let mut keyed: Vec<(f64, Connection)> = ranks
            .into_iter()
            .enumerate()
            .map(|(rank, connection)| {
                let luck = self.unit();
                let key = match taste {
                    Taste::None => luck,
                    // Half luck, half rank.
                    Taste::Mild => luck + rank as f64 / count,
                };
                (key, connection)
            })
            .collect();
        keyed.sort_by(|a, b| a.0.total_cmp(&b.0));
        keyed.into_iter().map(|(_, connection)| connection).collect()
    }

    /// A whole number below `end`; the bias of `%` is below 1e-15 for ends of this size.
    fn below(&mut self, end: u64) -> u64 {
        self.rng.next_u64() % end.max(1)
    }

    /// A number from 0 to 1, 1 exclusive: the upper 53 bits.
    fn unit(&mut self) -> f64 {
        (self.rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_shared::arch::Arch;

    #[test]
    fn nested_sets_end_with_their_group() {
        let network = Arch::ResNet20.network();
        let names: Vec<String> = nested(&network).iter().map(|set| set.describe(&network)).collect();
        assert_eq!(names[0], "F:layer3.1,F:layer3.2");
        assert_eq!(names[1], "F:layer3.0,F:layer3.1,F:layer3.2");
        assert_eq!(names.len(), 6);
    }

    #[test]
    fn sets_near_a_good_one_keep_most_of_it() {
        let network = Arch::ResNet20.network();
        let good =
            ActiveSet::parse("F:layer2.1,F:layer2.2,F:layer3.1,F:layer3.2,S:layer1.1", &network).unwrap();
        let near = Draw::new(&network, connections(&network), 1).near(std::slice::from_ref(&good), 20);
        assert_eq!(near.len(), 20);
        let kept =
            |set: &ActiveSet| set.off().filter(|off| good.off().any(|of_good| of_good == *off)).count();
        assert!(near.iter().map(kept).sum::<usize>() > 60, "three of five are common");
    }

    #[test]
    fn drawn_sets_differ_reach_their_level_and_come_again() {
        let network = Arch::ResNet20.network();
        let draw = |seed| Draw::new(&network, connections(&network), seed).levels(5);
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
        let names: BTreeSet<String> = draw(1).iter().map(|set| set.describe(&network)).collect();
        assert_eq!(names.len(), 30);
        let dropped = |set: &ActiveSet| 1.0 - macs(&network, set) as f64 / network.macs() as f64;
        assert!(draw(1)[25..].iter().all(|set| dropped(set) >= 0.6));
    }
}
