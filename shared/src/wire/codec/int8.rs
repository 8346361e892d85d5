//! int8 many numbers at once: loops without branches and calls, over slices of known length, so that the compiler
//! makes vector code of them with what every processor of its kind has.

use super::CodecError;
use super::plain::{INT8_RANGE_BYTES, INT8_STEPS, range};
use crate::arch::Shape;

/// Ends of a range that are searched side by side.
const LANES: usize = 16;

/// From here to twice as much, f32 holds whole numbers only: adding it rounds, ties to even.
const ROUNDER: f32 = 8_388_608.0;

/// Per channel of each sample: low end and width of a step as f32, then one byte a number.
pub(super) fn encode(values: &[f32], shape: Shape) -> Vec<u8> {
    let plane = shape.plane().max(1);
    let mut bytes = vec![0; values.len() / plane * (plane + INT8_RANGE_BYTES)];
    for (channel, written) in values.chunks_exact(plane).zip(bytes.chunks_exact_mut(plane + INT8_RANGE_BYTES))
    {
        let (low, scale) = ends(channel);
        let (head, steps) = written.split_at_mut(INT8_RANGE_BYTES);
        head[..4].copy_from_slice(&low.to_le_bytes());
        head[4..].copy_from_slice(&scale.to_le_bytes());
        let inverse = if scale > 0.0 { 1.0 / scale } else { 0.0 };
        for (step, value) in steps.iter_mut().zip(channel) {
            *step = nearest((value - low) * inverse);
        }
    }
    bytes
}

/// Reads what [`encode`] wrote; the caller has checked the length.
pub(super) fn decode(bytes: &[u8], shape: Shape) -> Result<Vec<f32>, CodecError> {
    let plane = shape.plane();
    let channels = bytes.chunks_exact(plane + INT8_RANGE_BYTES);
    let mut values = vec![0.0; channels.len() * plane];
    for (index, (written, channel)) in channels.zip(values.chunks_exact_mut(plane.max(1))).enumerate() {
        let (range, steps) = written.split_at(INT8_RANGE_BYTES);
        let word = |at: usize| f32::from_le_bytes([range[at], range[at + 1], range[at + 2], range[at + 3]]);
        let (low, scale) = (word(0), word(4));
        if !low.is_finite() || !scale.is_finite() {
            return Err(CodecError::Range { channel: index });
        }
        for (value, &step) in channel.iter_mut().zip(steps) {
            *value = low + scale * f32::from(step);
        }
    }
    Ok(values)
}

/// Low end and width of a step of the finite numbers of a channel.
fn ends(channel: &[f32]) -> (f32, f32) {
    let (mut lows, mut highs) = ([f32::MAX; LANES], [f32::MIN; LANES]);
    let (whole, rest) = channel.as_chunks::<LANES>();
    for values in whole {
        for lane in 0..LANES {
            (lows[lane], highs[lane]) = widen(lows[lane], highs[lane], values[lane]);
        }
    }
    for (lane, &value) in rest.iter().enumerate() {
        (lows[lane], highs[lane]) = widen(lows[lane], highs[lane], value);
    }
    let low = lows.into_iter().fold(f32::MAX, f32::min);
    let high = highs.into_iter().fold(f32::MIN, f32::max);
    range(low, high)
}

#[inline]
fn widen(low: f32, high: f32, value: f32) -> (f32, f32) {
    // Every comparison with NaN is false, so what is not finite widens nothing.
    let value = if value.abs() <= f32::MAX { value } else { f32::NAN };
    (if value < low { value } else { low }, if value > high { value } else { high })
}

/// `steps.round() as u8`: ties upwards, the ends for what is beyond them, 0 for NaN.
#[inline]
fn nearest(steps: f32) -> u8 {
    let steps = if steps > 0.0 { steps } else { 0.0 };
    let steps = if steps < INT8_STEPS { steps } else { INT8_STEPS };
    let rounded = steps + ROUNDER;
    // The difference is exact; a half is left where a tie went down to an even number.
    let is_tie = steps - (rounded - ROUNDER) == 0.5;
    (rounded.to_bits() as u8) + u8::from(is_tie)
}
