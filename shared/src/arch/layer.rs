//! A layer: the smallest step that a cut can separate from the next.

use serde::{Deserialize, Serialize};

use super::BlockId;

/// Position of a layer in its network, counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LayerId(pub u16);

/// What a layer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LayerKind {
    /// First convolution, and the pool behind it where there is one.
    Stem,
    /// Convolution `conv` (from 0) of a residual branch, with its normalisation and, unless it is the last, relu.
    ///
    /// The first one also holds the shortcut's operation where that shrinks the tensor.
    Conv {
        /// The block.
        block: BlockId,
        /// Index of the convolution in the branch.
        conv: u8,
    },
    /// Addition and relu, with the shortcut's operation where that was left for the end.
    Join {
        /// The block.
        block: BlockId,
    },
    /// Pooling and classifier.
    Head,
}

/// One cuttable step with its costs for one sample, everything active.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    /// Position.
    pub id: LayerId,
    /// What it is.
    pub kind: LayerKind,
    /// Multiply-accumulate operations.
    pub macs: u64,
    /// Parameters learnt by gradient.
    pub parameters: u64,
    /// Bytes of all its checkpoint tensors as f32, statistics included.
    pub weight_bytes: u64,
}

impl std::fmt::Display for LayerId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)
    }
}
