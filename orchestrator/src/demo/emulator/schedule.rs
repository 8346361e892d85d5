//! When a packet leaves the link, or that it never does: the pure core of the emulator.
//!
//! One direction of a link is a bottleneck and a way. Packets wait before the bottleneck in a bounded queue,
//! pass it one by one at the rate, and are then on the way for the delay and what jitter adds. A lost packet
//! takes its turn at the bottleneck like any other; it vanishes behind it.
//!
//! Time is a duration since some start and comes in as an argument. Always true: packets leave in the order in
//! which they came; `waiting_bytes` is the sum over the entries from `waiting_from` on.

use std::collections::VecDeque;
use std::time::Duration;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::conditions::{LinkConditions, LinkState};
use super::wander::Wander;

/// The most bytes in one direction of a link, waiting or on the way, whatever its conditions say.
///
/// It bounds memory when a fast sender meets a long delay without a rate: 64 MiB are 0.5 s of 1 Gbit/s.
const HELD_BYTES_MAX: usize = 64 * 1024 * 1024;

/// What one direction did since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Packets that left the link.
    pub packets: u64,
    /// Their payload, bytes.
    pub bytes: u64,
    /// Packets that vanished by the loss rate.
    pub lost: u64,
    /// Packets that found the queue full.
    pub overflowed: u64,
    /// Packets that found the link cut, or were on it when it was.
    pub cut: u64,
}

/// What becomes of an offered packet.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict<T> {
    /// It leaves at once and is handed back: nothing is before it and nothing delays it.
    Now(T),
    /// The line keeps it until this time. A lost packet is kept, too, for the time that it occupies the line.
    At(Duration),
    /// It is gone.
    Dropped,
}

/// One direction of a link, with the packets in it.
#[derive(Debug)]
pub struct Line<T> {
    conditions: LinkConditions,
    wander: Wander,
    losses: ChaCha8Rng,
    entries: VecDeque<Entry<T>>,
    /// Index of the first entry that has not passed the bottleneck.
    waiting_from: usize,
    waiting_bytes: usize,
    held_bytes: usize,
    /// When the last packet has passed the bottleneck.
    bottleneck_free: Duration,
    /// When the last packet leaves; no later one may leave before.
    last_due: Duration,
    handed_out: HandedOut,
    counters: Counters,
}

/// Whether packets were taken out that may not have been sent yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum HandedOut {
    None,
    Some,
}

#[derive(Debug)]
struct Entry<T> {
    /// `None` is a lost packet.
    packet: Option<T>,
    bytes: usize,
    /// When it has passed the bottleneck.
    passed: Duration,
    /// When it leaves.
    due: Duration,
}

impl<T> Line<T> {
    /// An empty line. Its rate is `conditions.rate`; the reverse rate belongs to another line.
    pub fn new(conditions: LinkConditions, seed: u64) -> Self {
        // Two streams, so that a change of the loss rate leaves the jitter as it was.
        let mut losses = ChaCha8Rng::seed_from_u64(seed);
        losses.set_stream(1);
        Self {
            conditions,
            wander: Wander::new(seed),
            losses,
            entries: VecDeque::new(),
            waiting_from: 0,
            waiting_bytes: 0,
            held_bytes: 0,
            bottleneck_free: Duration::ZERO,
            last_due: Duration::ZERO,
            handed_out: HandedOut::None,
            counters: Counters::default(),
        }
    }

    /// Takes a packet of so many bytes.
    pub fn offer(&mut self, now: Duration, packet: T, bytes: usize) -> Verdict<T> {
        if self.conditions.state == LinkState::Cut {
            self.counters.cut += 1;
            return Verdict::Dropped;
        }
        self.pass_bottleneck(now);
        // One packet may always wait: a queue smaller than a packet would be a cut link.
        let queue_full =
            self.waiting_bytes > 0 && self.waiting_bytes.saturating_add(bytes) > self.conditions.queue_bytes;
        if queue_full || self.held_bytes + bytes > HELD_BYTES_MAX {
            self.counters.overflowed += 1;
            return Verdict::Dropped;
        }
        let (passed, due) =
            self.times(now, self.conditions.rate.map_or(Duration::ZERO, |r| r.time_for(bytes)));
        let fraction = self.conditions.loss.fraction();
        let is_lost = fraction > 0.0 && self.losses.random_bool(fraction);
        if due <= now && self.entries.is_empty() && self.handed_out == HandedOut::None {
            if is_lost {
                self.counters.lost += 1;
                return Verdict::Dropped;
            }
            self.count_out(bytes);
            return Verdict::Now(packet);
        }
        self.held_bytes += bytes;
        self.waiting_bytes += bytes;
        self.entries.push_back(Entry { packet: (!is_lost).then_some(packet), bytes, passed, due });
        Verdict::At(due)
    }

    /// The next packet whose time has come. Call [`settle`](Self::settle) when it is sent.
    pub fn pop_due(&mut self, now: Duration) -> Option<T> {
        self.pass_bottleneck(now);
        while self.entries.front().is_some_and(|entry| entry.due <= now) {
            let entry = self.entries.pop_front()?;
            self.waiting_from -= 1;
            self.held_bytes -= entry.bytes;
            match entry.packet {
                Some(packet) => {
                    self.count_out(entry.bytes);
                    self.handed_out = HandedOut::Some;
                    return Some(packet);
                }
                None => self.counters.lost += 1,
            }
        }
        None
    }

    /// Says that all packets handed out were sent, so that a new one overtakes none if it leaves at once.
    pub fn settle(&mut self) {
        self.handed_out = HandedOut::None;
    }

    /// When the next packet leaves.
    pub fn next_due(&self) -> Option<Duration> {
        self.entries.front().map(|entry| entry.due)
    }

    /// Packets in the line.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether the line holds no packet.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// What happened since the start.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Changes the conditions.
    ///
    /// What waits at the bottleneck passes it at the new rate from now on; what is on the way arrives when it
    /// would have. A cut loses both.
    pub fn set(&mut self, now: Duration, conditions: LinkConditions) {
        self.pass_bottleneck(now);
        let old_rate = std::mem::replace(&mut self.conditions, conditions).rate;
        if conditions.state == LinkState::Cut {
            self.counters.cut += self.entries.len() as u64;
            self.entries.clear();
            (self.waiting_from, self.waiting_bytes, self.held_bytes) = (0, 0, 0);
            (self.bottleneck_free, self.last_due) = (now, now);
            return;
        }
        let waiting = self.entries.split_off(self.waiting_from);
        // The packet in the bottleneck keeps the part that has passed already.
        let unsent = |entry: &Entry<T>| match old_rate.map(|rate| rate.time_for(entry.bytes)) {
            Some(whole) if !whole.is_zero() => (entry.passed - now).div_duration_f64(whole).min(1.0),
            _ => 1.0,
        };
        let first_part = waiting.front().map_or(1.0, unsent);
        self.bottleneck_free = now;
        self.last_due = self.entries.back().map_or(now, |entry| entry.due);
        for (index, entry) in waiting.into_iter().enumerate() {
            let whole = conditions.rate.map_or(Duration::ZERO, |rate| rate.time_for(entry.bytes));
            let (passed, due) = self.times(now, if index == 0 { whole.mul_f64(first_part) } else { whole });
            self.entries.push_back(Entry { passed, due, ..entry });
        }
    }

    /// When a packet that occupies the bottleneck for `occupied` has passed it, and when it leaves.
    fn times(&mut self, now: Duration, occupied: Duration) -> (Duration, Duration) {
        let passed = self.bottleneck_free.max(now).saturating_add(occupied);
        let extra = self.wander.extra(passed, self.conditions.jitter);
        let due = passed.saturating_add(self.conditions.delay).saturating_add(extra).max(self.last_due);
        (self.bottleneck_free, self.last_due) = (passed, due);
        (passed, due)
    }

    fn pass_bottleneck(&mut self, now: Duration) {
        while let Some(entry) = self.entries.get(self.waiting_from).filter(|entry| entry.passed <= now) {
            self.waiting_bytes -= entry.bytes;
            self.waiting_from += 1;
        }
    }

    fn count_out(&mut self, bytes: usize) {
        self.counters.packets += 1;
        self.counters.bytes += bytes as u64;
    }
}

#[cfg(test)]
mod tests;
