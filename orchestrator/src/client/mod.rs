//! Weir seen from outside: clients of the orchestrator's two HTTP interfaces, as any program could write them.
//!
//! The demonstration and the commands of `weir` know the cluster through these alone; nothing is read from the
//! orchestrator's memory. [`admin`] asks the admin API, [`infer`] sends images,
//! [`latency`] boils down how long the answers took.

pub mod admin;
pub mod infer;
pub mod latency;

pub use admin::{AdminClient, AdminError};
pub use infer::{Answer, InferClient, InferError};
