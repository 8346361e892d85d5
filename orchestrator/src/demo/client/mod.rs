//! Weir seen from outside: clients of the orchestrator's two HTTP interfaces, as any program could write them.
//!
//! The demonstration and the commands of `weir` know the cluster through these alone; nothing is read from the
//! orchestrator's memory. [`views`] is what the admin API answers, [`admin`] asks for it, [`infer`] sends images.

pub mod admin;
pub mod infer;
pub mod views;

pub use admin::{AdminClient, AdminError};
pub use infer::{Answer, InferClient, InferError};
