//! The Open Inference Protocol, over sockets and in front of a fake backend.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a panic is how a test fails, in its helpers too"
)]

mod fake;
mod http;
mod slow;
mod tritonclient;
