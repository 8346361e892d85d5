//! Tells when a path has become another one: round-trip times that are all far longer, or shorter, than they were.
//!
//! A collapse of a radio link, a hand-over, or a heavier queue somewhere shows in the round-trip times of whatever few packets
//! pass, long before enough bytes have passed to show it in the goodput. What this finds is no measurement, but a reason to
//! make one.

use std::time::{Duration, Instant};

/// The level settles at the smallest of so many first samples: the handshake's own are longer, by what its signatures cost.
const SETTLING: u32 = 5;

/// A step is by this factor at least...
const FACTOR: f64 = 2.0;

/// ...and by this many seconds: less is a scheduler's, or costs no request anything.
const SECONDS_MIN: f64 = 0.005;

/// So many samples in a row must say the same, and so long: acknowledgements come in volleys, one packet late makes all of a
/// volley late.
const IN_A_ROW: u32 = 3;
const LASTING: Duration = Duration::from_millis(100);

/// Round-trip times of one path, and the level that they keep.
#[derive(Debug, Clone, Default)]
pub struct RttLevel {
    level: Option<f64>,
    samples: u32,
    run: Option<Run>,
}

/// Samples in a row that are off the level on one side.
#[derive(Debug, Clone, Copy)]
struct Run {
    longer: bool,
    since: Instant,
    samples: u32,
    /// The one that is nearest to the level.
    nearest: f64,
}

impl RttLevel {
    /// Takes a sample in seconds, and says whether the path has stepped to another level by it.
    pub fn step(&mut self, at: Instant, seconds: f64) -> bool {
        self.samples = self.samples.saturating_add(1);
        let Some(level) = self.level.filter(|_| self.samples > SETTLING) else {
            self.level = Some(self.level.map_or(seconds, |level| level.min(seconds)));
            return false;
        };
        let far = |short: f64, long: f64| long > short * FACTOR && long > short + SECONDS_MIN;
        let longer = far(level, seconds);
        if !longer && !far(seconds, level) {
            self.run = None;
            return false;
        }
        let before = self.run.filter(|run| run.longer == longer);
        let fresh = Run { longer, since: at, samples: 0, nearest: seconds };
        let run = before.unwrap_or(fresh);
        let nearest = if longer { run.nearest.min(seconds) } else { run.nearest.max(seconds) };
        let run = Run { samples: run.samples + 1, nearest, ..run };
        self.run = Some(run);
        let stepped = run.samples >= IN_A_ROW && at.saturating_duration_since(run.since) >= LASTING;
        if stepped {
            (self.level, self.run) = (Some(run.nearest), None);
        }
        stepped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Milliseconds of samples, one each 60 ms; the numbers of those that were steps.
    fn steps(samples: &[f64]) -> Vec<usize> {
        let (mut level, start) = (RttLevel::default(), Instant::now());
        let at = |index: usize| start + Duration::from_millis(60 * index as u64);
        let stepped = |(index, ms): (usize, &f64)| level.step(at(index), ms / 1e3).then_some(index);
        samples.iter().enumerate().filter_map(stepped).collect()
    }

    #[test]
    fn a_longer_way_is_a_step_and_so_is_the_way_back() {
        let samples =
            [30.0, 12.0, 10.0, 11.0, 13.0, 12.0, 90.0, 95.0, 85.0, 88.0, 91.0, 12.0, 11.0, 12.0, 13.0];
        assert_eq!(steps(&samples), [8, 13]);
    }

    #[test]
    fn noise_single_late_packets_and_fast_networks_are_no_steps() {
        assert_eq!(steps(&[20.0, 24.0, 16.0, 20.0, 18.0, 24.0, 16.0, 23.0, 24.0, 25.0, 16.0, 17.0]), [0; 0]);
        assert_eq!(steps(&[10.0, 10.0, 10.0, 10.0, 10.0, 10.0, 80.0, 90.0, 11.0, 90.0, 80.0, 10.0]), [0; 0]);
        assert_eq!(steps(&[0.2, 0.2, 0.2, 0.2, 0.2, 0.2, 3.0, 4.0, 3.0, 4.0, 3.0, 4.0]), [0; 0]);
    }

    #[test]
    fn a_volley_of_late_acknowledgements_is_one_word() {
        let (mut level, start) = (RttLevel::default(), Instant::now());
        (0..6).for_each(|_| assert!(!level.step(start, 0.01)));
        assert!((0..10).all(|_| !level.step(start + Duration::from_millis(1), 0.1)));
        assert!(level.step(start + Duration::from_millis(150), 0.1));
    }
}
