//! What Weir's worker and orchestrator agree on.
//!
//! `worker` computes, `orchestrator` decides, and neither imports the other; this crate holds what both must
//! mean alike. [`arch`] and [`plan`] are plain data, [`wire`] turns data into bounded bytes and back without
//! any socket, [`weights`] reads checkpoints, and [`transport`] is the one place that opens QUIC connections.

#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod arch;
pub mod config;
pub mod digest;
pub mod http;
pub mod ids;
pub mod images;
pub mod logging;
pub mod metric_names;
pub mod metrics;
pub mod plan;
pub mod profile;
pub mod signal;
pub mod telemetry;
pub mod transport;
pub mod weights;
pub mod wire;

/// An error with everything that caused it, on one line. Errors here leave their source to the chain.
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
