//! Whole clusters of real processes on loopback: real QUIC, real libtorch, real HTTP clients.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod access;
mod adaptive;
mod api;
mod bad_input;
mod examples;
mod faults;
mod journal;
mod log_level;
mod prometheus;
mod readiness;
mod rotation;
mod schemathesis;
mod serving;
mod strangers;
mod support;
mod weights;
