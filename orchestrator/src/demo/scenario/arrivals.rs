//! When requests come: an open loop, decided before the run and the same in every run of a scenario.

use std::time::Duration;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::spec::{Action, Arrivals, Scenario};

/// Marks the random stream of arrivals, apart from those of links.
const STREAM: u64 = 2;

/// A request that will be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrival {
    /// When, since the start.
    pub at: Duration,
    /// Which image.
    pub image: usize,
}

/// All requests of a scenario, in order.
pub fn arrivals(scenario: &Scenario, images: usize) -> Vec<Arrival> {
    let mut random = ChaCha8Rng::seed_from_u64(scenario.seed);
    random.set_stream(STREAM);
    let changes: Vec<_> = scenario
        .events
        .iter()
        .filter_map(|event| match event.action {
            Action::Load(rate) => Some((event.at, rate)),
            _ => None,
        })
        .collect();
    let rate_at = |at: Duration| {
        let last = changes.iter().rev().find(|(from, _)| *from <= at);
        last.map_or(scenario.load.rate_per_second, |(_, rate)| *rate)
    };
    let mut arrivals = Vec::new();
    let mut at = Duration::ZERO;
    while at < scenario.duration {
        arrivals.push(Arrival { at, image: arrivals.len() % images.max(1) });
        let mean = 1.0 / rate_at(at);
        let gap = match scenario.load.arrivals {
            Arrivals::Even => mean,
            // Inverse transform: -ln(1 - u) has mean 1 for u even in [0, 1). Bounded, so that a run has no long hole.
            Arrivals::Poisson => mean * (-(1.0 - random.random::<f64>()).ln()).min(5.0),
        };
        at += Duration::from_secs_f64(gap);
    }
    arrivals
}
