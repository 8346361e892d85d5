//! Where the network is cut.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::arch::{LayerId, Network};

/// The cut points of a network, strictly rising; `n` cuts make `n + 1` stages.
///
/// As JSON it is the list of cut points: `[7, 19]`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Partition {
    cuts: Vec<LayerId>,
}

/// Why a list of cut points is not a partition.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PartitionError {
    /// Outside the network.
    #[error("cut point {cut} is impossible: {arch} has {layers} layers, so cut points are 1 to {}", layers - 1)]
    OutOfRange {
        /// The cut point.
        cut: LayerId,
        /// The network.
        arch: String,
        /// Its number of layers.
        layers: u16,
    },
    /// Not strictly rising.
    #[error("cut points must rise: {second} comes after {first}")]
    NotRising {
        /// The earlier one.
        first: LayerId,
        /// The one behind it.
        second: LayerId,
    },
}

impl Partition {
    /// A partition of `network` at `cuts`.
    ///
    /// # Errors
    /// If a cut point lies outside the network, or they do not rise strictly.
    pub fn new(network: &Network, cuts: Vec<LayerId>) -> Result<Self, PartitionError> {
        let layers = network.layer_count();
        if let Some(&cut) = cuts.iter().find(|cut| cut.0 == 0 || cut.0 >= layers) {
            return Err(PartitionError::OutOfRange { cut, arch: network.arch.to_string(), layers });
        }
        if let Some(pair) = cuts.windows(2).find(|pair| pair[0] >= pair[1]) {
            return Err(PartitionError::NotRising { first: pair[0], second: pair[1] });
        }
        Ok(Self { cuts })
    }

    /// The cut points.
    pub fn cuts(&self) -> &[LayerId] {
        &self.cuts
    }

    /// The layers of each stage of `network`.
    pub fn stages(&self, network: &Network) -> Vec<Range<u16>> {
        let starts = std::iter::once(0).chain(self.cuts.iter().map(|cut| cut.0));
        let ends = self.cuts.iter().map(|cut| cut.0).chain([network.layer_count()]);
        starts.zip(ends).map(|(start, end)| start..end).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arch::Arch;

    #[test]
    fn stages_cover_the_network_once() {
        let network = Arch::ResNet20.network();
        let partition = Partition::new(&network, vec![LayerId(5), LayerId(9)]).unwrap();
        assert_eq!(partition.stages(&network), [0..5, 5..9, 9..network.layer_count()]);
    }

    #[test]
    fn impossible_cuts_are_named() {
        let network = Arch::ResNet20.network();
        let error = Partition::new(&network, vec![LayerId(99)]).unwrap_err().to_string();
        assert!(error.contains("99") && error.contains("1 to 28"), "{error}");
        assert!(Partition::new(&network, vec![LayerId(0)]).is_err());
        assert!(Partition::new(&network, vec![LayerId(5), LayerId(5)]).is_err());
    }
}
