//! What keeps soft changes rare: a token bucket, times to rest, and a measure of noise.

use std::time::Duration;

use super::rules::Rules;

/// The least time between two sheds: two telemetry periods, so that the second sees the effect of the first.
const SHED_DWELL: Duration = Duration::from_millis(500);

/// The least time between two changes that relieve a broken bound, which nothing else holds back: the second one sees
/// four reports under the first.
const RELIEF_DWELL: Duration = Duration::from_secs(1);

/// How pressing a soft change is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Urgency {
    /// Another plan is better.
    Ordinary,
    /// It answers a collapse.
    Sharp,
    /// A broken bound is broken less, or no more.
    Relief,
    /// Somebody has asked for it.
    Policy,
}

/// Tokens and times: what was done lately, and so what may be done now. The last token is kept for what is sharp; what
/// relieves a broken bound, or was asked for, needs none.
#[derive(Debug, Clone)]
pub(super) struct Brakes {
    tokens: TokenBucket,
    last_soft: Option<Duration>,
    last_shed: Option<Duration>,
    last_relief: Option<Duration>,
}

impl Brakes {
    pub(super) fn new(burst: u32, at: Duration) -> Self {
        Self { tokens: TokenBucket::full(burst, at), last_soft: None, last_shed: None, last_relief: None }
    }

    /// Why a change must wait, if it must.
    pub(super) fn hold_change(
        &mut self,
        at: Duration,
        urgency: Urgency,
        rules: &Rules,
    ) -> Option<&'static str> {
        let rested = match urgency {
            Urgency::Ordinary => passed(at, self.last_soft, rules.dwell()),
            Urgency::Relief => passed(at, self.last_relief, RELIEF_DWELL),
            Urgency::Sharp | Urgency::Policy => true,
        };
        if !rested {
            return Some("a better plan waits for the dwell time to pass");
        }
        let lately = "a better plan waits: there were many changes lately";
        (!self.may_spend(at, urgency, rules)).then_some(lately)
    }

    /// Whether a shed must wait. It moves no weight, so the dwell time of changes is not its own.
    pub(super) fn holds_shed(&mut self, at: Duration, urgency: Urgency, rules: &Rules) -> bool {
        let dwell = if urgency == Urgency::Relief { RELIEF_DWELL } else { SHED_DWELL };
        !passed(at, self.last_shed, dwell) || !self.may_spend(at, urgency, rules)
    }

    pub(super) fn changed(&mut self, at: Duration, urgency: Urgency) {
        self.spend(urgency);
        self.last_soft = Some(at);
        if urgency == Urgency::Relief {
            self.last_relief = Some(at);
        }
    }

    pub(super) fn shed(&mut self, at: Duration, urgency: Urgency) {
        self.spend(urgency);
        self.last_shed = Some(at);
    }

    /// A plan was rolled back: the next soft change waits as behind any other.
    pub(super) const fn rolled_back(&mut self, at: Duration) {
        self.last_soft = Some(at);
    }

    fn may_spend(&mut self, at: Duration, urgency: Urgency, rules: &Rules) -> bool {
        let left = self.tokens.left(at, rules.burst, rules.refill());
        match urgency {
            Urgency::Policy | Urgency::Relief => true,
            Urgency::Sharp => left >= 1,
            // A bucket of one has none to keep.
            Urgency::Ordinary => left >= rules.burst.min(2),
        }
    }

    fn spend(&mut self, urgency: Urgency) {
        if matches!(urgency, Urgency::Ordinary | Urgency::Sharp) {
            self.tokens.take();
        }
    }
}

fn passed(at: Duration, last: Option<Duration>, dwell: Duration) -> bool {
    last.is_none_or(|last| at >= last.saturating_add(dwell))
}

/// Lets `burst` through at once, and one more after each `refill`.
#[derive(Debug, Clone)]
struct TokenBucket {
    tokens: f64,
    at: Duration,
}

impl TokenBucket {
    fn full(burst: u32, at: Duration) -> Self {
        Self { tokens: burst.into(), at }
    }

    /// Whole tokens that are there.
    fn left(&mut self, at: Duration, burst: u32, refill: Duration) -> u32 {
        let gained = at.saturating_sub(self.at).as_secs_f64() / refill.as_secs_f64();
        self.tokens = (self.tokens + gained).min(burst.into());
        self.at = self.at.max(at);
        self.tokens as u32
    }

    /// Takes one.
    fn take(&mut self) {
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
            if bucket.left(Duration::from_secs(second), 2, refill) > 0 {
                bucket.take();
                taken += 1;
            }
        }
        assert!((7..=8).contains(&taken), "{taken}");
    }

    #[test]
    fn the_last_token_is_kept_for_what_is_sharp_and_relief_needs_none() {
        let (rules, at) = (Rules { dwell_ms: 0, ..Rules::default() }, Duration::from_secs(1));
        let mut brakes = Brakes::new(rules.burst, at);
        for _ in 1..rules.burst {
            assert_eq!(brakes.hold_change(at, Urgency::Ordinary, &rules), None);
            brakes.changed(at, Urgency::Ordinary);
        }
        assert!(brakes.hold_change(at, Urgency::Ordinary, &rules).is_some());
        assert!(brakes.holds_shed(at, Urgency::Ordinary, &rules));
        assert_eq!(brakes.hold_change(at, Urgency::Sharp, &rules), None);
        brakes.changed(at, Urgency::Sharp);
        assert!(brakes.hold_change(at, Urgency::Sharp, &rules).is_some());
        assert_eq!(brakes.hold_change(at, Urgency::Policy, &rules), None);
        assert_eq!(brakes.hold_change(at, Urgency::Relief, &rules), None);
        brakes.changed(at, Urgency::Relief);
        assert!(brakes.hold_change(at, Urgency::Relief, &rules).is_some(), "twice in a moment is a flap");
        assert_eq!(brakes.hold_change(at + RELIEF_DWELL, Urgency::Relief, &rules), None);
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
