//! The accuracy profile: what a network's answers are worth with connections off and activations rounded.
//!
//! `weir-worker study` measures it, the planner optimises over it: if it is wrong, every plan is wrong. So a
//! [`Profile`] is checked as a whole when it is made or read, names by digest the weights and images it is about,
//! and keeps apart what was measured from what is only predicted. Reading order: [`score`] (a figure and how far
//! it can be trusted), [`schema`] (the file), [`profile`] (the checked thing and what it answers),
//! `likeness` and [`surrogate`] (predictions), `solve` (linear algebra).
//!
//! Always true: nothing here reads a file or a clock. The format is told in docs/profile.md.

mod error;
mod likeness;
#[expect(clippy::module_inception, reason = "the profile is what this folder is about")]
pub mod profile;
pub mod schema;
pub mod score;
mod solve;
pub mod surrogate;

#[cfg(test)]
mod tests;

pub use error::ProfileError;
pub use profile::{Loss, Profile, macs, mean_cut_bytes, weights_digest};
pub use schema::{Document, EncodingResult, Kind, Order, Provenance, SetResult, SplitData, StudyData};
pub use score::{Interval, Score, wilson};
pub use surrogate::{ErrorSummary, Errors, Surrogate};
