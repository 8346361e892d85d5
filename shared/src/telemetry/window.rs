//! Smallest values of a while. Own load raises round-trip times many times over, so plans rest on minima.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The smallest value of the last one to two spans, in constant memory however many values come.
#[derive(Debug, Clone)]
pub struct RecentMinimum {
    span: Duration,
    began: Option<Instant>,
    current: Option<f64>,
    previous: Option<f64>,
}

impl RecentMinimum {
    /// Nothing seen yet.
    pub const fn new(span: Duration) -> Self {
        Self { span, began: None, current: None, previous: None }
    }

    /// Takes a value.
    pub fn add(&mut self, now: Instant, value: f64) {
        self.turn(now);
        self.current = Some(self.current.map_or(value, |least| least.min(value)));
    }

    /// The smallest of the last one to two spans, if any value came in them.
    pub fn get(&mut self, now: Instant) -> Option<f64> {
        self.turn(now);
        match (self.current, self.previous) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (one, other) => one.or(other),
        }
    }

    fn turn(&mut self, now: Instant) {
        let began = *self.began.get_or_insert(now);
        let passed = now.saturating_duration_since(began);
        if passed >= self.span {
            self.previous = self.current.take().filter(|_| passed < 2 * self.span);
            self.began = Some(now);
        }
    }
}

/// The smallest value of exactly one window, for values that come seldom.
///
/// Keeps only values that may still become the smallest: rising ones, oldest first.
#[derive(Debug, Clone)]
pub struct WindowedMinimum {
    window: Duration,
    rising: VecDeque<(Instant, f64)>,
}

impl WindowedMinimum {
    /// Nothing seen yet.
    pub const fn new(window: Duration) -> Self {
        Self { window, rising: VecDeque::new() }
    }

    /// Takes a value that was true at `at`.
    pub fn add(&mut self, at: Instant, value: f64) {
        while self.rising.back().is_some_and(|&(_, known)| known >= value) {
            self.rising.pop_back();
        }
        self.rising.push_back((at, value));
        self.forget(at);
    }

    /// The smallest of the window that ends at `now`. The newest value is kept however old it is; its age is another
    /// matter.
    pub fn get(&self, now: Instant) -> Option<f64> {
        let fresh = |at: Instant| now.saturating_duration_since(at) <= self.window;
        let within = self.rising.iter().find(|&&(at, _)| fresh(at));
        within.or(self.rising.back()).map(|&(_, value)| value)
    }

    fn forget(&mut self, now: Instant) {
        while self.rising.len() > 1
            && self.rising.front().is_some_and(|&(at, _)| now.saturating_duration_since(at) > self.window)
        {
            self.rising.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_recent_minimum_forgets_after_two_spans() {
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        let mut minimum = RecentMinimum::new(second);
        minimum.add(start, 5.0);
        minimum.add(start + second / 2, 7.0);
        assert_eq!(minimum.get(start + second / 2), Some(5.0));
        minimum.add(start + second, 9.0);
        assert_eq!(minimum.get(start + second), Some(5.0));
        assert_eq!(minimum.get(start + 2 * second), Some(9.0));
        assert_eq!(minimum.get(start + 9 * second), None);
    }

    proptest! {
        #[test]
        fn the_windowed_minimum_is_the_smallest_in_the_window(
            values in proptest::collection::vec((0u64..40, 0u32..100), 1..60),
        ) {
            let (start, window) = (Instant::now(), Duration::from_millis(100));
            let (mut minimum, mut at, mut all) = (WindowedMinimum::new(window), start, Vec::new());
            for (gap, value) in values {
                at += Duration::from_millis(gap);
                minimum.add(at, f64::from(value));
                all.push((at, value));
                let within = all.iter().filter(|(then, _)| at.duration_since(*then) <= window);
                let expected = within.map(|(_, value)| *value).min().map(f64::from);
                prop_assert_eq!(minimum.get(at), expected);
            }
        }
    }
}
