//! Numbers to tensors and back, and the one layout in memory that activations have.
//!
//! Outside of a stage numbers are NCHW. Inside, the channels of a pixel lie side by side ("channels last"): the layout
//! in which the processor's convolutions of few channels are fastest.

use tch::{Kind, TchError, Tensor};
use weir_shared::arch::Shape;

/// A contiguous tensor of `dimensions` with a copy of `numbers`, which must fill it.
pub(super) fn from_numbers(numbers: &[f32], dimensions: &[i64]) -> Result<Tensor, TchError> {
    Tensor::f_from_data_size(bytemuck::cast_slice(numbers), dimensions, Kind::Float)
}

/// Activations or filters of `dimensions` from `numbers` in NCHW order, which must fill them.
pub(super) fn images_from_numbers(numbers: &[f32], dimensions: [i64; 4]) -> Result<Tensor, TchError> {
    channels_last(from_numbers(numbers, &dimensions)?)
}

/// A copy of a tensor's numbers in NCHW order.
pub(super) fn to_numbers(tensor: &Tensor) -> Result<Vec<f32>, TchError> {
    let elements = tensor.numel();
    let mut numbers = vec![0.0; elements];
    tensor.f_contiguous()?.f_copy_data(&mut numbers, elements)?;
    Ok(numbers)
}

/// Dimensions of `batch` samples of `shape`: NCHW, or NC for the plain vector that the head makes.
pub(super) fn dimensions(shape: Shape, batch: usize) -> [i64; 4] {
    [batch as i64, i64::from(shape.channels), i64::from(shape.height), i64::from(shape.width)]
}

/// The tensor itself where its channels are last in memory already, else a copy that is so. What has not four
/// dimensions is kept as it is.
///
/// What arrives from a peer is laid out so; what stays inside a stage must be too, or a kernel could be chosen by
/// strides and the split network would differ from the whole one in the last bit.
pub(super) fn channels_last(tensor: Tensor) -> Result<Tensor, TchError> {
    let &[batch, channels, height, width] = tensor.size().as_slice() else { return Ok(tensor) };
    let strides = [height * width * channels, 1, width * channels, channels];
    if tensor.stride() == strides {
        return Ok(tensor);
    }
    let pixels = tensor.f_permute([0, 2, 3, 1])?.f_contiguous()?;
    // Where there is one pixel or one channel, several strides say the same; kernels look at them all the same.
    pixels.f_as_strided([batch, channels, height, width], strides, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_survive_the_way_there_and_back() {
        let numbers: Vec<f32> = (0..24).map(|n| n as f32).collect();
        let tensor = from_numbers(&numbers, &dimensions(Shape::new(3, 2, 2), 2)).unwrap();
        assert_eq!(tensor.double_value(&[1, 2, 1, 0]), 22.0);
        assert_eq!(to_numbers(&tensor).unwrap(), numbers);
        let turned = channels_last(tensor.transpose(2, 3)).unwrap();
        assert_eq!(to_numbers(&turned).unwrap()[..4], [0.0, 2.0, 1.0, 3.0]);
    }

    #[test]
    fn strides_are_the_same_however_a_tensor_was_made() {
        for [channels, height, width] in [[3, 2, 2], [1, 4, 4], [5, 1, 1], [1, 1, 1], [4, 1, 3]] {
            let shape = Shape::new(channels, height, width);
            let numbers: Vec<f32> = (0..shape.elements() * 2).map(|n| n as f32).collect();
            let plain = from_numbers(&numbers, &dimensions(shape, 2)).unwrap();
            let expected = channels_last(plain.shallow_clone()).unwrap().stride();
            assert_eq!(expected[1], 1);
            let turned = channels_last(plain.transpose(2, 3)).unwrap();
            let back = channels_last(turned.transpose(2, 3)).unwrap();
            assert_eq!((back.stride(), to_numbers(&back).unwrap()), (expected, numbers));
        }
    }
}
