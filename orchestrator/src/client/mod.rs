//! Weir seen from outside: clients of the orchestrator's two HTTP interfaces, as any program could write them.
//!
//! The demonstration and the commands of `weir` know the cluster through these alone; nothing is read from the
//! orchestrator's memory. [`admin`] asks the admin API, [`operate`]
//! changes things through it, [`events`] follows what happens; [`infer`] sends images,
//! [`model`] knows what the network wants and [`photograph`] makes it of a file; [`load`] sends
//! many and [`latency`] boils down how long the answers took.

pub mod admin;
pub mod events;
pub mod infer;
pub mod latency;
pub mod load;
pub mod model;
pub mod operate;
pub mod photograph;

pub use admin::{AdminClient, AdminError};
pub use infer::{Answer, InferClient, InferError};
pub use model::Model;
