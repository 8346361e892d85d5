//! The planner's frozen input: everything that a decision depends on, so that any decision can be replayed.
//!
//! `docs/snapshot.md` shows the file to people. Times in seconds, sizes in bytes, power in watts, energy in joules,
//! accuracy in percentage points.

use serde::{Deserialize, Serialize};
use weir_shared::arch::{LayerId, NetworkSpec};
use weir_shared::digest::Digest;
use weir_shared::ids::{PeerName, WorkerId};
use weir_shared::plan::{ActiveSet, Encoding};

/// The version that is written and read.
pub const VERSION: u32 = 1;

/// What the planner knows at one moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Snapshot {
    /// Version of this format.
    pub version: u32,
    /// When it was taken, in milliseconds since 1970; for people.
    pub taken_unix_ms: u64,
    /// The network.
    pub network: NetworkSpec,
    /// Its weights ([`weir_shared::profile::weights_digest`]).
    pub weights: Digest,
    /// Where inputs come from and logits go.
    pub gateway: PeerName,
    /// Samples in one request.
    pub batch: u16,
    /// Requests per second that are offered.
    pub offered_load: f64,
    /// The workers that a plan may use.
    pub workers: Vec<WorkerState>,
    /// The directed links that work, gateway's included. A pair that is not listed cannot be used.
    pub links: Vec<LinkState>,
    /// What active sets and encodings cost in accuracy.
    pub accuracy: AccuracyTable,
    /// What writing and reading activations costs.
    pub codec: Vec<CodecCost>,
    /// What runs now.
    pub current: Option<Placement>,
}

/// A worker as the planner sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkerState {
    /// Who.
    pub name: WorkerId,
    /// Seconds that each layer takes here for one request with everything active; none where it was not measured.
    /// Empty where nothing was.
    pub layer_seconds: Vec<Option<f64>>,
    /// Multiply-accumulate operations per second, for layers without a measurement.
    pub macs_per_second: f64,
    /// Bytes for weights and activations.
    pub memory_bytes: Option<u64>,
    /// Drawn while nothing is computed.
    pub idle_watts: f64,
    /// Drawn beyond that while computing.
    pub active_watts: f64,
    /// The most that may be drawn on average, idle power included: a cap, or what makes a battery last.
    pub power_budget_watts: Option<f64>,
    /// For each byte sent.
    pub joules_per_byte_sent: f64,
    /// For each byte received.
    pub joules_per_byte_received: f64,
}

/// A directed link that works.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinkState {
    /// Who sends.
    pub from: PeerName,
    /// Who receives.
    pub to: PeerName,
    /// Windowed minimum of the round-trip time.
    pub rtt_seconds: f64,
    /// Useful bytes per second.
    pub goodput: f64,
    /// Share of packets lost, 0 to 1; for people, its effect is in the goodput.
    pub loss: f64,
    /// Whether the figures are inferred from a collapse nearby, and not measured since.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub doubted: bool,
}

/// What is known of accuracy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccuracyTable {
    /// With everything active and f32, 0 to 1; none where no profile was given.
    pub full_accuracy: Option<f64>,
    /// Active sets that a plan may use; the full one is among them.
    pub candidates: Vec<Candidate>,
    /// Encodings that round, by cut. One that is not listed for a cut must not be used there.
    pub encodings: Vec<EncodingLoss>,
}

/// An active set that a plan may use.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Candidate {
    /// The set.
    pub active: ActiveSet,
    /// Points lost against everything active, with the margin where it was predicted; below zero counts as zero.
    pub loss_points: f64,
    /// Where that is from.
    pub source: LossSource,
}

/// Where a loss is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LossSource {
    /// The study measured this very set.
    Measured,
    /// The surrogate predicted it; its margin is added.
    Predicted,
}

/// What an encoding loses at a cut.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EncodingLoss {
    /// The cut point.
    pub cut: LayerId,
    /// The encoding.
    pub encoding: Encoding,
    /// Points lost; below zero counts as zero.
    pub loss_points: f64,
}

/// Time to write and read one number of an activation in an encoding.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CodecCost {
    /// The encoding.
    pub encoding: Encoding,
    /// Seconds for both ends together.
    pub seconds_per_element: f64,
}

/// Where each layer is computed, and how activations travel: what a planner decides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Placement {
    /// Active connections.
    #[schema(value_type = Object)]
    pub active: ActiveSet,
    /// Cut points, one fewer than stages.
    #[schema(value_type = Vec<u16>)]
    pub cuts: Vec<LayerId>,
    /// One worker for each stage, none twice.
    #[schema(value_type = Vec<String>)]
    pub workers: Vec<WorkerId>,
    /// Encodings that are not f32, by link.
    pub encodings: Vec<LinkEncoding>,
}

/// How activations travel on one link.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LinkEncoding {
    /// Who sends.
    #[schema(value_type = String)]
    pub from: PeerName,
    /// Who receives.
    #[schema(value_type = String)]
    pub to: PeerName,
    /// The encoding.
    #[schema(value_type = String)]
    pub encoding: Encoding,
}

/// What a placement costs, by the optimisation model.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Terms {
    /// T: from the gateway's first byte to the logits, one request in flight.
    pub latency_seconds: f64,
    /// P: the slowest stage or link; 1/P is the throughput.
    pub period_seconds: f64,
    /// E: for one request, idle power not included.
    pub energy_joules: f64,
    /// D: points of accuracy lost against everything active in f32.
    pub accuracy_loss_points: f64,
}
