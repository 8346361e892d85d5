//! Chooses partition and placement. Pure and deterministic: the same input gives the same plan.
//!
//! Today there are two choices, both simple: the cuts that balance the work over the workers that are there, or
//! what a person wrote into a file. The optimisation model takes the place of the first.

mod balanced;
mod draft;
mod file;
pub mod snapshot;

pub use balanced::balanced;
pub use draft::{Draft, DraftError, LinkMap, LinkMapError};
pub use file::{PlanFile, PlanFileError};

#[cfg(test)]
pub(crate) mod tests;
