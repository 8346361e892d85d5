//! The load that is offered, as plans should see it: smoothed, and moved only when it has truly changed.

use std::time::Duration;

/// Arrivals are averaged over this time.
const SPAN: Duration = Duration::from_secs(2);

/// The stated load follows at once when the average has left it by this share. Arrivals that come at random scatter by about
/// as much at five a second.
const CHANGE: f64 = 0.3;

/// A step is stated on its way up or down. What it has come to is stated this long behind it, as the mean since then, and
/// again each time that twice as long has passed: the mean of more arrivals is nearer to the truth.
const SETTLED: Duration = Duration::from_secs(4);

/// Then older arrivals count less, so that a load that creeps is followed within some minutes.
const SPAN_MAX: Duration = Duration::from_secs(60);

/// Below this rate, in requests per second, nothing is offered.
const IDLE: f64 = 0.05;

/// Folds counts of arrivals.
#[derive(Debug, Clone, Default)]
pub struct Load {
    average: f64,
    stated: f64,
    since: Since,
    samples: f64,
    batch: u16,
}

/// What has arrived since the stated load followed a step.
#[derive(Debug, Clone, Copy, Default)]
struct Since {
    seconds: f64,
    arrivals: f64,
    /// When the mean is stated next.
    due_seconds: f64,
}

impl Load {
    /// So many requests with so many images arrived in so many seconds.
    pub fn fold(&mut self, seconds: f64, arrivals: u64, samples: u64) {
        if !(seconds.is_finite() && seconds > 0.0) {
            return;
        }
        let share = 1.0 - (-seconds / SPAN.as_secs_f64()).exp();
        self.average += (arrivals as f64 / seconds - self.average) * share;
        self.since.seconds += seconds;
        self.since.arrivals += arrivals as f64;
        if self.average < IDLE {
            self.stated = 0.0;
        } else if (self.average - self.stated).abs() > CHANGE * self.stated {
            self.stated = self.average;
            self.since = Since { due_seconds: SETTLED.as_secs_f64(), ..Since::default() };
        } else if self.since.seconds >= self.since.due_seconds {
            self.stated = self.since.arrivals / self.since.seconds;
            if self.since.seconds > SPAN_MAX.as_secs_f64() {
                self.since.seconds /= 2.0;
                self.since.arrivals /= 2.0;
            }
            self.since.due_seconds = 2.0 * self.since.seconds;
        }
        if arrivals > 0 {
            let batch = samples as f64 / arrivals as f64;
            self.samples =
                if self.batch == 0 { batch } else { self.samples + (batch - self.samples) * share };
            if (self.samples - f64::from(self.batch)).abs() > 0.75 {
                self.batch = (self.samples.round() as u16).max(1);
            }
        }
    }

    /// Requests per second.
    pub const fn requests_per_second(&self) -> f64 {
        self.stated
    }

    /// Images in one request, at least 1.
    pub fn batch(&self) -> u16 {
        self.batch.max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_step_has_come_to_is_stated_soon_and_then_seldom() {
        let mut load = Load::default();
        (0..120).for_each(|_| load.fold(0.5, 3, 3));
        assert!((load.requests_per_second() - 6.0).abs() < 1e-9, "{}", load.requests_per_second());
        let mut stated = Vec::new();
        for _ in 0..240 {
            load.fold(0.5, 6, 6);
            stated.push(load.requests_per_second());
        }
        let settled = stated.iter().position(|rate| (rate - 12.0).abs() < 1e-9);
        assert!(settled.is_some_and(|at| at <= 20), "{settled:?}");
        stated.dedup();
        assert!(stated.len() <= 6, "{stated:?}");
    }

    #[test]
    fn scatter_is_not_a_change_and_doubling_is() {
        let mut load = Load::default();
        assert_eq!((load.requests_per_second(), load.batch()), (0.0, 1));
        (0..40).for_each(|_| load.fold(0.5, 5, 20));
        let steady = load.requests_per_second();
        assert!((6.0..=10.0).contains(&steady) && load.batch() == 4, "{steady}");
        [4, 6, 5, 7, 3, 5, 6, 4].into_iter().for_each(|arrivals| load.fold(0.5, arrivals, 4 * arrivals));
        let scattered = load.requests_per_second();
        assert!(scattered == steady || (scattered - 10.0).abs() < 3.0, "{scattered}");
        (0..10).for_each(|_| load.fold(0.5, 10, 40));
        assert!(load.requests_per_second() > 13.0);
        (0..60).for_each(|_| load.fold(0.5, 0, 0));
        assert_eq!((load.requests_per_second(), load.batch()), (0.0, 4));
        load.fold(f64::NAN, 1, 1);
        assert_eq!(load.requests_per_second(), 0.0);
    }
}
