//! What keeps soft changes rare: a token bucket, and a measure of noise.

use std::time::Duration;

/// Lets `burst` through at once, and one more after each `refill`.
#[derive(Debug, Clone)]
pub(super) struct TokenBucket {
    tokens: f64,
    at: Duration,
}

impl TokenBucket {
    pub(super) fn full(burst: u32, at: Duration) -> Self {
        Self { tokens: burst.into(), at }
    }

    /// Whether a token is there.
    pub(super) fn has(&mut self, at: Duration, burst: u32, refill: Duration) -> bool {
        let gained = at.saturating_sub(self.at).as_secs_f64() / refill.as_secs_f64();
        self.tokens = (self.tokens + gained).min(burst.into());
        self.at = self.at.max(at);
        self.tokens >= 1.0
    }

    /// Takes one.
    pub(super) fn take(&mut self) {
        self.tokens = (self.tokens - 1.0).max(0.0);
    }
}

/// One change counts for this much at most, so that a true step is not taken for noise.
const CHANGE_MAX: f64 = 0.25;

/// Noise is averaged over this time.
const SPAN: Duration = Duration::from_secs(10);

/// Between two snapshots that mattered, nothing changed: that counts too, once in each such time.
const PERIOD: Duration = Duration::from_millis(250);

/// The mean relative change of the running plan's objective from one snapshot to the next. An exponential average,
/// corrected for its start (Kingma and Ba 2015, section 3).
#[derive(Debug, Clone, Default)]
pub(super) struct Noise {
    last: Option<f64>,
    at: Option<Duration>,
    mean: f64,
    weight: f64,
}

impl Noise {
    /// The objective in a new snapshot; what is not a positive number is passed over.
    pub(super) fn observe(&mut self, at: Duration, objective: f64) {
        if !(objective.is_finite() && objective > 0.0) {
            return;
        }
        let quiet = self.at.map_or(Duration::ZERO, |last| at.saturating_sub(last).saturating_sub(PERIOD));
        self.average(quiet, 0.0);
        self.at = Some(at);
        if let Some(last) = self.last.replace(objective) {
            self.average(PERIOD, ((objective - last).abs() / last).min(CHANGE_MAX));
        }
    }

    fn average(&mut self, time: Duration, change: f64) {
        let share = 1.0 - (-time.as_secs_f64() / SPAN.as_secs_f64()).exp();
        self.mean += (change - self.mean) * share;
        self.weight += (1.0 - self.weight) * share;
    }

    /// Another plan runs: its objective is another number, but the links are as noisy as before.
    pub(super) const fn interrupt(&mut self) {
        self.last = None;
    }

    pub(super) fn level(&self) -> f64 {
        // A few snapshots say little: the correction is bounded so that a first step is not all there is.
        self.mean / self.weight.max(0.15)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_lets_a_burst_through_and_then_a_trickle() {
        let refill = Duration::from_secs(10);
        let mut bucket = TokenBucket::full(2, Duration::ZERO);
        let mut taken = 0;
        for second in 0..60 {
            if bucket.has(Duration::from_secs(second), 2, refill) {
                bucket.take();
                taken += 1;
            }
        }
        assert!((7..=8).contains(&taken), "{taken}");
    }

    #[test]
    fn noise_is_seen_and_a_step_is_not_noise() {
        let (mut noisy, mut step) = (Noise::default(), Noise::default());
        for i in 0..100 {
            noisy.observe(PERIOD * i, if i % 2 == 0 { 0.9 } else { 1.1 });
            step.observe(PERIOD * i, if i < 50 { 1.0 } else { 5.0 });
        }
        assert!(noisy.level() > 0.15 && step.level() < 0.01, "{} {}", noisy.level(), step.level());
        noisy.observe(PERIOD * 100, f64::NAN);
        assert!(noisy.level().is_finite());
    }
}
