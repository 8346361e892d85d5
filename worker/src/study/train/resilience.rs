//! Which connections may go, in which order, and which of them are off in a step.
//!
//! A block that must work without its branch has to be a small refinement of its input; one that must work
//! without its shortcut has to carry everything through its branch. No block can be both, so each has one role.
//! Every third block of a group, its first included, is a **carrier**: its branch stays, its shortcut may go. The
//! others are **refiners**: their branch may go, their shortcut stays (the mandatory and skippable sub-paths of
//! Kang and Lee 2024, "Adaptive Depth Networks with Skippable Sub-Paths", section 3, in turns). That makes two
//! thirds of the branches and one third of the shortcuts expendable.
//!
//! Both kinds have a fixed order of dropping, from the end of each group to its beginning with the groups taking
//! turns. Half of the sub-networks drop the beginning of that order, so that few must work and each is seen often.
//! The other half drops each connection on its own (stochastic depth: Huang et al. 2016), so that single ones and
//! arbitrary sets work too. Each draws how severe it is, so that all from nearly whole to very thin are seen.

use weir_shared::arch::{BlockId, Network};
use weir_shared::plan::{ActiveSet, ActiveSetError, Connection};

use super::random::{Purpose, Stream};

/// One carrier in so many blocks of a group: more would leave too few branches to drop for half of the MACs.
const CARRIER_EVERY: usize = 3;

/// Share of sub-networks that follow the order of dropping.
const NESTED: f64 = 0.5;

/// No connection is ever nearly sure to be off, however severe the step.
const RATE_MAX: f64 = 0.9;

/// The connections that a network is trained to do without, each kind in its order of dropping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expendable {
    /// Residual branches, those of refiners.
    pub branches: Vec<Connection>,
    /// Shortcuts, those of carriers.
    pub shortcuts: Vec<Connection>,
}

impl Expendable {
    /// Those of `network`.
    pub fn of(network: &Network) -> Self {
        let (mut group, mut place) = (0, 0);
        let mut blocks: Vec<(usize, usize, BlockId)> = Vec::new();
        for block in &network.blocks {
            // A group begins where the shape changes; the first one need not.
            (group, place) =
                if blocks.is_empty() || block.reshapes() { (group + 1, 0) } else { (group, place + 1) };
            blocks.push((place, group, block.id));
        }
        blocks.sort_unstable();
        let is_carrier = |place: usize| place.is_multiple_of(CARRIER_EVERY);
        let latest_first = || blocks.iter().rev();
        Self {
            branches: latest_first()
                .filter(|(place, ..)| !is_carrier(*place))
                .map(|&(_, _, id)| Connection::Branch(id))
                .collect(),
            shortcuts: latest_first()
                .filter(|(place, ..)| is_carrier(*place))
                .map(|&(_, _, id)| Connection::Shortcut(id))
                .collect(),
        }
    }
}

/// How much is off on average, of what is expendable.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dropping {
    /// Mean share of the expendable branches that is off, 0 to 1.
    pub branch: f64,
    /// Mean share of the expendable shortcuts that is off, 0 to 1.
    pub shortcut: f64,
}

impl Dropping {
    /// The sub-network of training step `step`.
    pub(super) fn at_step(
        self,
        expendable: &Expendable,
        seed: u64,
        step: u64,
    ) -> Result<ActiveSet, ActiveSetError> {
        self.draw(expendable, &mut Stream::new(seed, Purpose::Drop, step))
    }

    /// Sub-network `number` of those that are measured after each pass, the same in every run.
    pub(super) fn probe(self, expendable: &Expendable, number: u64) -> Result<ActiveSet, ActiveSetError> {
        self.draw(expendable, &mut Stream::new(0, Purpose::Probe, number))
    }

    fn draw(self, expendable: &Expendable, stream: &mut Stream) -> Result<ActiveSet, ActiveSetError> {
        let nested = stream.unit() < NESTED;
        let mut off = Vec::new();
        for (rate, order) in [(self.branch, &expendable.branches), (self.shortcut, &expendable.shortcuts)] {
            let share = 2.0 * stream.unit() * rate;
            let first = (share * (order.len() + 1) as f64) as usize;
            for (place, &connection) in order.iter().enumerate() {
                // Drawn in either case, so that the streams of both are read alike.
                let alone = stream.unit() < share.min(RATE_MAX);
                let is_off = if nested { place < first } else { alone };
                off.extend(is_off.then_some(connection));
            }
        }
        ActiveSet::without(off)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_shared::arch::Arch;

    fn names(arch: Arch) -> [String; 2] {
        let network = arch.network();
        let Expendable { branches, shortcuts } = Expendable::of(&network);
        let name = |connection: &Connection| match connection {
            Connection::Branch(id) | Connection::Shortcut(id) => network.block(*id).name.replace("layer", ""),
        };
        [branches, shortcuts].map(|order| order.iter().map(name).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn groups_take_turns_from_their_ends_and_keep_their_first_branch() {
        assert_eq!(names(Arch::ResNet20), ["3.2 2.2 1.2 3.1 2.1 1.1", "3.0 2.0 1.0"]);
        assert_eq!(names(Arch::ResNet50)[1], "3.3 2.3 4.0 3.0 2.0 1.0");
        let [branches, shortcuts] = names(Arch::ResNet56);
        assert_eq!((branches.split(' ').count(), shortcuts.split(' ').count()), (18, 9));
    }

    #[test]
    fn sub_networks_are_nested_half_of_the_time_and_as_thin_as_asked_on_average() {
        let expendable = Expendable::of(&Arch::ResNet56.network());
        let dropping = Dropping { branch: 0.4, shortcut: 0.3 };
        let sets: Vec<Vec<Connection>> =
            (0..4_000).map(|step| dropping.at_step(&expendable, 1, step).unwrap().off().collect()).collect();
        for (order, rate) in [(&expendable.branches, 0.4), (&expendable.shortcuts, 0.3)] {
            let off = |set: &Vec<Connection>| order.iter().filter(|one| set.contains(one)).count();
            let mean = sets.iter().map(off).sum::<usize>() as f64 / (4_000 * order.len()) as f64;
            assert!((mean - rate).abs() < 0.03, "{mean}");
            let nested = sets.iter().filter(|set| order[..off(set)].iter().all(|one| set.contains(one)));
            // Some of the others are nested by chance, most of them near nothing off.
            assert!((0.48..0.72).contains(&(nested.count() as f64 / 4e3)));
        }
        assert_eq!(sets[7], dropping.at_step(&expendable, 1, 7).unwrap().off().collect::<Vec<_>>());
    }
}
