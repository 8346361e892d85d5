//! From samples to estimates. Pure: `now` is an argument.
//!
//! A [`LinkEstimator`] and a [`WorkerEstimator`] fold what reports say; what they give out carries its age, and what is
//! too old is not given out as trusted. Reports that cannot be true are refused before they come here.

mod link;
mod power;
mod worker;

pub use link::{LINK_STALE, LinkEstimate, LinkEstimator};
pub use power::{PowerEstimate, PowerEstimator};
pub use worker::{LayerEstimate, Trust, WorkerEstimate, WorkerEstimator};
