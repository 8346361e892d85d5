//! Jitter that wanders: the delay that a link adds now is close to what it added a moment ago.
//!
//! Drawing an extra delay for each packet alone would be wrong for a link that keeps its order: a late packet
//! holds up all behind it, so a busy link would always show the largest jitter and an idle one the mean. Real
//! queues and radio schedulers move slowly compared with a packet. So random heights stand at equal distances
//! in time, and between them the extra delay goes in a straight line. With a distance of twice the jitter it
//! never falls faster than half a second per second, and no packet catches up with the one before.
//!
//! Always true: the extra delay depends on seed and time alone, never on the traffic; its mean is half the jitter.

use std::time::Duration;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The random heights of one direction of a link.
#[derive(Debug)]
pub struct Wander {
    random: ChaCha8Rng,
    /// The last answer's place and the heights on both sides: packets come in bursts.
    last: Option<(u64, f64, f64)>,
}

impl Wander {
    /// Heights for a seed.
    pub fn new(seed: u64) -> Self {
        Self { random: ChaCha8Rng::seed_from_u64(seed), last: None }
    }

    /// The extra delay at a time, from 0 to `jitter`.
    pub fn extra(&mut self, at: Duration, jitter: Duration) -> Duration {
        let distance = jitter.as_nanos().saturating_mul(2);
        if distance == 0 {
            return Duration::ZERO;
        }
        let place = u64::try_from(at.as_nanos() / distance).unwrap_or(u64::MAX);
        let (before, after) = match self.last {
            Some((last, before, after)) if last == place => (before, after),
            _ => (self.height(place), self.height(place.wrapping_add(1))),
        };
        self.last = Some((place, before, after));
        let between = (at.as_nanos() % distance) as f64 / distance as f64;
        jitter.mul_f64((before + (after - before) * between).clamp(0.0, 1.0))
    }

    fn height(&mut self, place: u64) -> f64 {
        // A height takes two words of the stream, so any of them can be drawn without the ones before.
        self.random.set_word_pos(u128::from(place) * 2);
        self.random.random()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const JITTER: Duration = Duration::from_millis(20);

    #[test]
    fn the_mean_is_half_and_all_of_the_range_is_used() {
        let mut wander = Wander::new(1);
        let extras: Vec<f64> =
            (0..200_000).map(|ms| wander.extra(Duration::from_millis(ms), JITTER).as_secs_f64()).collect();
        let mean = extras.iter().sum::<f64>() / extras.len() as f64;
        assert!((mean - 0.010).abs() < 0.001, "{mean}");
        assert!(extras.iter().copied().fold(1.0, f64::min) < 0.001);
        assert!(extras.iter().copied().fold(0.0, f64::max) > 0.019);
    }

    #[test]
    fn without_jitter_nothing_is_added() {
        assert_eq!(Wander::new(1).extra(Duration::from_secs(3), Duration::ZERO), Duration::ZERO);
    }

    proptest! {
        #[test]
        fn nobody_overtakes(seed: u64, start in 0u64..1 << 40, steps in proptest::collection::vec(0u64..1 << 24, 1..50)) {
            let mut wander = Wander::new(seed);
            let mut at = Duration::from_nanos(start);
            let mut arrival = at + wander.extra(at, JITTER);
            for step in steps {
                at += Duration::from_nanos(step);
                let next = at + wander.extra(at, JITTER);
                prop_assert!(next + Duration::from_nanos(1) >= arrival);
                arrival = next;
            }
        }

        #[test]
        fn the_same_moment_has_the_same_jitter_whatever_was_asked_before(seed: u64, a in 0u64..1 << 50, b in 0u64..1 << 50) {
            let [a, b] = [a, b].map(Duration::from_nanos);
            let mut asked = Wander::new(seed);
            asked.extra(a, JITTER);
            prop_assert_eq!(asked.extra(b, JITTER), Wander::new(seed).extra(b, JITTER));
        }
    }
}
