//! Weir's worker: loads one stage of a ResNet, computes it, and passes activations on.
//!
//! Data flows one way: [`inbound`] reads activations off QUIC streams, [`stage`] gathers and computes them,
//! [`outbound`] writes the results to whoever needs them; a [`pipeline`] is the three on one socket. [`control`]
//! talks with the orchestrator, which says by epoch which [`plans`] are alive. [`resnet`] is the one module that
//! names libtorch.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod admin;
pub mod app;
pub mod cli;
pub mod control;
pub mod dataset;
pub mod inbound;
pub mod loader;
pub mod metrics;
pub mod outbound;
pub mod pipeline;
pub mod plans;
pub mod resnet;
pub mod stage;
pub mod study;
pub mod telemetry;
pub mod weights;
