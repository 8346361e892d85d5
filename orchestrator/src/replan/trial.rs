//! A new plan on trial: whether it delivers, by windows that carried load.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::rules::Rules;

/// What was counted of the running plan over a while.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// Answers, of first attempts only.
    pub answers: u64,
    /// Requests that asked to be admitted meanwhile.
    #[serde(default)]
    pub arrivals: u64,
    /// Attempts that ended without an answer: a worker gave them up, or their time was over.
    #[serde(default)]
    pub failures: u64,
    /// Length of the window.
    pub seconds: f64,
    /// The median of the answers' times from the first send to the logits; 0 where none came.
    pub median_seconds: f64,
}

impl Window {
    /// Whether its figures can be.
    pub fn is_sane(&self) -> bool {
        let positive = |seconds: f64| seconds.is_finite() && seconds > 0.0;
        positive(self.seconds) && (self.answers == 0 || positive(self.median_seconds))
    }

    /// Whether nothing happened in it.
    pub const fn is_idle(&self) -> bool {
        self.answers == 0 && self.arrivals == 0 && self.failures == 0
    }

    /// Requests per second that were offered. Answers stand for them in traces that did not count arrivals.
    pub fn rate(&self) -> f64 {
        self.arrivals.max(self.answers) as f64 / self.seconds
    }
}

/// Windows in this time after a trial's first are partly the old plan's making: its backlog, cold caches.
const SETTLE: Duration = Duration::from_millis(300);

/// Load that grew by more than this explains failures and a higher latency.
const LOAD_GROWTH: f64 = 1.25;

/// A plan on which more than this share of attempts fails does not deliver.
const FAILURE_SHARE: f64 = 0.25;

/// Fewer failures than this are chance, where the trial's time ends before it has its answers.
const FAILURES_MIN: u64 = 3;

/// The trial of one plan, or the mere measuring of one that nothing is to follow from.
#[derive(Debug, Clone, PartialEq)]
pub struct Trial {
    judged: bool,
    /// When its first window began: from then on no other plan had requests.
    since: Option<Duration>,
    /// Seconds that may not be exceeded by the stated factor.
    reference_seconds: f64,
    /// Requests per second before.
    rate: Option<f64>,
    counted: Window,
}

/// How a trial stands.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Verdict {
    /// More answers are needed.
    Open,
    /// It delivers; the mean of the windows' medians.
    Kept(f64),
    /// It does not.
    Failed(Fault),
    /// Too few answers came, or the load is another one.
    Undecided,
}

/// Why a plan does not deliver.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Fault {
    /// The mean of the windows' medians is more than the old plan took, and than was promised.
    Slow(f64),
    /// So many of so many attempts failed.
    Failing(u64, u64),
}

impl Fault {
    /// The latency that was measured, where there was one.
    pub const fn seconds(self) -> Option<f64> {
        match self {
            Self::Slow(seconds) => Some(seconds),
            Self::Failing(..) => None,
        }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Slow(seconds) => write!(f, "answers took {:.1} ms on trial", seconds * 1e3),
            Self::Failing(failures, attempts) => {
                write!(f, "{failures} of {attempts} attempts failed on trial")
            }
        }
    }
}

impl Trial {
    /// Begins with its first window. `old_seconds` is what the old plan had or would have, `predicted_seconds` what the new
    /// one promised: it is judged by the larger, because a plan may be slower on purpose. `rate` are requests per second
    /// before.
    pub fn begin(old_seconds: Option<f64>, predicted_seconds: f64, rate: Option<f64>) -> Self {
        let reference_seconds = old_seconds.unwrap_or(0.0).max(predicted_seconds);
        Self { judged: true, since: None, reference_seconds, rate, counted: Window::default() }
    }

    /// Measures a plan that runs for another reason than that it is better: it cannot fail.
    pub fn measure() -> Self {
        let (reference_seconds, counted) = (f64::INFINITY, Window::default());
        Self { judged: false, since: None, reference_seconds, rate: None, counted }
    }

    /// Whether something follows from it.
    pub const fn is_judged(&self) -> bool {
        self.judged
    }

    /// Takes a window that ended `at`, in which no other plan had requests.
    pub fn window(&mut self, at: Duration, window: &Window, rules: &Rules) -> Verdict {
        let began = at.saturating_sub(Duration::from_secs_f64(window.seconds.clamp(0.0, 3600.0)));
        let since = *self.since.get_or_insert(began);
        let all = &mut self.counted;
        if began >= since + SETTLE {
            // The sum of medians here, each times its answers.
            all.median_seconds += window.median_seconds * window.answers as f64;
            all.answers += window.answers;
            all.arrivals += window.arrivals.max(window.answers);
            all.failures += window.failures;
            all.seconds += window.seconds;
        }
        let attempts = all.answers + all.failures;
        let over = at >= since + Duration::from_millis(rules.trial_max_ms);
        let enough = attempts >= rules.trial_answers;
        if !enough && !over {
            return Verdict::Open;
        }
        if !self.judged {
            let measured = enough && all.answers > 0;
            return if measured {
                Verdict::Kept(all.median_seconds / all.answers as f64)
            } else {
                Verdict::Undecided
            };
        }
        let fails = all.failures as f64 > FAILURE_SHARE * attempts as f64;
        let fault = if fails && (enough || all.failures >= FAILURES_MIN) {
            Fault::Failing(all.failures, attempts)
        } else if enough {
            let measured = all.median_seconds / all.answers as f64;
            if measured <= self.reference_seconds * rules.trial_factor {
                return Verdict::Kept(measured);
            }
            Fault::Slow(measured)
        } else {
            return Verdict::Undecided;
        };
        match self.rate {
            Some(before) if all.rate() > before * LOAD_GROWTH => Verdict::Undecided,
            _ => Verdict::Failed(fault),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn window(answers: u64, failures: u64, median_seconds: f64) -> Window {
        Window { answers, arrivals: 10, failures, seconds: 0.5, median_seconds }
    }

    fn run(trial: &mut Trial, window: Window) -> (u64, Verdict) {
        (1..60)
            .map(|half| {
                let at = Duration::from_millis(500 * half);
                (half, trial.window(at, &window, &Rules::default()))
            })
            .find(|(_, verdict)| *verdict != Verdict::Open)
            .unwrap()
    }

    fn trial(rate: f64) -> Trial {
        Trial::begin(Some(0.1), 0.05, Some(rate))
    }

    #[test]
    fn a_plan_that_delivers_is_kept_and_one_that_does_not_fails() {
        assert!(matches!(run(&mut trial(20.0), window(10, 0, 0.06)), (3, Verdict::Kept(_))));
        let slow = run(&mut trial(20.0), window(10, 0, 0.2)).1;
        assert!(matches!(slow, Verdict::Failed(Fault::Slow(_))));
    }

    #[test]
    fn a_plan_that_answers_nobody_fails_and_one_lost_attempt_is_chance() {
        assert_eq!(run(&mut trial(20.0), window(0, 10, 0.0)).1, Verdict::Failed(Fault::Failing(20, 20)));
        assert!(matches!(run(&mut trial(20.0), window(9, 1, 0.06)).1, Verdict::Kept(_)));
        let few = |failures| {
            let mut trial = trial(20.0);
            trial.window(Duration::from_secs(1), &window(0, 0, 0.0), &Rules::default());
            trial.window(Duration::from_secs(2), &window(0, failures, 0.0), &Rules::default());
            trial.window(Duration::from_secs(20), &window(0, 0, 0.0), &Rules::default())
        };
        assert_eq!(few(2), Verdict::Undecided);
        assert_eq!(few(3), Verdict::Failed(Fault::Failing(3, 3)));
    }

    #[test]
    fn what_is_only_measured_cannot_fail() {
        assert_eq!(run(&mut Trial::measure(), window(0, 10, 0.0)).1, Verdict::Undecided);
        assert_eq!(run(&mut Trial::measure(), window(10, 1, 9.0)).1, Verdict::Kept(9.0));
    }

    #[test]
    fn without_load_nothing_is_decided_and_the_trial_ends() {
        assert_eq!(run(&mut trial(20.0), window(0, 0, 0.0)).1, Verdict::Undecided);
    }

    #[test]
    fn more_arrivals_excuse_a_higher_latency_and_more_answers_do_not() {
        assert_eq!(run(&mut trial(5.0), window(10, 0, 0.2)).1, Verdict::Undecided);
        assert_eq!(run(&mut trial(5.0), window(0, 10, 0.0)).1, Verdict::Undecided);
        // Before, 20 a second were asked and a few answered; now all are, but late.
        assert!(matches!(run(&mut trial(20.0), window(10, 0, 0.2)).1, Verdict::Failed(_)));
    }

    #[test]
    fn a_plan_that_is_slower_on_purpose_is_judged_by_its_promise() {
        let mut trial = Trial::begin(Some(0.1), 0.3, Some(20.0));
        assert!(matches!(run(&mut trial, window(10, 0, 0.32)).1, Verdict::Kept(_)));
    }
}
