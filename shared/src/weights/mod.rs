//! Weights on disk: safetensors checkpoints, and manifests that name them by content.
//!
//! The orchestrator puts one digest for each layer into a plan; a worker reads only the layers of its stage and
//! checks only those. A [`Checkpoint`] is opened by its header alone, [`LayerTensors`] are what one layer
//! needs, a [`Manifest`] lists the digest of each layer, and [`writer`] replaces files so that a full disk or a
//! lost power supply leaves the previous one whole. Nothing here computes, so nothing here needs libtorch.
//!
//! Always true: no length that a file states is believed before it is compared with the file's own length.

pub mod atomic;
pub mod checkpoint;
mod header;
pub mod layer;
pub mod manifest;
pub mod writer;

pub use checkpoint::{Checkpoint, CheckpointError};
pub use layer::LayerTensors;
pub use manifest::{LayerWeights, Manifest, ManifestError};
pub use writer::{NamedTensor, WriteError};

#[cfg(test)]
mod tests;
