//! The time of each layer on this machine, which the planner prefers to any estimate from operations.

use std::time::{Duration, Instant};

use weir_shared::arch::LayerId;
use weir_shared::plan::{ActiveSet, Step};

use super::{ComputeError, WholeNetwork};

/// How often and on what a measurement is made.
#[derive(Debug, Clone, Copy)]
pub struct Measurement {
    /// Samples in each run.
    pub batch: usize,
    /// Runs that are not counted: the first ones allocate memory and choose kernels.
    pub warm_up: usize,
    /// Runs that are counted.
    pub runs: usize,
}

/// What was measured, everything active.
#[derive(Debug, Clone)]
pub struct Times {
    /// Median of each layer for one batch, in order of layers.
    pub layers: Vec<Duration>,
    /// Median of a whole run for one batch, with the copies in and out.
    pub whole: Duration,
}

/// Runs `network` on numbers that look like a normalised image and takes the median of each layer.
///
/// A layer's time holds everything that is computed in it: for the first convolution of a block the shortcut's
/// operation too. Medians, because a machine that does other things as well makes single runs late, never early.
///
/// # Errors
/// As [`StageNetwork::run`](super::StageNetwork::run).
pub fn measure(network: &WholeNetwork, measurement: Measurement) -> Result<Times, ComputeError> {
    let Measurement { batch, warm_up, runs } = measurement;
    let program = network.program(&ActiveSet::full());
    let layers = network.network().layers().len();
    let images = image_like(network.network().input.elements() * batch);
    let mut of_layers = vec![Vec::with_capacity(runs); layers];
    let mut of_whole = Vec::with_capacity(runs);
    for run in 0..warm_up + runs {
        let mut times = vec![Duration::ZERO; layers];
        let add = |step: &Step, began: Instant| {
            let LayerId(layer) = step.layer;
            times[usize::from(layer)] += began.elapsed();
        };
        let input = vec![images.clone()];
        let began = Instant::now();
        network.stage().run_observed(&program, batch, input, add)?;
        if run >= warm_up {
            of_whole.push(began.elapsed());
            of_layers.iter_mut().zip(times).for_each(|(of_layer, time)| of_layer.push(time));
        }
    }
    Ok(Times { layers: of_layers.into_iter().map(median).collect(), whole: median(of_whole) })
}

/// The middle one; of an even number the earlier of the two in the middle; zero of none.
fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len().saturating_sub(1) / 2).copied().unwrap_or_default()
}

/// Numbers from -2 to 2 without a pattern that a kernel could profit from.
fn image_like(length: usize) -> Vec<f32> {
    // Knuth, The Art of Computer Programming 2, section 6.4: multiplicative hashing by 2^32 / golden ratio.
    (0..length as u32).map(|n| (n.wrapping_mul(2_654_435_769) >> 8) as f32 / (1 << 22) as f32 - 2.0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_ignores_one_late_run() {
        let of = |millis: &[u64]| median(millis.iter().copied().map(Duration::from_millis).collect());
        assert_eq!(of(&[3, 900, 2]), Duration::from_millis(3));
        assert_eq!(of(&[]), Duration::ZERO);
    }

    #[test]
    fn inputs_stay_in_the_range_of_images() {
        let numbers = image_like(10_000);
        assert!(numbers.iter().all(|n| (-2.0..=2.0).contains(n)));
        assert!((numbers.iter().sum::<f32>() / 10_000.0).abs() < 0.01);
    }
}
