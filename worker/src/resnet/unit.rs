//! What one layer computes, with the weights it needs: everything about the block is settled when it is loaded.

use tch::{TchError, Tensor};
use weir_shared::arch::{
    Block, BlockId, Convolution, Head, LayerKind, Network, Pool, Shortcut, ShortcutForm,
};
use weir_shared::plan::plan::BatchNorm;
use weir_shared::weights::LayerTensors;

use super::convolution::{Activation, NormalisedConvolution};
use super::{LoadError, tensor};

/// The operations of one layer.
#[derive(Debug)]
pub(super) enum LayerUnit {
    Stem { convolution: NormalisedConvolution, pool: Option<Pool> },
    Conv { convolution: NormalisedConvolution, activation: Activation, early: EarlyShortcut },
    Join { late: LateShortcut },
    Head { weight: Tensor, bias: Tensor },
}

/// The shortcut's operation beside the first convolution of a block.
#[derive(Debug)]
pub(super) enum EarlyShortcut {
    Nothing,
    /// Option B where it shrinks the tensor.
    Projection(NormalisedConvolution),
    /// Option A: every `stride`-th row and column; the zero channels are added at the join.
    Subsample {
        stride: i64,
    },
}

/// The shortcut's operation at the join.
#[derive(Debug)]
pub(super) enum LateShortcut {
    /// The identity, or a projection that was computed early.
    Nothing,
    /// Option B where it grows the tensor.
    Projection(NormalisedConvolution),
    /// Option A: zero channels before and behind.
    Pad { channels_each_side: i64 },
}

impl LayerUnit {
    pub(super) fn new(
        network: &Network,
        kind: LayerKind,
        tensors: &LayerTensors,
        batch_norm: BatchNorm,
    ) -> Result<Self, LoadError> {
        let convolution = |conv: &Convolution| NormalisedConvolution::new(conv, tensors, batch_norm);
        Ok(match kind {
            LayerKind::Stem => Self::Stem { convolution: convolution(&network.stem)?, pool: network.pool },
            LayerKind::Conv { block, conv } => {
                let block = network.block(block);
                let index = usize::from(conv);
                let last = index + 1 == block.branch.len();
                let early = match (&block.shortcut, block.shortcut_form()) {
                    (Shortcut::Projection(conv), ShortcutForm::Shrunk(_)) if index == 0 => {
                        EarlyShortcut::Projection(convolution(conv)?)
                    }
                    (&Shortcut::ZeroPad { stride, .. }, _) if index == 0 => {
                        EarlyShortcut::Subsample { stride: i64::from(stride) }
                    }
                    _ => EarlyShortcut::Nothing,
                };
                Self::Conv {
                    convolution: convolution(&block.branch[index])?,
                    activation: if last { Activation::None } else { Activation::Relu },
                    early,
                }
            }
            LayerKind::Join { block } => Self::Join { late: late(network, block, convolution)? },
            LayerKind::Head => head(&network.head, tensors)?,
        })
    }

    /// Bytes of the tensors held.
    pub(super) fn bytes(&self) -> u64 {
        match self {
            Self::Stem { convolution, .. } => convolution.bytes(),
            Self::Conv { convolution, early: EarlyShortcut::Projection(shortcut), .. } => {
                convolution.bytes() + shortcut.bytes()
            }
            Self::Conv { convolution, .. } => convolution.bytes(),
            Self::Join { late: LateShortcut::Projection(shortcut) } => shortcut.bytes(),
            Self::Join { .. } => 0,
            Self::Head { weight, bias } => ((weight.numel() + bias.numel()) * size_of::<f32>()) as u64,
        }
    }
}

impl LateShortcut {
    /// What is left of `S` at the join; `None` where the tensor is already `S(x)`.
    pub(super) fn apply(&self, x: &Tensor) -> Result<Option<Tensor>, TchError> {
        match self {
            Self::Nothing => Ok(None),
            Self::Projection(convolution) => convolution.apply(x, Activation::None).map(Some),
            // Pairs from the last dimension to the first: columns, rows, channels.
            &Self::Pad { channels_each_side: n } => x.f_constant_pad_nd([0, 0, 0, 0, n, n]).map(Some),
        }
    }
}

fn late(
    network: &Network,
    id: BlockId,
    convolution: impl Fn(&Convolution) -> Result<NormalisedConvolution, LoadError>,
) -> Result<LateShortcut, LoadError> {
    let block: &Block = network.block(id);
    Ok(match (&block.shortcut, block.shortcut_form()) {
        (Shortcut::Projection(conv), ShortcutForm::Input) => LateShortcut::Projection(convolution(conv)?),
        (&Shortcut::ZeroPad { channels_each_side, .. }, _) => {
            LateShortcut::Pad { channels_each_side: i64::from(channels_each_side) }
        }
        (Shortcut::Identity | Shortcut::Projection(_), _) => LateShortcut::Nothing,
    })
}

fn head(head: &Head, tensors: &LayerTensors) -> Result<LayerUnit, LoadError> {
    let get = |suffix: &str| {
        let name = format!("{}.{suffix}", head.name);
        tensors.get(&name).ok_or(LoadError::Absent { tensor: name })
    };
    let (classes, features) = (i64::from(head.classes), i64::from(head.input.channels));
    let weight = tensor::from_numbers(get("weight")?, &[classes, features])?;
    Ok(LayerUnit::Head { weight, bias: tensor::from_numbers(get("bias")?, &[classes])? })
}
