//! How answers went in the last seconds, for people. Pure.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::gateway::Counted;

/// What is shown is of the last seconds: long enough for a 99th percentile at some requests a second, short enough to
/// show a change.
const SPAN_SECONDS: f64 = 10.0;

/// Answers of the last seconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AnswerRates {
    /// Answers per second.
    pub per_second: f64,
    /// Half took at most so long, from send to logits.
    pub latency_p50_seconds: f64,
    /// 99 of 100 took at most so long.
    pub latency_p99_seconds: f64,
    /// Attempts per second that ended without an answer.
    pub failed_per_second: f64,
}

/// The last windows.
#[derive(Debug, Default)]
pub(super) struct Answers(VecDeque<Window>);

#[derive(Debug)]
struct Window {
    seconds: f64,
    answers: u64,
    failures: u64,
    times: Vec<Duration>,
}

impl Answers {
    pub(super) fn fold(&mut self, counted: &Counted) {
        let (answers, failures) = counted.plans.iter().fold((0, 0), |(answers, failures), (_, window)| {
            (answers + window.answers, failures + window.failures)
        });
        self.0.push_back(Window {
            seconds: counted.seconds,
            answers,
            failures,
            times: counted.times.clone(),
        });
        while self.seconds() > SPAN_SECONDS && self.0.len() > 1 {
            self.0.pop_front();
        }
    }

    fn seconds(&self) -> f64 {
        self.0.iter().map(|window| window.seconds).sum()
    }

    /// None where nothing was answered.
    pub(super) fn rates(&self) -> Option<AnswerRates> {
        let mut times: Vec<_> = self.0.iter().flat_map(|window| window.times.iter().copied()).collect();
        times.sort_unstable();
        let at = |share: f64| times.get(((times.len() as f64 * share) as usize).min(times.len().max(1) - 1));
        let seconds = self.seconds().max(1e-3);
        let rate = |of: fn(&Window) -> u64| self.0.iter().map(of).sum::<u64>() as f64 / seconds;
        Some(AnswerRates {
            per_second: rate(|window| window.answers),
            latency_p50_seconds: at(0.5)?.as_secs_f64(),
            latency_p99_seconds: at(0.99)?.as_secs_f64(),
            failed_per_second: rate(|window| window.failures),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_seconds_are_shown_and_what_is_older_is_forgotten() {
        let window = |millis: u64| Counted {
            seconds: 1.0,
            arrivals: 1,
            samples: 1,
            plans: vec![(
                weir_shared::plan::PlanId {
                    term: weir_shared::ids::Term(1),
                    epoch: weir_shared::ids::Epoch(1),
                },
                crate::replan::Window { answers: 2, ..Default::default() },
            )],
            times: vec![Duration::from_millis(millis); 2],
        };
        let mut answers = Answers::default();
        assert_eq!(answers.rates(), None);
        answers.fold(&window(500));
        (0..10).for_each(|_| answers.fold(&window(10)));
        let rates = answers.rates().unwrap();
        assert_eq!(
            (rates.per_second, rates.latency_p50_seconds, rates.latency_p99_seconds),
            (2.0, 0.01, 0.01)
        );
    }
}
