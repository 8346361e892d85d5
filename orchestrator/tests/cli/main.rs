//! `weir` as a person calls it: what helps, what goes wrong in which words, and with which exit status.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a panic is how a test fails, in its helpers too"
)]

mod basics;
mod blocks;
mod cluster;
mod documents;
mod examples;
mod expected;
mod help;
mod images;
mod settings;
mod shown;
mod steering;
mod stub;
#[expect(dead_code, reason = "the system tests use the rest")]
#[path = "../cluster/support.rs"]
mod support;
