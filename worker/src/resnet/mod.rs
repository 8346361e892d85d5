//! The network itself: loads the weights of some layers and computes their operations. The one folder that names tch.
//!
//! A [`StageNetwork`] holds the weights of contiguous layers and runs any [`StageProgram`] made of them, so an
//! active set is only another list of operations. Numbers come in and go out as plain `Vec<f32>`: whatever a peer
//! sends is checked before libtorch sees it. Reading order: [`threads`], [`tensor`], [`convolution`], `unit` (what
//! a layer computes), [`load`], `operation`, [`run`], [`pace`], [`whole`], [`split`], [`prefix`], [`timing`], [`random`].
//!
//! Always true: a step gives the same bits wherever the network is cut, because every value between two steps
//! is a contiguous NCHW tensor of f32 and no operation looks at its neighbours.
//!
//! [`StageProgram`]: weir_shared::plan::StageProgram

pub mod convolution;
pub mod load;
mod operation;
pub mod pace;
pub mod prefix;
pub mod random;
pub mod run;
pub mod split;
pub mod tensor;
pub mod threads;
pub mod timing;
mod unit;
pub mod whole;

pub use load::{LoadError, StageNetwork};
pub use prefix::{SharedProgram, Variant};
pub use run::ComputeError;
pub use split::{SplitLike, SplitProgram};
pub use whole::WholeNetwork;

/// Libtorch, for the folders that train and evaluate; they name it through here.
pub use tch as torch;
