//! The update of the weights, and their moving average.
//!
//! Written out instead of taken from tch, because tch does not let its momentum be saved, and a run could then not
//! be resumed exactly.

use weir_shared::arch::ParameterRole;

use crate::resnet::torch::{Kind, TchError, Tensor, no_grad};

use super::net::TrainNet;

/// Stochastic gradient descent with Nesterov's momentum, in the form of Sutskever et al. 2013 that PyTorch uses.
pub struct Optimiser {
    /// One for each learnt tensor, in the order of layers.
    momenta: Vec<Tensor>,
    momentum: f64,
    weight_decay: f64,
    clip: f64,
}

impl Optimiser {
    /// An optimiser that has not moved yet.
    ///
    /// # Errors
    /// If libtorch has no memory.
    pub fn new(net: &TrainNet, momentum: f64, weight_decay: f64, clip: f64) -> Result<Self, TchError> {
        let momenta = learnt(net).map(Tensor::f_zeros_like).collect::<Result<_, _>>()?;
        Ok(Self { momenta, momentum, weight_decay, clip })
    }

    /// The momenta, one for each learnt tensor, in the order of layers.
    pub fn momenta(&self) -> &[Tensor] {
        &self.momenta
    }

    /// Moves the weights by their gradients and clears these.
    ///
    /// # Errors
    /// If libtorch has no memory.
    pub fn step(&mut self, net: &TrainNet, learning_rate: f64) -> Result<(), TchError> {
        no_grad(|| {
            let scale = self.clip_scale(net)?;
            for (tensor, momentum) in learnt(net).zip(&mut self.momenta) {
                let mut weight = tensor.shallow_clone();
                let gradient = weight.f_grad()?;
                // A tensor that was off in every step so far has none; zero keeps that the same as after a resume.
                let mut gradient =
                    if gradient.defined() { gradient.f_mul_scalar(scale)? } else { weight.f_zeros_like()? };
                // Goyal et al. 2017, section 5.3, and later practice: vectors belong to the normalisation.
                if weight.dim() > 1 {
                    gradient = gradient.f_add(&weight.f_mul_scalar(self.weight_decay)?)?;
                }
                let _ = momentum.f_mul_scalar_(self.momentum)?.f_add_(&gradient)?;
                let ahead = gradient.f_add(&momentum.f_mul_scalar(self.momentum)?)?;
                let _ = weight.f_sub_(&ahead.f_mul_scalar(learning_rate)?)?;
                weight.zero_grad();
            }
            Ok(())
        })
    }

    /// What gradients are multiplied with so that their joint length is at most `clip`.
    ///
    /// A sub-network of few layers that is normalised as the whole one can have a gradient far longer than usual;
    /// one such step would undo many (Pascanu et al. 2013, section 3.2).
    fn clip_scale(&self, net: &TrainNet) -> Result<f64, TchError> {
        let mut squares = 0.0;
        for tensor in learnt(net) {
            let gradient = tensor.f_grad()?;
            if gradient.defined() {
                squares += gradient.f_square()?.f_sum(Kind::Double)?.f_double_value(&[])?;
            }
        }
        Ok((self.clip / squares.sqrt().max(1e-12)).min(1.0))
    }
}

/// Moves `average` towards `net`: weights and statistics alike (Izmailov et al. 2018 average weights only; moving
/// the statistics with them spares a pass over the images).
///
/// # Errors
/// If libtorch has no memory.
pub fn follow(average: &TrainNet, net: &TrainNet, decay: f64) -> Result<(), TchError> {
    no_grad(|| {
        for ((_, slow), (_, fast)) in average.tensors().zip(net.tensors()) {
            let _ = slow.shallow_clone().f_lerp_(fast, 1.0 - decay)?;
        }
        Ok(())
    })
}

fn learnt(net: &TrainNet) -> impl Iterator<Item = &Tensor> {
    net.tensors().filter(|(parameter, _)| parameter.role == ParameterRole::Learnt).map(|(_, tensor)| tensor)
}
