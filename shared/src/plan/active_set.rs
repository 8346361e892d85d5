//! Which residual branches and which shortcuts a plan computes.

use serde::{Deserialize, Serialize};

use crate::arch::{BlockId, Network};

/// One connection that can be switched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Connection {
    /// The residual branch `F` of a block.
    Branch(BlockId),
    /// The shortcut `S` of a block.
    Shortcut(BlockId),
}

/// The active connections of a network, as data: switching one needs no rebuild and no weight.
///
/// Branch off: the block is `relu(S(x))`. Shortcut off: `relu(F(x))`. Both off at once would make the block
/// the constant zero, and cannot be expressed by a valid set.
///
/// As JSON it is the two lists of what is off, by block number: `{"branches_off":[4],"shortcuts_off":[]}`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(try_from = "Off", into = "Off")]
pub struct ActiveSet {
    branches_off: BlockMask,
    shortcuts_off: BlockMask,
}

/// A set of block numbers. The largest network of the catalogue has 54 blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
struct BlockMask(u64);

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Off {
    branches_off: Vec<u16>,
    shortcuts_off: Vec<u16>,
}

/// Why a set of connections cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ActiveSetError {
    /// Nothing of the block would be left.
    #[error("block {0} has both its residual branch and its shortcut off; keep one of them")]
    BlockVanishes(u16),
    /// The number is not that of a block.
    #[error("there is no block {block}; this network's blocks are 0 to {last}")]
    NoSuchBlock {
        /// What was asked for.
        block: u16,
        /// The last block.
        last: u16,
    },
    /// A name that is neither `F:<block>` nor `S:<block>`.
    #[error(
        "{0:?} names no connection; write F:<block> for a residual branch or S:<block> for a shortcut, \
         as in F:layer2.1"
    )]
    BadName(String),
}

impl BlockMask {
    const CAPACITY: u16 = u64::BITS as u16;

    fn contains(self, block: u16) -> bool {
        block < Self::CAPACITY && self.0 & (1 << block) != 0
    }

    fn with(self, block: u16) -> Self {
        Self(self.0 | (1 << block))
    }

    fn iter(self) -> impl Iterator<Item = u16> {
        (0..Self::CAPACITY).filter(move |&block| self.contains(block))
    }
}

impl ActiveSet {
    /// Everything active.
    pub const fn full() -> Self {
        Self { branches_off: BlockMask(0), shortcuts_off: BlockMask(0) }
    }

    /// Everything active but the given connections.
    ///
    /// # Errors
    /// If a block would lose both, or a block number is beyond any network of the catalogue.
    pub fn without(off: impl IntoIterator<Item = Connection>) -> Result<Self, ActiveSetError> {
        let mut set = Self::full();
        for connection in off {
            let (mask, block) = match connection {
                Connection::Branch(block) => (&mut set.branches_off, block.0),
                Connection::Shortcut(block) => (&mut set.shortcuts_off, block.0),
            };
            if block >= BlockMask::CAPACITY {
                return Err(ActiveSetError::NoSuchBlock { block, last: BlockMask::CAPACITY - 1 });
            }
            *mask = mask.with(block);
        }
        let lost = BlockMask(set.branches_off.0 & set.shortcuts_off.0).iter().next();
        match lost {
            Some(block) => Err(ActiveSetError::BlockVanishes(block)),
            None => Ok(set),
        }
    }

    /// Reads names such as `F:layer2.1` and `S:layer1.0`, separated by commas; the empty text is the full set.
    ///
    /// # Errors
    /// If a name is not of that form, names no block of `network`, or a block would lose both connections.
    pub fn parse(names: &str, network: &Network) -> Result<Self, ActiveSetError> {
        let read = |name: &str| {
            let bad = || ActiveSetError::BadName(name.to_owned());
            let (kind, block_name) = name.split_once(':').ok_or_else(bad)?;
            let block = network.blocks.iter().find(|block| block.name == block_name).ok_or_else(bad)?;
            match kind {
                "F" => Ok(Connection::Branch(block.id)),
                "S" => Ok(Connection::Shortcut(block.id)),
                _ => Err(bad()),
            }
        };
        let listed = names.split(',').map(str::trim).filter(|name| !name.is_empty());
        Self::without(listed.map(read).collect::<Result<Vec<_>, _>>()?)
    }

    /// Checks that every block named here is one of `network`.
    ///
    /// # Errors
    /// Names the first block that is not.
    pub fn check(&self, network: &Network) -> Result<(), ActiveSetError> {
        let blocks = network.blocks.len() as u16;
        let stray =
            BlockMask(self.branches_off.0 | self.shortcuts_off.0).iter().find(|&block| block >= blocks);
        match stray {
            Some(block) => Err(ActiveSetError::NoSuchBlock { block, last: blocks.saturating_sub(1) }),
            None => Ok(()),
        }
    }

    /// Whether the residual branch of `block` is computed.
    pub fn branch(&self, block: BlockId) -> bool {
        !self.branches_off.contains(block.0)
    }

    /// Whether the shortcut of `block` is computed.
    pub fn shortcut(&self, block: BlockId) -> bool {
        !self.shortcuts_off.contains(block.0)
    }

    /// Whether nothing is off.
    pub fn is_full(&self) -> bool {
        *self == Self::full()
    }

    /// Everything that is off, branches first, each in order of blocks.
    pub fn off(&self) -> impl Iterator<Item = Connection> + '_ {
        let branches = self.branches_off.iter().map(|block| Connection::Branch(BlockId(block)));
        branches.chain(self.shortcuts_off.iter().map(|block| Connection::Shortcut(BlockId(block))))
    }

    /// The text that [`parse`](Self::parse) reads.
    pub fn describe(&self, network: &Network) -> String {
        let name = |connection| match connection {
            Connection::Branch(block) => format!("F:{}", network.block(block).name),
            Connection::Shortcut(block) => format!("S:{}", network.block(block).name),
        };
        self.off().map(name).collect::<Vec<_>>().join(",")
    }
}

impl TryFrom<Off> for ActiveSet {
    type Error = ActiveSetError;

    fn try_from(off: Off) -> Result<Self, ActiveSetError> {
        let branches = off.branches_off.into_iter().map(|block| Connection::Branch(BlockId(block)));
        let shortcuts = off.shortcuts_off.into_iter().map(|block| Connection::Shortcut(BlockId(block)));
        Self::without(branches.chain(shortcuts))
    }
}

impl From<ActiveSet> for Off {
    fn from(set: ActiveSet) -> Self {
        Self {
            branches_off: set.branches_off.iter().collect(),
            shortcuts_off: set.shortcuts_off.iter().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arch::Arch;

    #[test]
    fn names_survive_a_round_trip() {
        let network = Arch::ResNet20.network();
        let set = ActiveSet::parse("F:layer2.1, S:layer1.0", &network).unwrap();
        assert!(!set.branch(BlockId(4)) && !set.shortcut(BlockId(0)) && set.shortcut(BlockId(4)));
        assert_eq!(set.describe(&network), "F:layer2.1,S:layer1.0");
        assert_eq!(ActiveSet::parse("", &network).unwrap(), ActiveSet::full());
    }

    #[test]
    fn a_block_may_not_vanish() {
        let both = [Connection::Branch(BlockId(3)), Connection::Shortcut(BlockId(3))];
        assert_eq!(ActiveSet::without(both), Err(ActiveSetError::BlockVanishes(3)));
        let json = r#"{"branches_off":[3],"shortcuts_off":[3]}"#;
        assert!(serde_json::from_str::<ActiveSet>(json).is_err());
    }

    #[test]
    fn strangers_are_named() {
        let network = Arch::ResNet20.network();
        let error = ActiveSet::parse("F:layer9.0", &network).unwrap_err().to_string();
        assert!(error.contains("layer9.0"), "{error}");
        let beyond = ActiveSet::without([Connection::Branch(BlockId(9))]).unwrap();
        assert_eq!(beyond.check(&network), Err(ActiveSetError::NoSuchBlock { block: 9, last: 8 }));
    }
}
