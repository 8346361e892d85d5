//! A convolution with its batch normalisation, as the worker computes it.
//!
//! At inference the normalisation is a fixed scale and shift for each channel, so it can be folded into the
//! convolution (Jacob et al. 2018, "Quantization and Training of Neural Networks", section 3.2):
//! `w' = w * gamma / sqrt(variance + epsilon)` and `b' = beta - mean * gamma / sqrt(variance + epsilon)`.

use tch::{TchError, Tensor};
use weir_shared::arch::Convolution;
use weir_shared::plan::plan::BatchNorm;
use weir_shared::weights::LayerTensors;

use super::{LoadError, tensor};

/// Keeps the division finite: the default of `BatchNorm2d` in PyTorch and of torchvision's ResNets.
const EPSILON: f64 = 1e-5;

/// What happens to the sum at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// Negative numbers become zero.
    Relu,
    /// Nothing: the last convolution of a branch and a projection go into a join as they are.
    None,
}

/// The weights of a convolution with its normalisation, folded or separate.
#[derive(Debug)]
pub struct NormalisedConvolution {
    weight: Tensor,
    /// Present when the normalisation is folded.
    bias: Option<Tensor>,
    /// Present when it is separate.
    norm: Option<Norm>,
    stride: [i64; 2],
    padding: [i64; 2],
}

#[derive(Debug)]
struct Norm {
    gamma: Tensor,
    beta: Tensor,
    mean: Tensor,
    variance: Tensor,
}

/// A normalisation's four vectors, one number for each channel.
struct Statistics<'a> {
    gamma: &'a [f32],
    beta: &'a [f32],
    mean: &'a [f32],
    variance: &'a [f32],
}

impl NormalisedConvolution {
    /// Takes the convolution's tensors out of its layer's.
    ///
    /// # Errors
    /// If a tensor is absent, a variance is negative, or libtorch refuses.
    pub(super) fn new(
        conv: &Convolution,
        tensors: &LayerTensors,
        batch_norm: BatchNorm,
    ) -> Result<Self, LoadError> {
        let get = |prefix: &str, suffix: &str| {
            let name = format!("{prefix}.{suffix}");
            tensors.get(&name).ok_or(LoadError::Absent { tensor: name })
        };
        let weight = get(&conv.name, "weight")?;
        let norm = &conv.norm_name;
        let statistics = Statistics {
            gamma: get(norm, "weight")?,
            beta: get(norm, "bias")?,
            mean: get(norm, "running_mean")?,
            variance: get(norm, "running_var")?,
        };
        if statistics.variance.iter().any(|&variance| variance < 0.0) {
            return Err(LoadError::Variance { tensor: format!("{norm}.running_var") });
        }
        let [out, channels, kernel] = [conv.output.channels, conv.input.channels, conv.kernel].map(i64::from);
        let dimensions = [out, channels, kernel, kernel];
        let (weight, bias, norm) = match batch_norm {
            BatchNorm::Folded => {
                let (weight, bias) = fold(weight, &statistics);
                let bias = tensor::from_numbers(&bias, &[out])?;
                (tensor::images_from_numbers(&weight, dimensions)?, Some(bias), None)
            }
            BatchNorm::Separate => {
                let norm = Norm {
                    gamma: tensor::from_numbers(statistics.gamma, &[out])?,
                    beta: tensor::from_numbers(statistics.beta, &[out])?,
                    mean: tensor::from_numbers(statistics.mean, &[out])?,
                    variance: tensor::from_numbers(statistics.variance, &[out])?,
                };
                (tensor::images_from_numbers(weight, dimensions)?, None, Some(norm))
            }
        };
        let both = |number: u32| [i64::from(number); 2];
        Ok(Self { weight, bias, norm, stride: both(conv.stride), padding: both(conv.padding) })
    }

    /// Computes a batch.
    pub(super) fn apply(&self, x: &Tensor, activation: Activation) -> Result<Tensor, TchError> {
        let mut y = x.f_conv2d(&self.weight, self.bias.as_ref(), self.stride, self.padding, [1, 1], 1)?;
        if let Some(Norm { gamma, beta, mean, variance }) = &self.norm {
            let (gamma, beta) = (Some(gamma), Some(beta));
            // The momentum is that of training and has no effect here.
            y = y.f_batch_norm(gamma, beta, Some(mean), Some(variance), false, 0.1, EPSILON, false)?;
        }
        match activation {
            Activation::Relu => y.f_relu_(),
            Activation::None => Ok(y),
        }
    }

    /// Bytes of the tensors held.
    pub(super) fn bytes(&self) -> u64 {
        let norm = self.norm.iter().flat_map(|norm| [&norm.gamma, &norm.beta, &norm.mean, &norm.variance]);
        let all = std::iter::once(&self.weight).chain(&self.bias).chain(norm);
        all.map(|tensor| (tensor.numel() * size_of::<f32>()) as u64).sum()
    }
}

/// Weight and bias of the convolution that does both; computed in f64 and rounded once.
fn fold(weight: &[f32], norm: &Statistics<'_>) -> (Vec<f32>, Vec<f32>) {
    let scales: Vec<f64> = norm
        .gamma
        .iter()
        .zip(norm.variance)
        .map(|(&gamma, &variance)| f64::from(gamma) / (f64::from(variance) + EPSILON).sqrt())
        .collect();
    let filter = weight.len() / scales.len().max(1);
    let folded = weight
        .chunks(filter.max(1))
        .zip(&scales)
        .flat_map(|(filter, scale)| filter.iter().map(move |&w| (f64::from(w) * scale) as f32))
        .collect();
    let bias = norm
        .beta
        .iter()
        .zip(norm.mean)
        .zip(&scales)
        .map(|((&beta, &mean), scale)| (f64::from(beta) - f64::from(mean) * scale) as f32)
        .collect();
    (folded, bias)
}
