//! Loads the weights of a stage, and of nothing else, checking each layer against its digest on the way.

use std::ops::Range;
use std::path::PathBuf;

use tch::TchError;
use weir_shared::arch::{LayerId, Network};
use weir_shared::digest::Digest;
use weir_shared::plan::plan::BatchNorm;
use weir_shared::weights::{Checkpoint, CheckpointError, LayerTensors};

use super::random;
use super::unit::LayerUnit;

/// The weights of contiguous layers of a network, ready to compute.
///
/// It can move to another thread, but be used by one at a time only, as libtorch's tensors are.
#[derive(Debug)]
pub struct StageNetwork {
    layers: Range<u16>,
    units: Vec<LayerUnit>,
}

/// What the weights are compared with while they are loaded.
#[derive(Debug, Clone, Copy)]
pub enum Expected<'a> {
    /// One digest for each layer of the whole network, in order of layers, as a plan carries them.
    Digests(&'a [Digest]),
    /// Nothing: the checkpoint was named by a person, who trusts it.
    Anything,
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
    /// The number of digests is not the number of layers.
    #[error("{found} digests for {layers} layers; the manifest is of another network")]
    Digests {
        /// How many there are.
        found: usize,
        /// How many there must be.
        layers: u16,
    },
    /// The file holds other weights than the plan was made for.
    #[error(
        "layer {layer} in {} has digest {found}, but the plan names {expected}; give this worker the \
         checkpoint that the orchestrator's manifest was made from, or make the manifest again",
        checkpoint.display()
    )]
    Differs {
        /// The layer's name.
        layer: String,
        /// The file.
        checkpoint: PathBuf,
        /// What the plan names.
        expected: Digest,
        /// What the file holds.
        found: Digest,
    },
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
    /// Loads `layers` of `network` from `checkpoint`, without comparing them with anything.
    ///
    /// # Errors
    /// If a tensor is missing, has another shape, or is no usable weight.
    pub fn load(
        checkpoint: &Checkpoint,
        network: &Network,
        layers: Range<u16>,
        batch_norm: BatchNorm,
    ) -> Result<Self, LoadError> {
        Self::load_expecting(checkpoint, network, layers, batch_norm, Expected::Anything)
    }

    /// Loads `layers` of `network` from `checkpoint` and compares each with what is expected before it is used.
    ///
    /// # Errors
    /// As [`load`](Self::load), and if a layer has another digest.
    pub fn load_expecting(
        checkpoint: &Checkpoint,
        network: &Network,
        layers: Range<u16>,
        batch_norm: BatchNorm,
        expected: Expected<'_>,
    ) -> Result<Self, LoadError> {
        if let Expected::Digests(digests) = expected
            && digests.len() != usize::from(network.layer_count())
        {
            return Err(LoadError::Digests { found: digests.len(), layers: network.layer_count() });
        }
        Self::build(network, layers, batch_norm, |id| {
            let kind = network.layers()[usize::from(id.0)].kind;
            let tensors = LayerTensors::read(checkpoint, network, kind)?;
            let Expected::Digests(digests) = expected else {
                return Ok(tensors);
            };
            let (expected, found) = (digests[usize::from(id.0)], tensors.digest());
            if found == expected {
                return Ok(tensors);
            }
            let checkpoint = checkpoint.path().to_owned();
            Err(LoadError::Differs { layer: network.layer_name(kind), checkpoint, expected, found })
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
        Self::build(network, layers, batch_norm, |id| {
            Ok(random::layer(network, network.layers()[usize::from(id.0)].kind, seed))
        })
    }

    /// Goes layer by layer, so that at most one layer's plain numbers are in memory beside the tensors.
    fn build(
        network: &Network,
        layers: Range<u16>,
        batch_norm: BatchNorm,
        tensors_of: impl Fn(LayerId) -> Result<LayerTensors, LoadError>,
    ) -> Result<Self, LoadError> {
        let Range { start, end } = layers;
        if start > end || end > network.layer_count() {
            return Err(LoadError::Layers { start, end, layers: network.layer_count() });
        }
        let make = |layer: &weir_shared::arch::Layer| {
            let tensors = tensors_of(layer.id)?;
            let is_finite = |numbers: &[f32]| numbers.iter().all(|number| number.is_finite());
            if let Some((parameter, _)) = tensors.iter().find(|(_, numbers)| !is_finite(numbers)) {
                return Err(LoadError::NotFinite { tensor: parameter.name.clone() });
            }
            LayerUnit::new(network, layer.kind, &tensors, batch_norm)
        };
        let stage = &network.layers()[usize::from(start)..usize::from(end)];
        let units = tch::no_grad(|| stage.iter().map(make).collect::<Result<_, _>>())?;
        Ok(Self { layers: start..end, units })
    }

    /// The layers whose weights are held.
    pub fn layers(&self) -> Range<u16> {
        self.layers.clone()
    }

    /// Bytes of the weights held; fewer than in the checkpoint where normalisation is folded.
    pub fn weight_bytes(&self) -> u64 {
        self.units.iter().map(LayerUnit::bytes).sum()
    }

    pub(super) fn unit(&self, layer: LayerId) -> Option<&LayerUnit> {
        let index = layer.0.checked_sub(self.layers.start)?;
        self.units.get(usize::from(index))
    }
}
