//! How long answers take, plan by plan, in windows: what re-planning compares its predictions with.
//!
//! Pure. Only answers of a first attempt count: a retry's time is that of a failure, which counts itself.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use weir_shared::plan::PlanId;

use crate::replan::Window;

/// Times kept for one window; more would only make the median finer.
const KEPT: usize = 512;

/// What was counted in one stretch of time.
#[derive(Debug, Clone, PartialEq)]
pub struct Counted {
    /// Its length in seconds.
    pub seconds: f64,
    /// Requests that asked to be admitted.
    pub arrivals: u64,
    /// Images in them.
    pub samples: u64,
    /// What was counted of each plan of which anything was.
    pub plans: Vec<(PlanId, Window)>,
    /// How long answers took, of all plans; at most 512 of each.
    pub times: Vec<Duration>,
}

impl Counted {
    /// What was counted of `plan`; that nothing was, is something to know too.
    pub fn of(&self, plan: PlanId) -> Window {
        let idle = Window { arrivals: self.arrivals, seconds: self.seconds, ..Window::default() };
        self.plans.iter().find(|(counted, _)| *counted == plan).map_or(idle, |(_, window)| *window)
    }
}

/// The windows under way.
#[derive(Debug)]
pub(super) struct Windows {
    since: Instant,
    arrivals: u64,
    samples: u64,
    plans: BTreeMap<PlanId, Answers>,
}

#[derive(Debug, Default)]
struct Answers {
    count: u64,
    failures: u64,
    times: Vec<Duration>,
}

impl Windows {
    pub(super) const fn new(now: Instant) -> Self {
        Self { since: now, arrivals: 0, samples: 0, plans: BTreeMap::new() }
    }

    /// A request of so many images asks to be admitted.
    pub(super) fn arrived(&mut self, batch: u16) {
        self.arrivals += 1;
        self.samples += u64::from(batch);
    }

    /// An answer of `plan` took so long from its send to its logits.
    pub(super) fn answered(&mut self, plan: PlanId, took: Duration) {
        let answers = self.plans.entry(plan).or_default();
        answers.count += 1;
        if answers.times.len() < KEPT {
            answers.times.push(took);
        }
    }

    /// An attempt on `plan` has ended without an answer.
    pub(super) fn failed(&mut self, plan: PlanId) {
        self.plans.entry(plan).or_default().failures += 1;
    }

    /// Ends the windows and begins new ones.
    pub(super) fn take(&mut self, now: Instant) -> Counted {
        let seconds = now.saturating_duration_since(self.since).as_secs_f64();
        self.since = now;
        let (arrivals, samples) = (std::mem::take(&mut self.arrivals), std::mem::take(&mut self.samples));
        let window = |mut answers: Answers| {
            answers.times.sort_unstable();
            let median = answers.times.get(answers.times.len() / 2).copied().unwrap_or_default();
            let Answers { count, failures, .. } = answers;
            Window { answers: count, arrivals, failures, seconds, median_seconds: median.as_secs_f64() }
        };
        let plans = std::mem::take(&mut self.plans);
        let times = plans.values().flat_map(|answers| answers.times.iter().copied()).collect();
        let plans = plans.into_iter().map(|(plan, answers)| (plan, window(answers))).collect();
        Counted { seconds, arrivals, samples, plans, times }
    }
}

#[cfg(test)]
mod tests {
    use weir_shared::ids::{Epoch, Term};

    use super::*;

    #[test]
    fn each_plan_has_its_own_window_and_it_begins_anew() {
        let (now, plan) = (Instant::now(), |epoch| PlanId { term: Term(1), epoch: Epoch(epoch) });
        let mut windows = Windows::new(now);
        for millis in [30, 10, 20] {
            windows.answered(plan(1), Duration::from_millis(millis));
        }
        windows.failed(plan(2));
        windows.arrived(4);
        let found = windows.take(now + Duration::from_secs(2));
        let idle = Window { arrivals: 1, seconds: 2.0, ..Window::default() };
        assert_eq!(found.of(plan(1)), Window { answers: 3, median_seconds: 0.02, ..idle });
        assert_eq!((found.of(plan(2)), found.of(plan(3))), (Window { failures: 1, ..idle }, idle));
        assert_eq!((found.plans.len(), found.arrivals, found.samples), (2, 1, 4));
        let next = windows.take(now + Duration::from_secs(3));
        assert_eq!(next, Counted { seconds: 1.0, arrivals: 0, samples: 0, plans: vec![], times: vec![] });
    }
}
