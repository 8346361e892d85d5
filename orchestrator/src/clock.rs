//! The two clocks: one that tests may pause, for everything that is decided, and the calendar's.
//!
//! Pure code takes the time as an argument; whoever calls it reads it here.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// The time of the runtime, which a test may have paused.
pub fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// Milliseconds since 1970, or 0 on a machine whose calendar stands before it.
pub fn unix_millis() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_millis() as u64)
}
