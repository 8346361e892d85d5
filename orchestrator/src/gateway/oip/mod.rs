//! The Open Inference Protocol v2 over HTTP: what clients made for Triton or KServe speak.
//!
//! A request body enters as bytes, [`request`] turns it into an [`InferJob`] or into an error that names the
//! field and the remedy, the [`InferBackend`] computes, and [`response`] writes the answer in the form that
//! the client asked for. Those two and what they use are pure: sockets appear in [`body`] and [`routes`] only.
//!
//! Always true: an answer other than 200 has the body `{"error": "..."}`, also on unknown routes, and nothing
//! is allocated on the word of a client beyond what the network's largest batch needs.
//!
//! Sources: the protocol (github.com/kserve/open-inference-protocol, `specification/protocol`) and Triton's
//! extensions to it (github.com/triton-inference-server/server, `docs/protocol`): binary tensor data,
//! classification, statistics, model configuration, model repository.

pub mod backend;
pub mod body;
mod bounded;
pub mod classification;
pub mod error;
pub mod fields;
pub mod handlers;
pub mod metadata;
pub mod request;
pub mod response;
pub mod routes;
pub mod statistics;
pub mod tensor;
mod tracing_context;

pub use backend::{Degraded, InferBackend, InferDone, InferFailure, InferJob, ModelInfo, Permit};
pub use routes::configure;
pub use statistics::StatisticsSnapshot;
