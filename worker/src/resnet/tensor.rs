//! Numbers to tensors and back, with one copy each way.

use tch::{Kind, TchError, Tensor};
use weir_shared::arch::Shape;

/// A contiguous tensor of `dimensions` with a copy of `numbers`, which must fill it.
pub(super) fn from_numbers(numbers: &[f32], dimensions: &[i64]) -> Result<Tensor, TchError> {
    Tensor::f_from_data_size(bytemuck::cast_slice(numbers), dimensions, Kind::Float)
}

/// A copy of a tensor's numbers in NCHW order.
pub(super) fn to_numbers(tensor: &Tensor) -> Result<Vec<f32>, TchError> {
    let elements = tensor.numel();
    let mut numbers = vec![0.0; elements];
    tensor.f_copy_data(&mut numbers, elements)?;
    Ok(numbers)
}

/// Dimensions of `batch` samples of `shape`: NCHW, or NC for the plain vector that the head makes.
pub(super) fn dimensions(shape: Shape, batch: usize) -> [i64; 4] {
    [batch as i64, i64::from(shape.channels), i64::from(shape.height), i64::from(shape.width)]
}

/// The tensor itself where it is contiguous NCHW already, else a copy that is.
///
/// What arrives from a peer is contiguous; what stays inside a stage must be too, or a kernel could be chosen by
/// strides and the split network would differ from the whole one in the last bit.
pub(super) fn contiguous(tensor: Tensor) -> Result<Tensor, TchError> {
    if tensor.is_contiguous() { Ok(tensor) } else { tensor.f_contiguous() }
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
        let turned = contiguous(tensor.transpose(2, 3)).unwrap();
        assert_eq!(to_numbers(&turned).unwrap()[..4], [0.0, 2.0, 1.0, 3.0]);
    }
}
