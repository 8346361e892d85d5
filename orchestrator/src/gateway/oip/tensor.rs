//! FP32 tensors as bytes: always little-endian on the wire, whatever the machine is.

use super::request::RequestError;

/// Bytes of one FP32 number.
pub const FP32_BYTES: usize = size_of::<f32>();

/// The numbers in `raw`, with one copy and no demand on its alignment.
///
/// # Errors
/// If the length is not a multiple of 4.
pub fn fp32_from_le(raw: &[u8]) -> Result<Vec<f32>, RequestError> {
    if !raw.len().is_multiple_of(FP32_BYTES) {
        return Err(RequestError::PartialNumber { bytes: raw.len() });
    }
    // Copying into numbers, rather than viewing bytes as numbers, works wherever the tensor lies in the body.
    let mut numbers = vec![0.0f32; raw.len() / FP32_BYTES];
    bytemuck::cast_slice_mut::<f32, u8>(&mut numbers).copy_from_slice(raw);
    if cfg!(target_endian = "big") {
        for number in &mut numbers {
            *number = f32::from_bits(number.to_bits().swap_bytes());
        }
    }
    Ok(numbers)
}

/// Appends `numbers` to `out`.
pub fn fp32_to_le(numbers: &[f32], out: &mut Vec<u8>) {
    if cfg!(target_endian = "little") {
        out.extend_from_slice(bytemuck::cast_slice(numbers));
    } else {
        out.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_bit_pattern_survives_at_any_alignment(bits: Vec<u32>, offset in 0usize..4) {
            let numbers: Vec<f32> = bits.iter().copied().map(f32::from_bits).collect();
            let mut bytes = vec![0; offset];
            fp32_to_le(&numbers, &mut bytes);
            let back = fp32_from_le(&bytes[offset..]).unwrap();
            prop_assert_eq!(back.iter().map(|n| n.to_bits()).collect::<Vec<_>>(), bits);
        }
    }

    #[test]
    fn half_a_number_is_refused() {
        assert_eq!(fp32_from_le(&[0; 7]), Err(RequestError::PartialNumber { bytes: 7 }));
    }
}
