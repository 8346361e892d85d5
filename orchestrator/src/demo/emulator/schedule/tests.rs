//! A line on paper: packets and times without any socket or clock.

use proptest::prelude::*;

use super::super::conditions::{BitRate, LossRate};
use super::*;

const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// A payload that takes 10 ms at 1 Mbit/s, headers included.
const PACKET: usize = 1222;

fn line(change: impl FnOnce(&mut LinkConditions)) -> Line<u32> {
    let mut conditions = LinkConditions::PERFECT;
    change(&mut conditions);
    Line::new(conditions, 7)
}

fn slow(change: impl FnOnce(&mut LinkConditions)) -> Line<u32> {
    line(|c| {
        c.rate = Some(BitRate::megabits(1));
        change(c);
    })
}

/// All packets that leave until `end`, with their times.
fn leave(line: &mut Line<u32>, end: Duration) -> Vec<(u32, Duration)> {
    let mut left = Vec::new();
    while let Some(due) = line.next_due().filter(|&due| due <= end) {
        while let Some(packet) = line.pop_due(due) {
            left.push((packet, due));
        }
    }
    line.settle();
    left
}

#[test]
fn a_perfect_line_hands_packets_straight_back() {
    assert_eq!(line(|_| ()).offer(ms(5), 1, PACKET), Verdict::Now(1));
}

#[test]
fn the_delay_holds_each_packet_for_itself() {
    let mut line = line(|c| c.delay = ms(30));
    assert_eq!(line.offer(ms(0), 1, PACKET), Verdict::At(ms(30)));
    assert_eq!(line.offer(ms(1), 2, PACKET), Verdict::At(ms(31)));
    assert_eq!(line.pop_due(ms(29)), None);
    assert_eq!(leave(&mut line, ms(99)), [(1, ms(30)), (2, ms(31))]);
}

#[test]
fn the_rate_lets_packets_pass_one_by_one() {
    let mut line = slow(|c| c.delay = ms(5));
    for packet in 0..3 {
        line.offer(ms(0), packet, PACKET);
    }
    assert_eq!(leave(&mut line, ms(99)), [(0, ms(15)), (1, ms(25)), (2, ms(35))]);
    // After a rest the bottleneck is free, and the time in which nobody came is not made up for.
    assert_eq!(line.offer(ms(100), 3, PACKET), Verdict::At(ms(115)));
}

#[test]
fn a_full_queue_drops_what_comes_last() {
    let mut line = slow(|c| c.queue_bytes = 2 * PACKET);
    for packet in 0..5 {
        line.offer(ms(0), packet, PACKET);
    }
    assert_eq!(line.counters().overflowed, 3);
    // At 10 ms the first has passed and there is room for one more.
    assert!(matches!(line.offer(ms(10), 5, PACKET), Verdict::At(_)));
    assert_eq!(leave(&mut line, ms(99)), [(0, ms(10)), (1, ms(20)), (5, ms(30))]);
    assert_eq!(line.counters().bytes, 3 * PACKET as u64);
}

#[test]
fn a_queue_smaller_than_a_packet_still_lets_one_pass() {
    let mut line = slow(|c| c.queue_bytes = 1);
    assert_eq!(line.offer(ms(0), 1, PACKET), Verdict::At(ms(10)));
    assert_eq!(line.offer(ms(1), 2, PACKET), Verdict::Dropped);
    assert_eq!(line.offer(ms(10), 3, PACKET), Verdict::At(ms(20)));
}

#[test]
fn lost_packets_are_as_many_as_stated_and_take_their_turn() {
    let mut lossy = line(|c| c.loss = LossRate::per_ten_thousand(1_000));
    let passed = (0..20_000).filter(|&n| lossy.offer(ms(0), n, PACKET) == Verdict::Now(n)).count();
    assert!((17_800..18_200).contains(&passed), "{passed} of 20000 at 10 % loss");
    assert_eq!(lossy.counters().lost, 20_000 - passed as u64);

    let mut all_lost = slow(|c| c.loss = LossRate::per_ten_thousand(10_000));
    all_lost.offer(ms(0), 0, PACKET);
    all_lost.set(ms(0), LinkConditions { loss: LossRate::NONE, ..all_lost.conditions });
    all_lost.offer(ms(0), 1, PACKET);
    assert_eq!(leave(&mut all_lost, ms(99)), [(1, ms(20))], "the lost one occupied the first 10 ms");
}

#[test]
fn the_same_seed_loses_the_same_packets() {
    let run = |seed| -> Vec<u32> {
        let conditions =
            LinkConditions { loss: LossRate::per_ten_thousand(5_000), ..LinkConditions::PERFECT };
        let mut line = Line::new(conditions, seed);
        (0..64).filter(|&n| line.offer(ms(0), n, PACKET) == Verdict::Now(n)).collect()
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}

#[test]
fn a_cut_loses_what_is_on_the_way_and_what_comes() {
    let mut line = slow(|c| c.delay = ms(30));
    let up = line.conditions;
    line.offer(ms(0), 1, PACKET);
    line.offer(ms(0), 2, PACKET);
    line.set(ms(12), up.cut());
    assert_eq!(line.offer(ms(13), 3, PACKET), Verdict::Dropped);
    assert_eq!((line.counters().cut, line.next_due()), (3, None));
    line.set(ms(20), up);
    assert_eq!(line.offer(ms(20), 4, PACKET), Verdict::At(ms(60)), "nothing of before holds it up");
}

#[test]
fn a_new_rate_applies_to_what_waits() {
    let mut line = slow(|_| ());
    for packet in 0..3 {
        line.offer(ms(0), packet, PACKET);
    }
    // Half of the first has passed: its other half takes 0.5 ms at ten times the rate.
    line.set(ms(5), LinkConditions { rate: Some(BitRate::megabits(10)), ..line.conditions });
    let us = Duration::from_micros;
    assert_eq!(leave(&mut line, ms(99)), [(0, us(5_500)), (1, us(6_500)), (2, us(7_500))]);
}

#[test]
fn a_shorter_delay_does_not_let_the_new_overtake_the_old() {
    let mut line = line(|c| c.delay = ms(50));
    line.offer(ms(0), 1, PACKET);
    line.set(ms(1), LinkConditions { delay: ms(2), ..line.conditions });
    line.offer(ms(2), 2, PACKET);
    assert_eq!(leave(&mut line, ms(99)), [(1, ms(50)), (2, ms(50))]);
}

#[test]
fn a_packet_does_not_leave_at_once_while_earlier_ones_are_being_sent() {
    let mut line = line(|c| c.delay = ms(1));
    line.offer(ms(0), 1, PACKET);
    line.set(ms(1), LinkConditions::PERFECT);
    assert_eq!(line.pop_due(ms(1)), Some(1));
    assert_eq!(line.offer(ms(1), 2, PACKET), Verdict::At(ms(1)));
    assert_eq!(line.pop_due(ms(1)), Some(2));
    line.settle();
    assert_eq!(line.offer(ms(1), 3, PACKET), Verdict::Now(3));
}

#[test]
fn memory_is_bounded_whatever_the_conditions_say() {
    let mut line = line(|c| c.delay = Duration::from_secs(3600));
    let bytes = 1 << 20;
    let kept = (0..100).filter(|&n| line.offer(ms(0), n, bytes) != Verdict::Dropped).count();
    assert_eq!(kept * bytes, HELD_BYTES_MAX);
}

fn conditions() -> impl Strategy<Value = LinkConditions> {
    let rate = proptest::option::of((1u64..10_000).prop_map(BitRate::kilobits));
    (rate, 0u64..50, 0u64..50, 0u16..3_000, 0usize..20_000, 0u8..8).prop_map(
        |(rate, delay, jitter, loss, queue, cut)| LinkConditions {
            rate,
            reverse_rate: None,
            delay: ms(delay),
            jitter: ms(jitter),
            loss: LossRate::per_ten_thousand(loss),
            queue_bytes: queue,
            state: if cut == 0 { LinkState::Cut } else { LinkState::Up },
        },
    )
}

proptest! {
    #[test]
    fn whatever_happens_order_is_kept_and_every_packet_is_counted_once(
        first in conditions(),
        events in proptest::collection::vec((0u64..20, 1usize..2_000, proptest::option::weighted(0.1, conditions())), 1..200),
    ) {
        let mut line = Line::new(first, 3);
        let (mut now, mut left) = (Duration::ZERO, Vec::new());
        for (packet, (wait, bytes, change)) in events.iter().enumerate() {
            left.extend(leave(&mut line, now + ms(*wait)).into_iter().map(|(packet, _)| packet));
            now += ms(*wait);
            if let Some(change) = *change {
                line.set(now, change);
            }
            if let Verdict::Now(packet) = line.offer(now, packet as u32, *bytes) {
                left.push(packet);
            }
        }
        left.extend(leave(&mut line, Duration::MAX).into_iter().map(|(packet, _)| packet));
        prop_assert!(left.is_sorted_by(|a, b| a < b));
        let Counters { packets, lost, overflowed, cut, .. } = line.counters();
        prop_assert_eq!(packets, left.len() as u64);
        prop_assert_eq!(packets + lost + overflowed + cut, events.len() as u64);
        prop_assert_eq!((line.waiting_bytes, line.held_bytes, line.waiting_from), (0, 0, 0));
    }
}
