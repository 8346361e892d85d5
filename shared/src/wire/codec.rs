//! Numbers to bytes and back, in each [`Encoding`]. All byte orders are little-endian.
//!
//! On a little-endian machine f32 needs no work: [`f32_bytes`] views the numbers as they lie in memory. What the bytes
//! are is defined number by number in [`plain`]; here the same is computed many numbers at once, to the same bits.

mod int8;
pub mod plain;

use std::borrow::Cow;

use half::f16;
use half::slice::{HalfBitsSliceExt as _, HalfFloatSliceExt as _};

use crate::arch::Shape;
use crate::plan::Encoding;

/// The bytes are not a payload of the expected shape.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// Too few or too many bytes.
    #[error("{found} bytes of {encoding}, but {batch} samples of {shape} take {expected}")]
    Length {
        /// Bytes that came.
        found: usize,
        /// Bytes that had to come.
        expected: usize,
        /// The encoding.
        encoding: Encoding,
        /// Samples.
        batch: usize,
        /// Shape of a sample.
        shape: Shape,
    },
    /// An int8 channel says that its range is not a number.
    #[error("the range of channel {channel} is not finite")]
    Range {
        /// The channel, counted through the batch.
        channel: usize,
    },
}

/// Writes `batch` samples of `shape`. For f32 on a little-endian machine nothing is copied.
///
/// Numbers that are not finite cannot be written as int8; they become the nearest end of their channel's range, and
/// NaN its low end.
pub fn encode(encoding: Encoding, values: &[f32], shape: Shape) -> Cow<'_, [u8]> {
    match encoding {
        Encoding::F32 => f32_bytes(values),
        Encoding::F16 => {
            // The crate `half` uses the processor's own conversion where there is one.
            let mut bits = vec![0u16; values.len()];
            bits.reinterpret_cast_mut::<f16>().convert_from_f32_slice(values);
            bits.iter_mut().for_each(|b| *b = b.to_le());
            Cow::Owned(bytemuck::cast_slice(&bits).to_vec())
        }
        Encoding::Int8 => Cow::Owned(int8::encode(values, shape)),
    }
}

/// Reads what [`encode`] wrote.
///
/// # Errors
/// If the length is not that of `batch` samples of `shape`, or an int8 range is not finite.
pub fn decode(encoding: Encoding, bytes: &[u8], shape: Shape, batch: usize) -> Result<Vec<f32>, CodecError> {
    let expected = encoding.payload_bytes(shape, batch);
    if bytes.len() != expected {
        return Err(CodecError::Length { found: bytes.len(), expected, encoding, batch, shape });
    }
    match encoding {
        Encoding::F32 => {
            let words = bytes.as_chunks::<4>().0;
            Ok(words.iter().map(|&word| f32::from_le_bytes(word)).collect())
        }
        Encoding::F16 => {
            let words = bytes.as_chunks::<2>().0;
            let bits: Vec<u16> = words.iter().map(|&word| u16::from_le_bytes(word)).collect();
            let mut values = vec![0.0; bits.len()];
            bits.reinterpret_cast::<f16>().convert_to_f32_slice(&mut values);
            Ok(values)
        }
        Encoding::Int8 => int8::decode(bytes, shape),
    }
}

/// Views numbers as little-endian bytes.
pub fn f32_bytes(values: &[f32]) -> Cow<'_, [u8]> {
    if cfg!(target_endian = "little") {
        Cow::Borrowed(bytemuck::cast_slice(values))
    } else {
        Cow::Owned(values.iter().flat_map(|value| value.to_le_bytes()).collect())
    }
}

/// Turns numbers that were read as little-endian bytes into this machine's order; free on a little-endian one.
pub fn f32_from_le_in_place(values: &mut [f32]) {
    if cfg!(target_endian = "big") {
        values.iter_mut().for_each(|value| *value = f32::from_bits(value.to_bits().swap_bytes()));
    }
}

/// CRC-32 (ISO-HDLC) of a payload.
pub fn checksum(payload: &[u8]) -> u32 {
    crc32fast::hash(payload)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SHAPE: Shape = Shape::new(3, 2, 5);

    fn round_trip(encoding: Encoding, values: &[f32]) -> Vec<f32> {
        let bytes = encode(encoding, values, SHAPE);
        let batch = values.len() / SHAPE.elements();
        assert_eq!(bytes.len(), encoding.payload_bytes(SHAPE, batch));
        decode(encoding, &bytes, SHAPE, batch).unwrap()
    }

    /// The fast way and the plain one agree to the bit, there and back.
    fn check_definition(values: &[f32], shape: Shape) {
        let bits = |values: Vec<f32>| values.into_iter().map(f32::to_bits).collect::<Vec<_>>();
        for encoding in Encoding::ALL {
            let written = encode(encoding, values, shape).into_owned();
            assert_eq!(written, plain::encode(encoding, values, shape), "{encoding} {values:?}");
            let read = decode(encoding, &written, shape, values.len() / shape.elements());
            match plain::decode(encoding, &written, shape) {
                Some(plain) => assert_eq!(bits(read.unwrap()), bits(plain), "{encoding} {values:?}"),
                None => assert!(read.is_err()),
            }
        }
    }

    proptest! {
        #[test]
        fn f32_is_exact(values in proptest::collection::vec(any::<f32>(), 60)) {
            let back = round_trip(Encoding::F32, &values);
            prop_assert!(back.iter().zip(&values).all(|(a, b)| a.to_bits() == b.to_bits()));
        }

        #[test]
        fn f16_is_close(values in proptest::collection::vec(-1e4f32..1e4, 60)) {
            for (back, value) in round_trip(Encoding::F16, &values).iter().zip(&values) {
                // Half a unit in the last place of a number with 11 significant bits.
                prop_assert!((back - value).abs() <= value.abs() / 2048.0 + 1e-7);
            }
        }

        #[test]
        fn int8_errs_by_half_a_step_at_most(values in proptest::collection::vec(-1e3f32..1e3, 60)) {
            let back = round_trip(Encoding::Int8, &values);
            for (channel, restored) in values.chunks(SHAPE.plane()).zip(back.chunks(SHAPE.plane())) {
                let low = channel.iter().copied().fold(f32::MAX, f32::min);
                let high = channel.iter().copied().fold(f32::MIN, f32::max);
                let half_step = (high - low) / 255.0 * 0.5001 + 1e-3;
                prop_assert!(channel.iter().zip(restored).all(|(a, b)| (a - b).abs() <= half_step));
            }
        }

        #[test]
        fn bytes_are_those_of_the_definition(
            // Any bits: also infinite, not a number, denormal; and few values, so that ties and constants come up.
            values in prop_oneof![
                proptest::collection::vec(any::<u32>().prop_map(f32::from_bits), 120),
                proptest::collection::vec((-8i8..8).prop_map(|n| f32::from(n) / 2.0), 120),
                proptest::collection::vec(prop_oneof![
                    Just(0.0), Just(-0.0), Just(1.0f32), Just(f32::NAN), Just(f32::INFINITY), Just(f32::NEG_INFINITY),
                    Just(f32::MAX), Just(f32::MIN), Just(f32::MIN_POSITIVE), Just(1e-45),
                ], 120),
            ],
            plane in prop_oneof![Just((1, 1)), Just((4, 5)), Just((4, 15)), Just((1, 40))],
        ) {
            check_definition(&values, Shape::new(120 / (plane.0 * plane.1), plane.0, plane.1));
        }

        #[test]
        fn hostile_payloads_are_refused_not_fatal(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            for encoding in Encoding::ALL {
                let _ = decode(encoding, &bytes, SHAPE, 2);
            }
        }
    }

    #[test]
    fn a_constant_channel_is_exact_and_zero_stays_zero() {
        let values = [2.5f32; 30];
        assert_eq!(round_trip(Encoding::Int8, &values), values);
        let mut relu = [0.0f32; 30];
        relu[4] = 3.0;
        assert_eq!(round_trip(Encoding::Int8, &relu)[..4], relu[..4]);
    }

    #[test]
    fn every_step_of_a_channel_is_rounded_as_defined() {
        // 65,536 numbers, among them every half step and its neighbours: 0 and 255 are the ends of the range.
        let steps = (0..=255u16).flat_map(|step| {
            let half = f32::from(step) + 0.5;
            [f32::from(step), half.next_down(), half.min(255.0), half.next_up().min(255.0)]
        });
        let values: Vec<f32> = steps.cycle().take(65_536).collect();
        check_definition(&values, Shape::new(1, 256, 256));
        check_definition(&values, Shape::new(16, 64, 64));
        // No whole number of lanes.
        check_definition(&values[..3_001], Shape::new(1, 1, 3_001));
    }

    #[test]
    fn a_wrong_length_is_named() {
        let error = decode(Encoding::F16, &[0; 7], SHAPE, 1).unwrap_err().to_string();
        assert!(error.contains("7 bytes of f16") && error.contains("60"), "{error}");
    }
}
