//! Loads the weights of a stage, and of nothing else. That they are the right ones is checked where they come from
//! ([`crate::weights`]).

use std::ops::Range;
use tch::TchError;
use weir_shared::arch::{LayerId, Network};
use weir_shared::plan::Step;
use weir_shared::plan::plan::BatchNorm;
use weir_shared::weights::{Checkpoint, CheckpointError, LayerTensors};

use super::random;
use super::unit::LayerUnit;
use crate::weights::LibraryError;

/// The weights of contiguous layers of a network, ready to compute.
///
/// It can move to another thread, but be used by one at a time only, as libtorch's tensors are.
#[derive(Debug)]
pub struct StageNetwork {
    network: Network,
    layers: Range<u16>,
    units: Vec<LayerUnit>,
}

/// Why the weights of a stage cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The checkpoint lacks something.
    #[error("the checkpoint does not fit the network")]
    Checkpoint(#[from] CheckpointError),
    /// The layers are not a part of the network.
    #[error(
        "layers {start} to {end} are not a part of a network of {layers} layers; the plan is of another network"
    )]
    Layers {
        /// The first.
        start: u16,
        /// Behind the last.
        end: u16,
        /// Layers of the network.
        layers: u16,
    },
    /// The weights of a layer cannot be had.
    #[error(transparent)]
    Unavailable(#[from] LibraryError),
    /// A tensor holds infinities or no numbers at all.
    #[error(
        "tensor {tensor:?} holds numbers that are not finite; its training diverged: use another checkpoint"
    )]
    NotFinite {
        /// The tensor.
        tensor: String,
    },
    /// A running variance is negative.
    #[error("tensor {tensor:?} holds a negative variance; the checkpoint is damaged: use another")]
    Variance {
        /// The tensor.
        tensor: String,
    },
    /// A layer was given without one of its tensors.
    #[error("tensor {tensor:?} was not given; take the tensors of this layer of this network")]
    Absent {
        /// The tensor.
        tensor: String,
    },
    /// Libtorch refused.
    #[error("libtorch could not hold the weights; is there enough memory?")]
    Torch(#[from] TchError),
}

impl StageNetwork {
    /// Loads `layers` of `network` from a `checkpoint` that a person named, who trusts it.
    ///
    /// # Errors
    /// If a tensor is missing, has another shape, or is no usable weight.
    pub fn load(
        checkpoint: &Checkpoint,
        network: &Network,
        layers: Range<u16>,
        batch_norm: BatchNorm,
    ) -> Result<Self, LoadError> {
        Self::from_layers(network, layers, batch_norm, |id| {
            Ok(LayerTensors::read(checkpoint, network, network.layers()[usize::from(id.0)].kind)?)
        })
    }

    /// Makes `layers` of `network` with the weights that [`random::layer`] gives for `seed`.
    ///
    /// # Errors
    /// If the layers are not a part of the network, or libtorch refuses.
    pub fn random(
        network: &Network,
        layers: Range<u16>,
        batch_norm: BatchNorm,
        seed: u64,
    ) -> Result<Self, LoadError> {
        Self::from_layers(network, layers, batch_norm, |id| {
            Ok(random::layer(network, network.layers()[usize::from(id.0)].kind, seed))
        })
    }

    /// Makes `layers` of `network` from what `tensors_of` gives. Goes layer by layer, so that at most one layer's plain
    /// numbers are in memory beside the tensors.
    ///
    /// # Errors
    /// As `tensors_of`, and if the layers are not a part of the network, are no usable weights, or libtorch refuses.
    pub fn from_layers(
        network: &Network,
        layers: Range<u16>,
        batch_norm: BatchNorm,
        mut tensors_of: impl FnMut(LayerId) -> Result<LayerTensors, LoadError>,
    ) -> Result<Self, LoadError> {
        let Range { start, end } = layers;
        if start > end || end > network.layer_count() {
            return Err(LoadError::Layers { start, end, layers: network.layer_count() });
        }
        let mut make = |layer: &weir_shared::arch::Layer| {
            let tensors = tensors_of(layer.id)?;
            let is_finite = |numbers: &[f32]| numbers.iter().all(|number| number.is_finite());
            if let Some((parameter, _)) = tensors.iter().find(|(_, numbers)| !is_finite(numbers)) {
                return Err(LoadError::NotFinite { tensor: parameter.name.clone() });
            }
            LayerUnit::new(network, layer.kind, &tensors, batch_norm)
        };
        let stage = &network.layers()[usize::from(start)..usize::from(end)];
        let units = tch::no_grad(|| stage.iter().map(&mut make).collect::<Result<_, _>>())?;
        Ok(Self { network: network.clone(), layers: start..end, units })
    }

    /// The layers whose weights are held.
    pub fn layers(&self) -> Range<u16> {
        self.layers.clone()
    }

    /// Bytes of the weights held; fewer than in the checkpoint where normalisation is folded.
    pub fn weight_bytes(&self) -> u64 {
        self.units.iter().map(LayerUnit::bytes).sum()
    }

    /// Multiply-accumulate operations of a step for one image; zero for a layer of another network.
    pub(super) fn macs(&self, step: &Step) -> u64 {
        if step.layer.0 < self.network.layer_count() { step.op.macs(&self.network) } else { 0 }
    }

    pub(super) fn unit(&self, layer: LayerId) -> Option<&LayerUnit> {
        let index = layer.0.checked_sub(self.layers.start)?;
        self.units.get(usize::from(index))
    }
}
