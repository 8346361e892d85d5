//! What each encoding writes, number by number: the definition that the fast way is held to.
//!
//! Nothing on the data path calls this. Tests compare with it to the bit, and `examples/codec_speed.rs` says how much
//! faster the other way is.

use half::f16;

use crate::arch::Shape;
use crate::plan::Encoding;

/// Steps between the smallest and the largest number of a channel.
pub(super) const INT8_STEPS: f32 = 255.0;

/// Bytes in front of an int8 channel: its low end and the width of a step, both f32.
pub(super) const INT8_RANGE_BYTES: usize = 8;

/// Writes samples of `shape`.
pub fn encode(encoding: Encoding, values: &[f32], shape: Shape) -> Vec<u8> {
    match encoding {
        Encoding::F32 => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
        Encoding::F16 => values.iter().flat_map(|&value| f16::from_f32(value).to_le_bytes()).collect(),
        Encoding::Int8 => values.chunks_exact(shape.plane().max(1)).flat_map(encode_channel).collect(),
    }
}

/// Reads what [`encode`] wrote; nothing if an int8 range is not finite.
pub fn decode(encoding: Encoding, bytes: &[u8], shape: Shape) -> Option<Vec<f32>> {
    match encoding {
        Encoding::F32 => Some(bytes.as_chunks().0.iter().map(|&word| f32::from_le_bytes(word)).collect()),
        Encoding::F16 => {
            Some(bytes.as_chunks().0.iter().map(|&word| f16::from_le_bytes(word).to_f32()).collect())
        }
        Encoding::Int8 => {
            let channels = bytes.chunks_exact(shape.plane() + INT8_RANGE_BYTES);
            let read: Option<Vec<Vec<f32>>> = channels.map(decode_channel).collect();
            read.map(|channels| channels.concat())
        }
    }
}

/// Low end and width of a step as f32, then one byte a number: the nearest step, ties upwards.
///
/// The range is that of the finite numbers. Infinite ones become its ends and NaN its low end.
fn encode_channel(channel: &[f32]) -> Vec<u8> {
    let finite = channel.iter().copied().filter(|value| value.is_finite());
    let (low, high) = finite.fold((f32::MAX, f32::MIN), |(low, high), v| (low.min(v), high.max(v)));
    let (low, scale) = range(low, high);
    let inverse = if scale > 0.0 { 1.0 / scale } else { 0.0 };
    // A float-to-integer cast saturates and maps NaN to 0.
    let steps = channel.iter().map(|value| ((value - low) * inverse).round() as u8);
    low.to_le_bytes().into_iter().chain(scale.to_le_bytes()).chain(steps).collect()
}

fn decode_channel(written: &[u8]) -> Option<Vec<f32>> {
    let (range, steps) = written.split_at(INT8_RANGE_BYTES);
    let [low, scale] =
        [0, 4].map(|at| f32::from_le_bytes([range[at], range[at + 1], range[at + 2], range[at + 3]]));
    let values = steps.iter().map(|&step| low + scale * f32::from(step));
    (low.is_finite() && scale.is_finite()).then(|| values.collect())
}

/// Low end and width of a step of the numbers from `low` to `high`; of no number if `low` is above `high`.
pub(super) fn range(low: f32, high: f32) -> (f32, f32) {
    if low <= high {
        // Adding zero makes the negative zero positive: which of the two is the least depends on the order.
        (low + 0.0, high / INT8_STEPS - low / INT8_STEPS)
    } else {
        (0.0, 0.0)
    }
}
