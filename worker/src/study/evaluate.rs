//! The accuracy of a whole network on labelled images, in one process.

use std::time::{Duration, Instant};

use weir_shared::arch::{Network, Shape};
use weir_shared::plan::{ActiveSet, ActiveSetError};

use crate::dataset::{Batch, Images};
use crate::resnet::{ComputeError, WholeNetwork};

use super::interval::{Interval, wilson};

/// What was measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Evaluation {
    /// Images whose most likely class is their label.
    pub correct: usize,
    /// Images.
    pub count: usize,
    /// Time in the network alone, without loading and normalising.
    pub computing: Duration,
}

/// Why nothing was measured.
#[derive(Debug, thiserror::Error)]
pub enum EvaluateError {
    /// The network is for other images.
    #[error(
        "the network takes images of {network}, but these are {images}; take another --arch or --dataset"
    )]
    ImageSize {
        /// What the network takes.
        network: Shape,
        /// What there is.
        images: Shape,
    },
    /// The network tells other classes apart.
    #[error(
        "the network tells {network} classes apart, but these images have {images}; take other --weights"
    )]
    Classes {
        /// Of the network.
        network: u32,
        /// Of the images.
        images: usize,
    },
    /// There is nothing to measure.
    #[error("there is no image to measure with; raise --limit")]
    NoImages,
    /// The active set is of another network.
    #[error("the active set is of another network")]
    ActiveSet(#[from] ActiveSetError),
    /// The network failed.
    #[error("the network could not be computed")]
    Compute(#[from] ComputeError),
}

impl Evaluation {
    /// Share of images that are right.
    pub fn accuracy(&self) -> f64 {
        self.correct as f64 / self.count.max(1) as f64
    }

    /// 95 % confidence interval of the accuracy on all images of this kind.
    pub fn interval(&self) -> Interval {
        wilson(self.correct, self.count)
    }

    /// Images in a second of computing.
    pub fn images_per_second(&self) -> f64 {
        self.count as f64 / self.computing.as_secs_f64().max(1e-9)
    }
}

/// Runs all `images` through `network` under `active`, at most `batch` at once, the last batch with what is left.
///
/// Each batch goes to `each_batch` with its logits, `[batch, classes]`.
///
/// # Errors
/// If images and network do not fit, or the computation fails.
pub fn evaluate(
    network: &WholeNetwork,
    active: &ActiveSet,
    images: &Images,
    batch: usize,
    each_batch: impl FnMut(&Batch, &[f32]),
) -> Result<Evaluation, EvaluateError> {
    active.check(network.network())?;
    let compute = |count, numbers| network.logits(active, count, numbers);
    evaluate_with(network.network(), compute, images, batch, each_batch)
}

/// As [`evaluate`], with `compute` in place of the network: it is given a number of images and their numbers, and
/// returns their logits.
///
/// # Errors
/// As [`evaluate`].
pub fn evaluate_with(
    network: &Network,
    compute: impl Fn(usize, Vec<f32>) -> Result<Vec<f32>, ComputeError>,
    images: &Images,
    batch: usize,
    mut each_batch: impl FnMut(&Batch, &[f32]),
) -> Result<Evaluation, EvaluateError> {
    check_fit(network, images)?;
    let classes = network.head.classes;
    let mut done = Evaluation { correct: 0, count: 0, computing: Duration::ZERO };
    let indices: Vec<usize> = (0..images.len()).collect();
    for part in indices.chunks(batch.max(1)) {
        let inputs = images.batch(part.iter().copied());
        let began = Instant::now();
        let logits = compute(inputs.len(), inputs.images.clone())?;
        done.computing += began.elapsed();
        let answers = logits.chunks_exact(classes as usize).map(most_likely);
        done.correct +=
            answers.zip(&inputs.labels).filter(|(answer, label)| *answer == usize::from(**label)).count();
        done.count += inputs.len();
        each_batch(&inputs, &logits);
    }
    Ok(done)
}

/// Checks that `network` can answer `images`, and that there are some.
///
/// # Errors
/// Says what does not fit.
pub fn check_fit(network: &Network, images: &Images) -> Result<(), EvaluateError> {
    let (input, classes) = (network.input, network.head.classes);
    if input != images.shape() {
        return Err(EvaluateError::ImageSize { network: input, images: images.shape() });
    }
    if classes as usize != images.classes().len() {
        return Err(EvaluateError::Classes { network: classes, images: images.classes().len() });
    }
    if images.is_empty() {
        return Err(EvaluateError::NoImages);
    }
    Ok(())
}

/// The first of the largest; a NaN is never an answer.
pub(super) fn most_likely(logits: &[f32]) -> usize {
    let pick = |best: usize, index: usize| if logits[index] > logits[best] { index } else { best };
    (0..logits.len()).fold(0, pick)
}
