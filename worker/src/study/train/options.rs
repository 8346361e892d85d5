//! Everything that decides what a training run makes, and nothing else.

use std::num::NonZeroUsize;

use serde::{Deserialize, Serialize};
use weir_shared::arch::Arch;

/// The recipe. Two runs with the same recipe, images, processor and threads make the same network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// The network.
    pub arch: Arch,
    /// Seeds weights, order, augmentation and dropping.
    pub seed: u64,
    /// Passes over the training images.
    pub epochs: u32,
    /// Images in one step.
    pub batch: NonZeroUsize,
    /// Highest learning rate for a batch of 128; scaled in proportion (Goyal et al. 2017, section 2.1).
    pub learning_rate: f64,
    /// Share of all steps in which the learning rate rises.
    pub warm_up: f64,
    /// Momentum (Nesterov's form).
    pub momentum: f64,
    /// L2 penalty on the weights of convolutions and classifier; normalisation is spared.
    pub weight_decay: f64,
    /// Greatest joint length of all gradients of a step.
    pub clip: f64,
    /// Share of the target spread over all classes (Szegedy et al. 2016, section 7).
    pub label_smoothing: f64,
    /// Mean share of the expendable residual branches that a sub-network lacks (see [`super::resilience`]).
    pub drop_branch: f64,
    /// The same for the expendable shortcuts.
    pub drop_shortcut: f64,
    /// What is done with the sub-network of a step.
    pub subnetwork: Subnetwork,
    /// Share of all steps before the first sub-network: a teacher should know something first.
    pub subnetwork_from: f64,
    /// Decay of the weights' moving average for each step; 0 keeps no average.
    pub average: f64,
    /// What training steps compute in.
    pub precision: Precision,
}

/// What the activations of a training step are held and multiplied in. Weights, statistics, logits and everything
/// that is measured stay in single precision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// Single precision.
    F32,
    /// Brain floating point, 8 bits of mantissa (Micikevicius et al. 2018, "Mixed Precision Training", section 3.1,
    /// keeps the weights in single precision likewise). About twice as fast on processors with AVX512-BF16 or AMX
    /// instructions, and slower than `f32` on others.
    Bf16,
}

/// How a step uses the sub-network that it draws.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Subnetwork {
    /// The whole network learns from labels and the sub-network from the whole one, in the same step
    /// (in-place distillation: Yu and Huang 2019, "Universally Slimmable Networks", section 3.3).
    Distil,
    /// The sub-network alone learns, from labels (stochastic depth: Huang et al. 2016). Cheaper.
    Alone,
    /// None is drawn: plain training.
    Off,
}

/// Where to compute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Compute {
    /// A GPU if libtorch has one.
    Auto,
    /// The processor.
    Cpu,
    /// A GPU, or an error.
    Cuda,
}

/// What to do about an earlier run to the same output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Resume {
    /// Go on where it stopped, if it left its state; else begin.
    Auto,
    /// Go on, or fail if there is no state.
    Always,
    /// Begin anew; the old state is overwritten.
    Never,
}
