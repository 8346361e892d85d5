//! Training: networks that keep their accuracy when connections are switched off.
//!
//! A plainly trained ResNet-20 loses 11 to 55 points with one residual branch. So each step trains the whole
//! network and, beside it, a random sub-network of the kind that a plan may later choose ([`resilience`]), which
//! is taught to give the whole network's answer. In the last quarter of a run the statistics of normalisation stay
//! fixed, so that both learn with the one set that is served. What else was tried stands in `models/README.md`.
//!
//! Reading order: [`options`], [`schedule`], [`resilience`], [`augment`], [`net`] (the forward pass), [`optimise`]
//! (the update), [`state`] (resuming), [`log`], [`curves`] (the log, drawn), [`run`].
//!
//! Always true: every random choice is a pure function of the seed and of a counter ([`random`]), never of what
//! was drawn before. So a run that was killed and resumed makes the same network, bit for bit, as one that was
//! not, on the same processor and with the same number of threads. (Not promised on a GPU.)

pub mod augment;
pub mod curves;
mod error;
pub mod judge;
pub mod log;
pub mod net;
pub mod optimise;
pub mod options;
mod random;
pub mod resilience;
pub mod run;
pub mod schedule;
pub mod state;

pub use error::TrainError;
pub use judge::Report;
pub use options::{Compute, Options, Precision, Resume, Subnetwork};
pub use run::train;
