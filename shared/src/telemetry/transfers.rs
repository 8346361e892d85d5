//! Goodput of a link from its real transfers.
//!
//! What counts is a *busy period*: from the first byte written on an idle link until everything is acknowledged. While it
//! lasts the sender always has something outstanding, so bytes over time is the link's rate, whatever the own load is;
//! single transfers would seem slow when they merely wait for each other. The first round trip of a period passes before
//! the first acknowledgement can come, so it is taken off. A long period is cut into parts, so that a link that collapses
//! in the middle of a transfer shows it at once and not when the transfer ends.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::GoodputReading;

/// Less says more about the round-trip time than about the rate.
const BYTES_MIN: u64 = 12 * 1024;

/// Less than this under way for a whole part of a busy period is too little to tell a slow link from a lost packet.
const PART_BYTES_MIN: u64 = 4 * 1024;

/// A busy period is cut after this long: the report period is of this size, so each report has news.
const PART: Duration = Duration::from_millis(200);

/// The receiver may hold back the acknowledgement of a last lone packet for 25 ms (RFC 9000, section 13.2.1), which is no
/// time of the link's: the last two packets are not waited for.
const TAIL_BYTES: u64 = 2 * PACKET_BYTES;

/// A packet of QUIC on Ethernet: 1500 bytes without the headers of IPv6 and UDP. A smaller one only makes this a safer tail.
const PACKET_BYTES: u64 = 1452;

/// Share of a packet that is useful: some 35 of 1452 bytes are the packet's number, the stream's frame and the cipher's tag.
/// What is acknowledged is counted with them.
const USEFUL: f64 = 0.975;

/// Samples of the last second compete for the largest, and always this many, however old: one transfer may have been
/// held up by something else than the link, but a link that has collapsed must not look fast for long.
const RECENT: Duration = Duration::from_secs(1);
const KEPT: usize = 3;

/// So many samples in a row that are below the largest by this factor are a collapse: older ones do not count any more.
const COLLAPSED_IN_A_ROW: usize = 2;
const COLLAPSE: f64 = 4.0;

/// The transfers of one link.
#[derive(Debug, Clone, Default)]
pub struct Transfers {
    outstanding: u32,
    busy: Option<Busy>,
    recent: VecDeque<(Instant, f64)>,
    samples: u64,
    collapsed: bool,
}

#[derive(Debug, Clone, Copy)]
struct Busy {
    since: Instant,
    /// What the connection's acknowledged bytes were then.
    acked: u64,
    /// Useful bytes that were written since then, or before and not acknowledged.
    bytes: u64,
    /// Whether the first round trip is in it.
    first: bool,
}

impl Transfers {
    /// A transfer of so many useful bytes begins; the connection has seen `acked` bytes acknowledged so far.
    pub fn begin(&mut self, now: Instant, bytes: u64, acked: u64) {
        self.outstanding += 1;
        match &mut self.busy {
            Some(busy) if acked.saturating_sub(busy.acked) < busy.bytes => busy.bytes += bytes,
            // Where all is acknowledged the link was idle, though nobody may have said so yet.
            idle => *idle = Some(Busy { since: now, acked, bytes, first: true }),
        }
    }

    /// A transfer was acknowledged, or has failed. `when_acked` says when the connection had so many bytes acknowledged.
    pub fn end(
        &mut self,
        now: Instant,
        rtt_minimum: Duration,
        when_acked: impl FnOnce(u64) -> Option<Instant>,
    ) {
        self.outstanding = self.outstanding.saturating_sub(1);
        if self.outstanding > 0 {
            return;
        }
        let Some(busy) = self.busy.take().filter(|busy| busy.bytes >= BYTES_MIN) else { return };
        let bytes = busy.bytes - TAIL_BYTES;
        let done = when_acked(busy.acked + bytes).unwrap_or(now);
        self.sample(now, &busy, bytes, done, rtt_minimum);
    }

    /// A probe of so many bytes was acknowledged on a connection of its own. It stands for itself, whatever was known before,
    /// unless transfers large enough to be measured run meanwhile: then it had a part of the link only, and is one sample of
    /// several.
    pub fn probed(
        &mut self,
        now: Instant,
        began: Instant,
        bytes: u64,
        rtt_minimum: Duration,
        when_acked: impl FnOnce(u64) -> Option<Instant>,
    ) {
        if bytes < BYTES_MIN {
            return;
        }
        let alone = self.busy.is_none_or(|busy| busy.bytes < BYTES_MIN);
        let (probe, bytes) = (Busy { since: began, acked: 0, bytes, first: true }, bytes - TAIL_BYTES);
        let done = when_acked(bytes).unwrap_or(now);
        self.sample(now, &probe, bytes, done, rtt_minimum);
        if alone {
            self.recent.drain(..self.recent.len().saturating_sub(1));
        }
    }

    /// A look in between, at every report: cuts a long busy period.
    pub fn look(&mut self, now: Instant, rtt_minimum: Duration, acked: u64) {
        // Forty bytes of logits that wait for a lost packet say nothing about the rate.
        let Some(busy) = self.busy.filter(|busy| busy.bytes >= PART_BYTES_MIN) else { return };
        if now.saturating_duration_since(busy.since) < PART + rtt_minimum {
            return;
        }
        let moved = acked.saturating_sub(busy.acked);
        // Silence is no rate: what is under way may be on a way that has become longer, or the peer be gone.
        if moved == 0 {
            return;
        }
        // What is acknowledged holds headers and what was sent twice; the useful part is never more than was written.
        let useful = moved.min(busy.bytes);
        self.sample(now, &busy, useful, now, rtt_minimum);
        self.busy = Some(Busy { since: now, acked, bytes: busy.bytes - useful, first: false });
    }

    /// Whether the rate has collapsed since this was asked last.
    pub fn take_collapse(&mut self) -> bool {
        std::mem::take(&mut self.collapsed)
    }

    /// The connection is gone: what was outstanding says nothing.
    pub fn reset(&mut self) {
        (self.outstanding, self.busy) = (0, None);
    }

    /// What is known.
    pub fn reading(&self, now: Instant) -> Option<GoodputReading> {
        // The newest of the largest: a slow sample behind it does not make it newer.
        let (at, largest) = *self.recent.iter().max_by(|a, b| a.1.total_cmp(&b.1))?;
        let age = now.saturating_duration_since(at);
        Some(GoodputReading {
            bytes_per_second: largest,
            samples: self.samples,
            age_seconds: age.as_secs_f64(),
        })
    }

    fn sample(&mut self, now: Instant, busy: &Busy, bytes: u64, done: Instant, rtt_minimum: Duration) {
        let took = done.saturating_duration_since(busy.since);
        // A quarter is kept where the round trip is nearly all of it: then the rate is high, and not known better. The first
        // packet's own time on the link is a part of the round trip, so that packet does not count.
        let (took, bytes) = if busy.first {
            (took.saturating_sub(rtt_minimum).max(took / 4), bytes.saturating_sub(PACKET_BYTES))
        } else {
            (took, bytes)
        };
        // A microsecond keeps the division finite.
        let rate = USEFUL * bytes as f64 / took.as_secs_f64().max(1e-6);
        self.recent.push_back((now, rate));
        self.samples += 1;
        let stale = |&(at, _): &(Instant, f64)| now.saturating_duration_since(at) > RECENT;
        while self.recent.len() > KEPT && self.recent.front().is_some_and(stale) {
            self.recent.pop_front();
        }
        let largest = self.recent.iter().map(|&(_, rate)| rate).fold(0.0, f64::max);
        let newest = self.recent.len().saturating_sub(COLLAPSED_IN_A_ROW);
        let collapsed = self.recent.iter().skip(newest).all(|&(_, rate)| rate * COLLAPSE < largest);
        if newest > 0 && collapsed {
            self.recent.drain(..newest);
            self.collapsed = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RTT: Duration = Duration::from_millis(20);

    /// 100,000 bytes but one packet in 100 ms, of which a part is useful.
    const LESS_A_PACKET: f64 = USEFUL * 985_480.0;

    fn rate(transfers: &Transfers, now: Instant) -> f64 {
        transfers.reading(now).unwrap().bytes_per_second
    }

    fn after(start: Instant, millis: u64) -> Instant {
        start + Duration::from_millis(millis)
    }

    #[test]
    fn a_few_bytes_that_take_long_say_nothing_about_the_rate() {
        let (mut transfers, start) = (Transfers::default(), Instant::now());
        transfers.begin(start, 40, 0);
        transfers.look(start + Duration::from_secs(1), RTT, 0);
        transfers.end(start + Duration::from_secs(1), RTT, |_| None);
        assert_eq!(transfers.reading(start + Duration::from_secs(1)), None);
    }

    #[test]
    fn one_transfer_without_its_round_trip() {
        let (mut transfers, start) = (Transfers::default(), Instant::now());
        transfers.begin(start, 102_904, 0);
        // 100,000 bytes are there after 100 ms; the tail's acknowledgement is late.
        transfers.end(after(start, 145), RTT, |bytes| {
            assert_eq!(bytes, 100_000);
            Some(after(start, 120))
        });
        assert!((rate(&transfers, start) - LESS_A_PACKET).abs() < 1.0);
    }

    #[test]
    fn transfers_that_wait_for_each_other_are_one() {
        let (mut transfers, start) = (Transfers::default(), Instant::now());
        transfers.begin(start, 50_000, 0);
        transfers.begin(after(start, 1), 52_904, 0);
        transfers.end(after(start, 70), RTT, |_| None);
        assert!(transfers.reading(start).is_none());
        transfers.end(after(start, 120), RTT, |_| None);
        assert!((rate(&transfers, start) - LESS_A_PACKET).abs() < 1.0);
    }

    #[test]
    fn a_collapse_shows_before_the_transfer_ends() {
        let (mut transfers, start) = (Transfers::default(), Instant::now());
        for i in 0..4 {
            let at = after(start, 300 * i);
            transfers.begin(at, 102_904, 0);
            transfers.end(at + Duration::from_millis(120), RTT, |_| None);
        }
        let at = after(start, 1500);
        transfers.begin(at, 1_000_000, 0);
        for i in 1..=8 {
            transfers.look(at + Duration::from_millis(250 * i), RTT, 25_000 * i);
        }
        let now = at + Duration::from_secs(2);
        assert!((rate(&transfers, now) - 1e5).abs() < 1e4, "{}", rate(&transfers, now));
    }

    #[test]
    fn two_slow_parts_in_a_row_are_enough() {
        let (mut transfers, start) = (Transfers::default(), Instant::now());
        for i in 0..3 {
            let at = after(start, 50 * i);
            transfers.begin(at, 102_904, 0);
            transfers.end(at + Duration::from_millis(30), RTT, |_| None);
        }
        let at = after(start, 200);
        transfers.begin(at, 1_000_000, 0);
        transfers.look(after(start, 450), RTT, 12_500);
        assert!(rate(&transfers, after(start, 450)) > 1e6, "one may have been held up");
        transfers.look(after(start, 700), RTT, 25_000);
        assert!(rate(&transfers, after(start, 700)) < 1e5);
        assert!(transfers.take_collapse() && !transfers.take_collapse());
    }

    #[test]
    fn a_transfer_whose_end_is_never_told_does_not_make_idle_time_busy() {
        let (mut transfers, start) = (Transfers::default(), Instant::now());
        transfers.begin(start, 40, 0);
        for i in 0..1000 {
            let at = after(start, 100 * i);
            transfers.begin(at, 40, 100 * (i + 1));
            transfers.look(after(start, 100 * i + 50), RTT, 100 * (i + 2));
            transfers.end(after(start, 100 * i + 60), RTT, |_| None);
        }
        assert!(transfers.reading(after(start, 100_000)).is_none());
    }

    #[test]
    fn a_probe_beside_little_ones_is_believed_at_once_and_one_beside_large_ones_is_one_of_several() {
        let (mut transfers, start) = (Transfers::default(), Instant::now());
        let mut probe = |beside: u64, millis: u64| {
            transfers.begin(start, beside, 0);
            transfers.probed(after(start, millis), start, 102_904, RTT, |_| None);
            rate(&transfers, after(start, millis))
        };
        assert!((probe(4_000, 120) - LESS_A_PACKET).abs() < 1.0);
        assert!((probe(4_000, 220) - LESS_A_PACKET / 2.0).abs() < 1.0);
        assert!((probe(100_000, 1020) - LESS_A_PACKET / 2.0).abs() < 1.0);
        assert!((probe(100_000, 1020) - LESS_A_PACKET / 10.0).abs() < 1.0);
    }

    #[test]
    fn little_says_nothing() {
        let (mut transfers, start) = (Transfers::default(), Instant::now());
        transfers.begin(start, 1000, 0);
        transfers.end(after(start, 21), RTT, |_| None);
        assert!(transfers.reading(start).is_none());
    }
}
