//! Computes as slowly as a smaller machine would, for demonstrations and tests on one machine.
//!
//! A machine of a stated speed takes a time that is known for each step; the thread rests until it has passed. Other
//! processes get that time, so several slow workers fit on one machine, and they are as slow on a fast machine as on a
//! slow or busy one, as long as it computes faster than stated. Numbers are the same bits at every pace.

use std::cell::Cell;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// The least rest: the system wakes a thread some 0.06 ms late, so shorter rests are saved up. Not much longer ones: a
/// rest that falls behind a layer is missing where that layer is timed.
const REST_MIN: Duration = Duration::from_micros(60);

/// What the system lets a thread oversleep is made up for in later steps, up to this.
const OVERSLEPT_MAX: Duration = Duration::from_millis(1);

/// Multiply-accumulate operations per second; unset is as fast as this machine is.
static PACE: OnceLock<f64> = OnceLock::new();

thread_local! {
    /// Rest that is still due; negative where the thread overslept.
    static DUE_SECONDS: Cell<f64> = const { Cell::new(0.0) };
}

/// A number that cannot be a pace.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error(
    "a worker cannot compute {0} multiply-accumulate operations per second; give a number from 1e6 to 1e15"
)]
pub struct BadPace(String);

/// Makes this process compute `macs_per_second`; the first call counts.
///
/// # Errors
/// If it is not a number from 1e6 to 1e15.
pub fn configure(macs_per_second: f64) -> Result<(), BadPace> {
    if !(1e6..=1e15).contains(&macs_per_second) {
        return Err(BadPace(macs_per_second.to_string()));
    }
    PACE.get_or_init(|| macs_per_second);
    Ok(())
}

/// A step that has begun.
#[derive(Debug)]
pub struct Pace(Option<(f64, Instant)>);

impl Pace {
    /// Begins a step on this thread.
    pub fn begin() -> Self {
        Self(PACE.get().map(|pace| (*pace, Instant::now())))
    }

    /// Ends it after `macs` operations, and rests until they have taken their time.
    pub fn end(self, macs: u64) {
        let Some((pace, began)) = self.0 else { return };
        // A step that took longer than stated is not made up for: the machine was busy.
        let rest = (macs as f64 / pace - began.elapsed().as_secs_f64()).max(0.0);
        let due = DUE_SECONDS.get() + rest;
        if due < REST_MIN.as_secs_f64() {
            return DUE_SECONDS.set(due);
        }
        let rested = Instant::now();
        std::thread::sleep(Duration::from_secs_f64(due));
        let overslept = rested.elapsed().as_secs_f64() - due;
        DUE_SECONDS.set(-overslept.min(OVERSLEPT_MAX.as_secs_f64()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pace_is_a_speed_that_a_machine_can_have() {
        for pace in [0.5, f64::NAN, 1e20, -1.0] {
            assert!(configure(pace).unwrap_err().to_string().contains("from 1e6"));
        }
    }
}
