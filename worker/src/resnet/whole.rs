//! The whole network in one process, under any active set: the reference for what a split must compute, and
//! what measures accuracy.

use tch::TchError;
use weir_shared::arch::Network;
use weir_shared::plan::plan::BatchNorm;
use weir_shared::plan::{ActiveSet, Dataflow, StageProgram};
use weir_shared::weights::Checkpoint;

use super::{ComputeError, LoadError, StageNetwork};

/// Every layer of a network.
#[derive(Debug)]
pub struct WholeNetwork {
    network: Network,
    stage: StageNetwork,
}

impl WholeNetwork {
    /// Loads all of `network`.
    ///
    /// # Errors
    /// As [`StageNetwork::load`].
    pub fn load(checkpoint: &Checkpoint, network: Network, batch_norm: BatchNorm) -> Result<Self, LoadError> {
        let stage = StageNetwork::load(checkpoint, &network, 0..network.layer_count(), batch_norm)?;
        Ok(Self { network, stage })
    }

    /// Makes all of `network` with seeded random weights.
    ///
    /// # Errors
    /// As [`StageNetwork::random`].
    pub fn random(network: Network, batch_norm: BatchNorm, seed: u64) -> Result<Self, LoadError> {
        let stage = StageNetwork::random(&network, 0..network.layer_count(), batch_norm, seed)?;
        Ok(Self { network, stage })
    }

    /// The network as data.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// Its weights, as one stage.
    pub fn stage(&self) -> &StageNetwork {
        &self.stage
    }

    /// The program of the whole network under `active`.
    pub fn program(&self, active: &ActiveSet) -> StageProgram {
        let flow = Dataflow::new(&self.network, active);
        let mut programs = StageProgram::derive(&flow, &[self.stage.layers()]);
        // One range makes one program.
        programs.swap_remove(0)
    }

    /// The logits of `batch` images: `images` is NCHW, the result has one row of classes for each image.
    ///
    /// # Errors
    /// As [`StageNetwork::run`].
    pub fn logits(
        &self,
        active: &ActiveSet,
        batch: usize,
        images: Vec<f32>,
    ) -> Result<Vec<f32>, ComputeError> {
        let outputs = self.stage.run(&self.program(active), batch, vec![images])?;
        let none = || ComputeError::Torch(TchError::Shape("the program sends no logits".to_owned()));
        outputs.into_iter().next().ok_or_else(none)
    }
}
