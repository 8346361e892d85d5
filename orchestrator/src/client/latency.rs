//! Latencies of requests, boiled down to what the report shows.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Latencies in milliseconds, from the client's first byte to its last. Percentiles are by nearest rank, so
/// each is a latency that was measured. All are 0 when nothing was.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct LatencyMs {
    /// Half of the requests were at most this slow.
    pub p50: f64,
    /// Nine in ten.
    pub p90: f64,
    /// Ninety-nine in a hundred.
    pub p99: f64,
    /// The slowest.
    pub max: f64,
    /// The mean.
    pub mean: f64,
}

impl LatencyMs {
    /// Of these latencies, in any order.
    pub fn of(latencies: &[Duration]) -> Self {
        let mut sorted = latencies.to_vec();
        sorted.sort_unstable();
        let Some(max) = sorted.last() else {
            return Self::default();
        };
        let milliseconds = |latency: Duration| latency.as_secs_f64() * 1e3;
        let mean = milliseconds(sorted.iter().sum::<Duration>()) / sorted.len() as f64;
        let at = |percent| milliseconds(nearest_rank(&sorted, percent));
        Self { p50: at(50), p90: at(90), p99: at(99), max: milliseconds(*max), mean }
    }
}

/// The smallest value that `percent` of all values do not exceed; `sorted` is not empty.
fn nearest_rank(sorted: &[Duration], percent: usize) -> Duration {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted[rank.min(sorted.len()) - 1]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(milliseconds: impl Iterator<Item = u64>, expect: [f64; 4]) {
        let latencies: Vec<_> = milliseconds.map(Duration::from_millis).collect();
        let LatencyMs { p50, p90, p99, max, .. } = LatencyMs::of(&latencies);
        assert_eq!([p50, p90, p99, max], expect);
    }

    #[test]
    fn percentiles_are_measured_values() {
        check(std::iter::empty(), [0.0; 4]);
        check([7].into_iter(), [7.0; 4]);
        check((1..=100).rev(), [50.0, 90.0, 99.0, 100.0]);
        check(1..=10, [5.0, 9.0, 10.0, 10.0]);
        check([1, 1000].into_iter(), [1.0, 1000.0, 1000.0, 1000.0]);
    }

    #[test]
    fn the_mean_is_of_all() {
        let latencies = [10, 20, 60].map(Duration::from_millis);
        assert!((LatencyMs::of(&latencies).mean - 30.0).abs() < 1e-9);
    }
}
