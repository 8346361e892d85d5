//! The ResNet as plain data: which layers it has, what each costs, and what is alive between them.
//!
//! Nothing here computes a tensor. The planner reads costs from it, the worker reads which operations a stage
//! holds, and both therefore agree on what a cut means. Reading order: a [`Shape`], a [`Convolution`], a
//! [`Block`], the [`Network`] and the [`Catalogue`](catalogue) of those that He et al. 2015 describe.
//!
//! Always true: layers are numbered in the order of computation, each belongs to exactly one of stem, block
//! or head, and a cut point `c` separates the layers `0..c` from the layers `c..`.

pub mod block;
pub mod catalogue;
pub mod convolution;
pub mod layer;
pub mod network;
pub mod shape;
pub mod spec;

pub use block::{Block, BlockId, Shortcut, ShortcutForm};
pub use catalogue::Arch;
pub use convolution::{Convolution, Parameter, ParameterRole};
pub use layer::{Layer, LayerId, LayerKind};
pub use network::{Family, Head, Network, Pool};
pub use shape::Shape;
pub use spec::{NetworkSpec, SpecError};
