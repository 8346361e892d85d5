//! How an activation is written on a link.

use serde::{Deserialize, Serialize};

use crate::arch::Shape;

/// The number format of an activation between two workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// IEEE 754 binary32, exact.
    #[default]
    F32,
    /// IEEE 754 binary16, rounded to nearest even.
    F16,
    /// One byte a number: `x = minimum + scale * byte`, with minimum and scale for each channel of each sample.
    Int8,
}

impl Encoding {
    /// Every encoding, exact first.
    pub const ALL: [Self; 3] = [Self::F32, Self::F16, Self::Int8];

    /// Bytes of `batch` samples of `shape`. The length on the wire follows from the plan alone.
    pub const fn payload_bytes(self, shape: Shape, batch: usize) -> usize {
        let elements = shape.elements() * batch;
        match self {
            Self::F32 => elements * 4,
            Self::F16 => elements * 2,
            // Minimum and scale as two f32 before the bytes of each channel.
            Self::Int8 => elements + shape.channels as usize * batch * 8,
        }
    }

    /// The name used in plans and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Int8 => "int8",
        }
    }
}

impl std::fmt::Display for Encoding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
