//! The residual block `y = relu(F(x) + S(x))` (He et al. 2015, Eq. 1) as data.

use serde::{Deserialize, Serialize};

use super::{Convolution, LayerId, Shape};

/// Position of a block in its network, counted from 0 across all block groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BlockId(pub u16);

/// One residual block, basic (two convolutions) or bottleneck (three).
#[derive(Debug, Clone)]
pub struct Block {
    /// Position in the network.
    pub id: BlockId,
    /// Checkpoint prefix: `layer2.0` is the first block of the second block group.
    pub name: String,
    /// The residual branch `F`; the last convolution has no relu of its own.
    pub branch: Vec<Convolution>,
    /// The shortcut `S`.
    pub shortcut: Shortcut,
    /// Shape of `x`.
    pub input: Shape,
    /// Shape of `y`.
    pub output: Shape,
    /// Layer of the first convolution; the join is `branch.len()` layers later.
    pub first_layer: LayerId,
}

/// The skip connection of a block.
#[derive(Debug, Clone)]
pub enum Shortcut {
    /// `S(x) = x`.
    Identity,
    /// Option B: a 1x1 convolution with batch normalisation.
    Projection(Convolution),
    /// Option A: every second row and column, with zero channels added in equal number before and behind.
    ZeroPad {
        /// Step of the sub-sampling.
        stride: u32,
        /// Zero channels on each side.
        channels_each_side: u32,
    },
}

/// In which form the shortcut's tensor is carried through a block.
///
/// Any form gives the same sum at the join. The rule takes the smallest one, so that a cut inside the block
/// sends the fewest bytes: in `layer1.0` of ResNet-50 the projection makes the tensor four times larger and
/// waits for the join; in `layer2.0` it makes it smaller and goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShortcutForm {
    /// The block's own input, untouched; whatever `S` does is done at the join.
    Input,
    /// `S` was applied, whole or up to its zero channels, next to the first convolution.
    Shrunk(Shape),
}

impl Block {
    /// The form in which the shortcut travels inside this block.
    pub fn shortcut_form(&self) -> ShortcutForm {
        match &self.shortcut {
            Shortcut::Identity => ShortcutForm::Input,
            Shortcut::Projection(conv) if conv.output.elements() <= conv.input.elements() => {
                ShortcutForm::Shrunk(conv.output)
            }
            Shortcut::Projection(_) => ShortcutForm::Input,
            // The zero channels are added at the join: they need not travel.
            Shortcut::ZeroPad { .. } => ShortcutForm::Shrunk(Shape {
                channels: self.input.channels,
                height: self.output.height,
                width: self.output.width,
            }),
        }
    }

    /// Shape of the shortcut's tensor inside the block, for one sample.
    pub fn shortcut_shape(&self) -> Shape {
        match self.shortcut_form() {
            ShortcutForm::Input => self.input,
            ShortcutForm::Shrunk(shape) => shape,
        }
    }

    /// Whether the block changes the shape of its input.
    pub fn reshapes(&self) -> bool {
        self.input != self.output
    }

    /// The layer in which `F(x)` and `S(x)` are added.
    pub fn join_layer(&self) -> LayerId {
        LayerId(self.first_layer.0 + self.branch.len() as u16)
    }

    /// The shortcut's convolution, where it has one.
    pub fn projection(&self) -> Option<&Convolution> {
        match &self.shortcut {
            Shortcut::Projection(conv) => Some(conv),
            Shortcut::Identity | Shortcut::ZeroPad { .. } => None,
        }
    }
}
