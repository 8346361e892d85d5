//! The empirical study: which connections of a network can go, and what that costs.
//!
//! After "Adaptive ResNet Architecture for Distributed Inference in Resource-Constrained IoT Systems" (Khan et al.
//! 2023, arXiv 2307.11499). Choices are made on the validation split, and figures are reported of the test split,
//! so no figure profits from having been chosen. Reading order: [`options`], [`sets`] (which sets are looked at),
//! [`ledger`] (what has been measured, on disk), [`bench`] (measuring), [`greedy`] (orders of dropping), [`run`].
//!
//! Always true: a figure here is the one that `weir-worker eval` gives for the same images and batch. And what is
//! measured next depends on options and figures alone, so a study that was killed finds its figures in the
//! ledger and ends with the same profile.

pub mod bench;
mod error;
pub mod greedy;
pub mod ledger;
pub mod options;
pub mod run;
pub mod sets;

pub use error::SurveyError;
pub use options::{Budget, Effort, Options};
pub use run::{Subject, survey};
