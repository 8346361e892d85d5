//! Computes as slowly as a smaller machine would, for demonstrations and tests on one machine.
//!
//! After each step the thread rests for a multiple of the processor time that the step took. Other processes
//! get that time, so several slow workers fit on one machine, and since processor time is what is multiplied, a
//! busy machine makes a slow worker no slower still. Numbers are the same bits at every pace.

use std::cell::Cell;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// The least rest: the system wakes a thread some 0.06 ms late, so shorter rests are saved up. Not much longer ones: a
/// rest that falls behind a layer is missing where that layer is timed.
const REST_MIN: Duration = Duration::from_micros(60);

/// How many times slower than this machine; unset is as fast as it is.
static SLOWDOWN: OnceLock<f64> = OnceLock::new();

thread_local! {
    /// Rest that is still due; negative where the system woke the thread late.
    static DUE_SECONDS: Cell<f64> = const { Cell::new(0.0) };
}

/// A number that cannot be a pace.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("a worker cannot compute {0} times slower; give a number from 1 (as fast as this machine) to 1000")]
pub struct BadSlowdown(String);

/// Makes this process compute `slowdown` times slower; the first call counts.
///
/// # Errors
/// If it is not a number from 1 to 1000.
pub fn configure(slowdown: f64) -> Result<(), BadSlowdown> {
    if !(1.0..=1000.0).contains(&slowdown) {
        return Err(BadSlowdown(slowdown.to_string()));
    }
    if slowdown > 1.0 {
        SLOWDOWN.get_or_init(|| slowdown);
    }
    Ok(())
}

/// A step that has begun.
#[derive(Debug)]
pub struct Pace(Option<(f64, Duration)>);

impl Pace {
    /// Begins a step on this thread.
    pub fn begin() -> Self {
        Self(SLOWDOWN.get().map(|slowdown| (*slowdown, processor_time())))
    }

    /// Ends it, and rests for what it owes.
    pub fn end(self) {
        let Some((slowdown, began)) = self.0 else { return };
        let used = processor_time().saturating_sub(began).as_secs_f64();
        let due = DUE_SECONDS.get() + used * (slowdown - 1.0);
        if due < REST_MIN.as_secs_f64() {
            return DUE_SECONDS.set(due);
        }
        let rested = Instant::now();
        std::thread::sleep(Duration::from_secs_f64(due));
        DUE_SECONDS.set(due - rested.elapsed().as_secs_f64());
    }
}

fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pace_is_a_number_from_one() {
        for slowdown in [0.5, f64::NAN, 1e9, -1.0] {
            assert!(configure(slowdown).unwrap_err().to_string().contains("from 1"));
        }
        assert_eq!(configure(1.0), Ok(()));
    }
}
