//! What a worker measures before its first plan, so that the planner has numbers for layers that it never ran.

use serde::{Deserialize, Serialize};

use crate::arch::NetworkSpec;
use crate::plan::Encoding;

/// Figures of a short run at the worker's start.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// The network that it is about: the one in the worker's checkpoint.
    pub network: NetworkSpec,
    /// Seconds of each layer for one sample, everything active; none where the time was over. In order of layers.
    pub layer_seconds: Vec<Option<f64>>,
    /// Multiply-accumulate operations per second over the layers that were measured.
    pub macs_per_second: f64,
    /// What writing and reading activations costs here.
    pub codec: Vec<CodecSeconds>,
}

/// Time of one encoding for one number.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CodecSeconds {
    /// The encoding.
    pub encoding: Encoding,
    /// Seconds to write one number, checksum included.
    pub encode_seconds: f64,
    /// Seconds to read one number, checksum included.
    pub decode_seconds: f64,
}
