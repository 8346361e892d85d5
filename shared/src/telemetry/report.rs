//! A worker's readings, as they travel.

use serde::{Deserialize, Serialize};

use super::PowerReport;
use crate::arch::LayerId;
use crate::ids::PeerName;

/// Layers in one report: the deepest network of the catalogue has 206.
pub const LAYERS_MAX: usize = 512;

/// Links in one report: those of two live plans and those that are probed. A report stays below 64 KiB with all of
/// them, a quarter of what a control message may have.
pub const LINKS_MAX: usize = 256;

/// Names one start of a worker's process. Counters of another start are not comparable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StartId(pub u64);

/// A worker's readings at one moment. Counters rise from the worker's start; the receiver takes differences.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Report {
    /// The start of the worker from which counters rise.
    pub start: StartId,
    /// Seconds since then, by the worker's clock, so that rates do not depend on when a report arrives.
    pub uptime_seconds: f64,
    /// Stage executions.
    pub executions: u64,
    /// Seconds spent in them.
    pub compute_seconds: f64,
    /// Activations that wait to be computed.
    pub queue_length: u32,
    /// Bytes of weights held.
    pub weight_bytes: u64,
    /// Resident memory of the process in bytes.
    pub resident_bytes: u64,
    /// The most memory that the process may use: of its cgroup, as configured, or of the machine. 0: not known.
    pub memory_limit_bytes: u64,
    /// Bytes of activations received, without headers.
    pub received_bytes: u64,
    /// Layers that were computed in operation, each once, at most [`LAYERS_MAX`].
    pub layers: Vec<LayerReading>,
    /// Power and energy.
    pub power: PowerReport,
    /// One entry for each link on which this worker sends or that it probes, at most [`LINKS_MAX`].
    pub links: Vec<LinkReport>,
}

/// Time of one layer, measured while requests were computed, everything of the layer active.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LayerReading {
    /// The layer.
    pub layer: LayerId,
    /// Samples in each of the runs that `seconds` is of.
    pub batch: u16,
    /// Runs since the worker's start.
    pub runs: u64,
    /// Median of the last runs, for the whole batch.
    pub seconds: f64,
}

/// Readings of one directed link, taken by its sender.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LinkReport {
    /// Who receives.
    pub to: PeerName,
    /// Whether a plan has it open.
    pub open: bool,
    /// Whether it works: connected now, or, where no plan has it open, the last probe succeeded.
    pub up: bool,
    /// Round-trip time, if there is any reading.
    pub rtt: Option<RttReading>,
    /// Useful bytes per second, if any transfer has said something about it.
    pub goodput: Option<GoodputReading>,
    /// Activations sent.
    pub activations: u64,
    /// Bytes of activations sent, without headers.
    pub sent_bytes: u64,
    /// Packets sent.
    pub packets_sent: u64,
    /// Packets lost.
    pub packets_lost: u64,
    /// Times that congestion control saw congestion.
    pub congestion_events: u64,
    /// Probes made.
    pub probes: u64,
    /// Probes that failed.
    pub probe_failures: u64,
}

/// Round-trip time of a link, from the acknowledgements of QUIC.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RttReading {
    /// Smoothed (RFC 9002, section 5.3).
    pub seconds: f64,
    /// Its mean deviation (same section).
    pub variation_seconds: f64,
    /// Smallest of the last one to two seconds. Own load raises the others several times.
    pub minimum_seconds: f64,
    /// How old the newest sample is.
    pub age_seconds: f64,
}

/// Goodput of a link.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct GoodputReading {
    /// Useful bytes per second: the largest of the last transfers.
    pub bytes_per_second: f64,
    /// Transfers, or parts of long ones, that were long enough to say something, since the start.
    pub samples: u64,
    /// How old the newest is.
    pub age_seconds: f64,
}

impl LinkReport {
    /// A link of which nothing is known.
    pub const fn unknown(to: PeerName) -> Self {
        Self {
            to,
            open: false,
            up: false,
            rtt: None,
            goodput: None,
            activations: 0,
            sent_bytes: 0,
            packets_sent: 0,
            packets_lost: 0,
            congestion_events: 0,
            probes: 0,
            probe_failures: 0,
        }
    }

    /// Smoothed round-trip time, or 0 where there is no reading.
    pub fn rtt_seconds(&self) -> f64 {
        self.rtt.map_or(0.0, |rtt| rtt.seconds)
    }
}
