//! A new plan on trial: whether it delivers, by windows that carried load.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::rules::Rules;

/// Answers of the running plan, counted over a while.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// How many, first attempts only.
    pub answers: u64,
    /// Length of the window.
    pub seconds: f64,
    /// The median of their times from the first send to the logits.
    pub median_seconds: f64,
}

impl Window {
    /// Whether it carried load, and its figures can be.
    pub fn is_usable(&self) -> bool {
        self.answers > 0
            && self.seconds.is_finite()
            && self.seconds > 0.0
            && self.median_seconds.is_finite()
            && self.median_seconds > 0.0
    }

    /// Answers per second.
    pub fn rate(&self) -> f64 {
        self.answers as f64 / self.seconds
    }
}

/// Answers in this time after a switch are partly the old plan's making: its backlog, cold caches.
const SETTLE: Duration = Duration::from_millis(300);

/// Load that grew by more than this explains a higher latency.
const LOAD_GROWTH: f64 = 1.25;

/// The trial of one plan.
#[derive(Debug, Clone, PartialEq)]
pub struct Trial {
    since: Duration,
    /// Seconds that may not be exceeded by the stated factor.
    reference_seconds: f64,
    /// Requests per second before.
    rate: Option<f64>,
    answers: u64,
    weighted: f64,
    seconds: f64,
}

/// How a trial stands.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Verdict {
    /// More answers are needed.
    Open,
    /// It delivers; the mean of the windows' medians.
    Kept(f64),
    /// It does not.
    Failed(f64),
    /// Too few answers came, or the load is another one.
    Undecided,
}

impl Trial {
    /// Begins. `old_seconds` is what the old plan had or would have, `predicted_seconds` what the new one promised: it
    /// is judged by the larger, because a plan may be slower on purpose.
    pub fn begin(at: Duration, old_seconds: Option<f64>, predicted_seconds: f64, rate: Option<f64>) -> Self {
        let reference_seconds = old_seconds.unwrap_or(0.0).max(predicted_seconds);
        Self { since: at, reference_seconds, rate, answers: 0, weighted: 0.0, seconds: 0.0 }
    }

    /// Takes a window that ended `at`.
    pub fn window(&mut self, at: Duration, window: &Window, rules: &Rules) -> Verdict {
        let began = at.saturating_sub(Duration::from_secs_f64(window.seconds.clamp(0.0, 3600.0)));
        if at >= self.since + Duration::from_millis(rules.trial_max_ms) {
            return Verdict::Undecided;
        }
        if began < self.since + SETTLE {
            return Verdict::Open;
        }
        self.answers += window.answers;
        self.weighted += window.median_seconds * window.answers as f64;
        self.seconds += window.seconds;
        if self.answers < rules.trial_answers {
            return Verdict::Open;
        }
        let measured = self.weighted / self.answers as f64;
        if measured <= self.reference_seconds * rules.trial_factor {
            return Verdict::Kept(measured);
        }
        let rate = self.answers as f64 / self.seconds;
        match self.rate {
            Some(before) if rate > before * LOAD_GROWTH => Verdict::Undecided,
            _ => Verdict::Failed(measured),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn second(at: u64) -> Duration {
        Duration::from_secs(at)
    }

    fn run(trial: &mut Trial, median_seconds: f64, answers: u64) -> Verdict {
        let window = Window { answers, seconds: 0.5, median_seconds };
        (1..20)
            .map(|at| trial.window(second(at), &window, &Rules::default()))
            .find(|v| *v != Verdict::Open)
            .unwrap()
    }

    #[test]
    fn a_plan_that_delivers_is_kept_and_one_that_does_not_fails() {
        let trial = || Trial::begin(Duration::ZERO, Some(0.1), 0.05, Some(20.0));
        assert!(matches!(run(&mut trial(), 0.06, 10), Verdict::Kept(_)));
        assert!(matches!(run(&mut trial(), 0.2, 10), Verdict::Failed(_)));
    }

    #[test]
    fn without_load_nothing_is_decided() {
        let mut trial = Trial::begin(Duration::ZERO, Some(0.1), 0.05, Some(20.0));
        assert_eq!(run(&mut trial, 0.2, 0), Verdict::Undecided);
    }

    #[test]
    fn more_load_excuses_a_higher_latency() {
        let mut trial = Trial::begin(Duration::ZERO, Some(0.1), 0.05, Some(5.0));
        assert_eq!(run(&mut trial, 0.2, 10), Verdict::Undecided);
    }

    #[test]
    fn a_plan_that_is_slower_on_purpose_is_judged_by_its_promise() {
        let mut trial = Trial::begin(Duration::ZERO, Some(0.1), 0.3, Some(20.0));
        assert!(matches!(run(&mut trial, 0.32, 10), Verdict::Kept(_)));
    }
}
