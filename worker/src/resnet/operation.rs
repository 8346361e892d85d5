//! One operation: which kernels it is made of, and what it may overwrite.
//!
//! An operation sees its operands and its layer's weights and nothing else, so it gives the same bits in a whole
//! network and in a stage.

use tch::{TchError, Tensor};
use weir_shared::plan::Op;
use weir_shared::plan::dataflow::Operands;

use super::convolution::Activation;
use super::tensor;
use super::unit::{EarlyShortcut, LateShortcut, LayerUnit};

/// An operand of a step: ours to overwrite when nobody reads it later.
pub(super) enum Operand<'a> {
    Last(Tensor),
    Shared(&'a Tensor),
}

impl Operand<'_> {
    fn get(&self) -> &Tensor {
        match self {
            Self::Last(tensor) => tensor,
            Self::Shared(tensor) => tensor,
        }
    }
}

/// Computes one operation; `None` if the unit is not that operation's, or operands are too few.
pub(super) fn compute(
    unit: &LayerUnit,
    op: Op,
    operands: Vec<Operand<'_>>,
) -> Option<Result<Tensor, TchError>> {
    let mut operands = operands.into_iter();
    let x = operands.next()?;
    Some(match (unit, op) {
        (LayerUnit::Stem { convolution, pool }, Op::Stem) => {
            convolution.apply(x.get(), Activation::Relu).and_then(|y| match pool {
                Some(pool) => {
                    let [kernel, stride, padding] =
                        [pool.kernel, pool.stride, pool.padding].map(|n| [i64::from(n); 2]);
                    y.f_max_pool2d(kernel, stride, padding, [1, 1], false)
                }
                None => Ok(y),
            })
        }
        (LayerUnit::Conv { convolution, activation, .. }, Op::Conv { .. }) => {
            convolution.apply(x.get(), *activation)
        }
        (LayerUnit::Conv { early: EarlyShortcut::Projection(convolution), .. }, Op::Shortcut { .. }) => {
            convolution.apply(x.get(), Activation::None)
        }
        (&LayerUnit::Conv { early: EarlyShortcut::Subsample { stride }, .. }, Op::Shortcut { .. }) => {
            subsample(x.get(), stride)
        }
        (LayerUnit::Join { late }, Op::Join { operands: Operands::Both, .. }) => {
            add(x, &operands.next()?, late)
        }
        (LayerUnit::Join { .. }, Op::Join { operands: Operands::BranchOnly, .. }) => relu(x),
        (LayerUnit::Join { late }, Op::Join { operands: Operands::ShortcutOnly, .. }) => {
            late.apply(x.get()).and_then(|projected| match projected {
                Some(mut shortcut) => shortcut.f_relu_(),
                None => relu(x),
            })
        }
        (LayerUnit::Head { weight, bias }, Op::Head) => {
            // He et al. 2015, section 3.3: global average pooling and a fully-connected layer.
            x.get()
                .f_mean_dim([2_i64, 3].as_slice(), false, None)
                .and_then(|means| means.f_linear(weight, Some(bias)))
        }
        _ => return None,
    })
}

/// He et al. 2015, Eq. 1: `y = relu(F(x) + S(x))`, with what is left of `S`.
fn add(branch: Operand<'_>, shortcut: &Operand<'_>, late: &LateShortcut) -> Result<Tensor, TchError> {
    let projected = late.apply(shortcut.get())?;
    let shortcut = projected.as_ref().unwrap_or(shortcut.get());
    let mut sum = match branch {
        Operand::Last(mut branch) => branch.f_add_(shortcut)?,
        Operand::Shared(branch) => branch.f_add(shortcut)?,
    };
    sum.f_relu_()
}

fn relu(x: Operand<'_>) -> Result<Tensor, TchError> {
    match x {
        Operand::Last(mut x) => x.f_relu_(),
        Operand::Shared(x) => x.f_relu(),
    }
}

/// `x[:, :, ::stride, ::stride]`.
///
/// Of a single row and column this is `x` itself; nothing overwrites it, because zero channels come next.
fn subsample(x: &Tensor, stride: i64) -> Result<Tensor, TchError> {
    tensor::channels_last(x.f_slice(2, None, None, stride)?.f_slice(3, None, None, stride)?)
}
