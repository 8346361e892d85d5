//! The admin API's answers, as far as `weir` shows them. Fields that are not named here are ignored, so an
//! orchestrator of a later release can be asked too.

use serde::{Deserialize, Serialize};

/// `GET /api/v1/plan`: the committed plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlanView {
    /// The orchestrator's incarnation that made it.
    pub term: u64,
    /// Its generation.
    pub epoch: u64,
    /// SHA-256 of everything that the plan says, in hexadecimal.
    pub hash: String,
    /// The network, such as `resnet20`.
    pub network: String,
    /// Connections that are switched off, such as `F:layer2.1`; empty when all are active.
    pub active_off: String,
    /// `folded` or `separate`.
    pub batch_norm: String,
    /// The most images in one request.
    pub max_batch: u16,
    /// In the order of computation.
    pub stages: Vec<StageView>,
    /// The links that the plan uses.
    pub routes: Vec<RouteView>,
}

/// One stage of a plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StageView {
    /// Its place, from 0.
    pub index: u16,
    /// Who computes it.
    pub worker: String,
    /// Its layers.
    pub layers: LayersView,
    /// Name of its first layer.
    pub first: String,
    /// Name of its last layer.
    pub last: String,
    /// Multiply-accumulate operations for one image.
    pub macs: u64,
    /// Bytes of its weights in the checkpoint.
    pub weight_bytes: u64,
}

/// A range of layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayersView {
    /// The first.
    pub start: u16,
    /// Behind the last.
    pub end: u16,
}

/// How one peer reaches another under a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteView {
    /// Who sends.
    pub from: String,
    /// Who receives.
    pub to: String,
    /// Where the sender dials.
    pub address: String,
    /// How activations are written: `f32`, `f16`, `int8`.
    pub encoding: String,
}

/// `GET /api/v1/workers`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct WorkersView {
    /// By name.
    pub workers: Vec<WorkerView>,
}

/// One worker as the orchestrator knows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WorkerView {
    /// Its name.
    pub name: String,
    /// `connected` or `lost`.
    pub state: String,
    /// Where it says that peers reach it.
    pub address: String,
    /// Compute threads.
    pub threads: u16,
    /// Its release.
    pub release: String,
    /// Its stage in the committed plan.
    pub stage: Option<u16>,
    /// Stage executions since it started.
    pub executions: u64,
    /// Seconds spent in them.
    pub compute_seconds: f64,
    /// Requests that wait for its compute thread.
    pub queue_length: u32,
    /// Bytes of weights that it holds.
    pub weight_bytes: u64,
    /// Resident memory of its process.
    pub resident_bytes: u64,
    /// Age of these readings; none before the first.
    pub report_age_seconds: Option<f64>,
}

/// `GET /api/v1/links`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct LinksView {
    /// By sender and receiver.
    pub links: Vec<LinkView>,
}

/// One directed link, as its sender sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LinkView {
    /// Who sends.
    pub from: String,
    /// Who receives.
    pub to: String,
    /// Whether it is connected.
    pub up: bool,
    /// Smoothed round-trip time.
    pub rtt_seconds: f64,
    /// Activations sent.
    pub activations: u64,
    /// Bytes of activations sent.
    pub sent_bytes: u64,
    /// QUIC packets sent.
    pub packets_sent: u64,
    /// QUIC packets that the sender declared lost.
    pub packets_lost: u64,
}
