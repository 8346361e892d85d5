//! Notices that a worker says nothing any more, long before its connection is given up.
//!
//! A worker acknowledges keep-alives and reports several times a second, whatever it computes. One that is silent for longer
//! than a few of these is most likely dead or cut off. It may also be late, so its silence ends nothing: the supervisor
//! plans without it, which is undone at little cost, while the connection's own time-out decides whether it is lost. Pure.

use std::time::{Duration, Instant};

/// How often the connection is looked at.
pub(super) const LOOK: Duration = Duration::from_millis(50);

/// Two keep-alives of ours and one of the worker's fit in, with a report besides; all of them would have to be lost.
const SILENT: Duration = Duration::from_millis(450);

/// A longer pause between two looks is this machine's own: nobody was heard because nobody listened.
const PAUSE_MAX: Duration = Duration::from_millis(200);

/// What is known of one worker's voice.
#[derive(Debug, Clone, Copy)]
pub(super) struct Voice {
    received: u64,
    heard: Instant,
    looked: Instant,
    silent: bool,
}

/// What has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// It has fallen silent.
    Silent,
    /// It speaks again.
    Heard,
}

impl Voice {
    /// It has just been heard.
    pub(super) const fn new(now: Instant) -> Self {
        Self { received: 0, heard: now, looked: now, silent: false }
    }

    /// So many packets have come from it in all, over a way with this round-trip time.
    pub(super) fn look(&mut self, now: Instant, received: u64, rtt: Duration) -> Option<Change> {
        let paused = now.saturating_duration_since(self.looked) > PAUSE_MAX;
        self.looked = now;
        if received != self.received || paused {
            (self.received, self.heard) = (received, now);
            return std::mem::take(&mut self.silent).then_some(Change::Heard);
        }
        // What is on its way over a long line is not missing yet.
        let is_silent = now.saturating_duration_since(self.heard) >= SILENT + rtt;
        let fell = is_silent && !self.silent;
        self.silent |= fell;
        fell.then_some(Change::Silent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RTT: Duration = Duration::from_millis(20);

    #[test]
    fn silence_is_told_once_and_so_is_its_end() {
        let start = Instant::now();
        let mut voice = Voice::new(start);
        let mut look = |millis, received| voice.look(start + Duration::from_millis(millis), received, RTT);
        assert_eq!((look(50, 1), look(250, 2), look(450, 2), look(600, 2)), (None, None, None, None));
        assert_eq!((look(720, 2), look(770, 2)), (Some(Change::Silent), None));
        assert_eq!((look(820, 3), look(870, 4)), (Some(Change::Heard), None));
    }

    #[test]
    fn a_machine_that_did_not_listen_has_heard_nobody() {
        let start = Instant::now();
        let mut voice = Voice::new(start);
        assert_eq!(voice.look(start + Duration::from_secs(3), 0, RTT), None);
    }
}
