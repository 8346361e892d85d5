//! Accuracy on validation images while training, with the network as it would be served.

use weir_shared::plan::ActiveSet;

use crate::dataset::Images;
use crate::resnet::torch::{Kind, no_grad};
use crate::study::interval::Interval;

use super::TrainError;
use super::net::{Pass, TrainNet};
use super::resilience::{Dropping, Expendable};

/// What a network is worth, on images that it never learnt from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Report {
    /// Share of validation images that the whole network has right.
    pub validation_accuracy: f64,
    /// 95 % confidence interval of that.
    pub validation_interval: Interval,
    /// The number of validation images.
    pub validation_images: usize,
    /// Mean share that a fixed sample of sub-networks has right.
    pub subnetwork_accuracy: f64,
}

/// Images in one forward pass.
const BATCH: usize = 250;

/// Sub-networks that are measured after each pass.
const PROBES: u64 = 8;

/// Images that each of them is measured on: enough to see the trend of a mean over [`PROBES`].
const PROBE_IMAGES: usize = 1_000;

/// How many of the first `count` images `net` has right under `active`.
pub(super) fn hits(
    net: &TrainNet,
    images: &Images,
    count: usize,
    active: &ActiveSet,
) -> Result<usize, TrainError> {
    let indices: Vec<usize> = (0..count.min(images.len())).collect();
    let mut hits = 0;
    for part in indices.chunks(BATCH) {
        let batch = images.batch(part.iter().copied());
        let (input, labels) = net.inputs(&batch.images, &batch.labels)?;
        let right = no_grad(|| {
            let logits = net.forward(&input, active, Pass::SERVING)?;
            logits.f_argmax(1, false)?.f_eq_tensor(&labels)?.f_sum(Kind::Int64)?.f_int64_value(&[])
        })?;
        hits += right as usize;
    }
    Ok(hits)
}

/// The mean share that a fixed sample of sub-networks has right.
pub(super) fn probe(
    net: &TrainNet,
    images: &Images,
    dropping: Dropping,
    expendable: &Expendable,
) -> Result<f64, TrainError> {
    let count = images.len().min(PROBE_IMAGES);
    let mut sum = 0;
    for number in 0..PROBES {
        sum += hits(net, images, count, &dropping.probe(expendable, number)?)?;
    }
    Ok(sum as f64 / (PROBES as usize * count.max(1)) as f64)
}
