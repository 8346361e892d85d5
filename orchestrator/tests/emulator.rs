//! Emulated links over real sockets. Bounds are generous upwards, for a busy machine is late; what a link must
//! never do, it must not do on any machine: be early, exceed its rate, or reorder.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a panic is how a test fails, in its helpers too"
)]

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use weir_orchestrator::demo::emulator::{BitRate, EmulatedLink, LinkConditions, LossRate, Preset};

const PERFECT: LinkConditions = LinkConditions::PERFECT;

const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn socket() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(ms(5_000))).unwrap();
    socket
}

/// A sender, a link and a receiver.
struct Path {
    link: EmulatedLink,
    sender: UdpSocket,
    receiver: UdpSocket,
}

impl Path {
    fn new(conditions: LinkConditions) -> Self {
        let (sender, receiver) = (socket(), socket());
        let link = EmulatedLink::spawn(conditions, receiver.local_addr().unwrap()).unwrap();
        sender.connect(link.address()).unwrap();
        Self { link, sender, receiver }
    }

    fn send(&self, number: u32, bytes: usize) {
        let mut packet = vec![0; bytes.max(4)];
        packet[..4].copy_from_slice(&number.to_le_bytes());
        self.sender.send(&packet).unwrap();
    }

    fn receive(&self) -> (u32, SocketAddr) {
        let mut packet = [0; 2048];
        let (length, from) = self.receiver.recv_from(&mut packet).expect("no packet arrived within 5 s");
        assert!(length >= 4);
        (u32::from_le_bytes(packet[..4].try_into().unwrap()), from)
    }

    /// Waits until nothing has arrived for `quiet`; the numbers that did.
    fn drain(&self, quiet: Duration) -> Vec<u32> {
        self.receiver.set_read_timeout(Some(quiet)).unwrap();
        let mut packet = [0; 2048];
        let mut numbers = Vec::new();
        while self.receiver.recv(&mut packet).is_ok() {
            numbers.push(u32::from_le_bytes(packet[..4].try_into().unwrap()));
        }
        self.receiver.set_read_timeout(Some(ms(5_000))).unwrap();
        numbers
    }
}

#[test]
fn a_packet_and_its_reply_each_take_the_delay() {
    let path = Path::new(LinkConditions { delay: ms(30), ..PERFECT });
    let start = Instant::now();
    path.send(1, 100);
    let (number, from) = path.receive();
    let there = start.elapsed();
    path.receiver.send_to(b"reply", from).unwrap();
    let mut reply = [0; 16];
    assert_eq!(path.sender.recv(&mut reply).unwrap(), 5);
    let round_trip = start.elapsed();
    assert_eq!(number, 1);
    assert!((ms(30)..ms(200)).contains(&there), "{there:?}");
    assert!((ms(60)..ms(400)).contains(&round_trip), "{round_trip:?}");
    let counters = path.link.counters();
    assert_eq!((counters.forward.packets, counters.reverse.bytes), (1, 5));
}

#[test]
fn the_rate_is_not_exceeded_and_is_reached() {
    // 50 packets of 10,000 bits at 2 Mbit/s take 0.25 s.
    let path = Path::new(PERFECT.with_rate(BitRate::megabits(2)));
    let start = Instant::now();
    for number in 0..50 {
        path.send(number, 1222);
    }
    for number in 0..50 {
        assert_eq!(path.receive().0, number);
    }
    let took = start.elapsed();
    assert!((ms(249)..ms(600)).contains(&took), "{took:?}");
}

#[test]
fn each_direction_has_its_own_rate() {
    let path = Path::new(LinkConditions { reverse_rate: Some(BitRate::kilobits(100)), ..PERFECT });
    path.send(1, 1222);
    let (_, from) = path.receive();
    let start = Instant::now();
    path.receiver.send_to(&[0; 1222], from).unwrap();
    path.sender.recv(&mut [0; 2048]).unwrap();
    let took = start.elapsed();
    assert!((ms(100)..ms(400)).contains(&took), "{took:?}");
}

#[test]
fn a_burst_beyond_the_queue_is_cut_short() {
    let slow = PERFECT.with_rate(BitRate::megabits(1));
    let path = Path::new(LinkConditions { queue_bytes: 10 * 1222, ..slow });
    for number in 0..100 {
        path.send(number, 1222);
    }
    let arrived = path.drain(ms(500));
    // Ten fit at once, a few more while the first ones leave.
    assert!((10..40).contains(&arrived.len()), "{arrived:?}");
    let forward = path.link.counters().forward;
    assert_eq!(forward.packets + forward.overflowed, 100);
}

#[test]
fn the_stated_part_is_lost_and_nothing_else() {
    let path = Path::new(LinkConditions { loss: LossRate::per_ten_thousand(2_000), ..PERFECT });
    let mut arrived = 0;
    for burst in 0..40 {
        for number in 0..50 {
            path.send(burst * 50 + number, 100);
        }
        // In small bursts, so that no socket buffer loses anything on top.
        arrived += path.drain(ms(20)).len();
    }
    arrived += path.drain(ms(300)).len();
    // 2,000 packets at 20 % loss; the standard deviation is 18.
    assert!((1_500..1_700).contains(&arrived), "{arrived} of 2000");
    let forward = path.link.counters().forward;
    assert_eq!((forward.packets, forward.lost), (arrived as u64, 2_000 - arrived as u64));
}

#[test]
fn jitter_delays_and_never_reorders() {
    let path = Path::new(LinkConditions { delay: ms(5), jitter: ms(20), ..PERFECT });
    let start = Instant::now();
    let (sent, arrived) = thread::scope(|scope| {
        // While packets are sent, for the receiver's socket would not hold all of them.
        let arrived =
            scope.spawn(|| -> Vec<_> { (0..300).map(|_| (path.receive().0, start.elapsed())).collect() });
        let send = |number| {
            let at = start.elapsed();
            path.send(number, 100);
            thread::sleep(Duration::from_micros(500));
            at
        };
        let sent: Vec<_> = (0..300).map(send).collect();
        (sent, arrived.join().unwrap())
    });
    let delays = arrived.iter().zip(sent).enumerate().map(|(expected, (&(number, at), sent))| {
        assert_eq!(number as usize, expected);
        at - sent
    });
    let (least, most) =
        delays.fold((Duration::MAX, Duration::ZERO), |(low, high), d| (low.min(d), high.max(d)));
    assert!(least >= ms(5), "{least:?}");
    assert!(most - least >= ms(5), "from {least:?} to {most:?}: that is no jitter of 20 ms");
}

#[test]
fn conditions_change_while_packets_flow() {
    let path = Path::new(PERFECT);
    let measure = |number| {
        let start = Instant::now();
        path.send(number, 100);
        assert_eq!(path.receive().0, number);
        start.elapsed()
    };
    measure(0);
    path.link.set(LinkConditions { delay: ms(80), ..PERFECT });
    let slow = measure(1);
    assert!(slow >= ms(80), "{slow:?}");
    path.link.set(PERFECT);
    // The best of some, for the machine may be busy.
    let fast = (2..12).map(measure).min().unwrap();
    assert!(fast < ms(40), "{fast:?}");
}

#[test]
fn a_faster_rate_frees_what_waits() {
    let path = Path::new(PERFECT.with_rate(BitRate::kilobits(10)));
    for number in 0..20 {
        path.send(number, 1222);
    }
    // At 10 kbit/s the twenty would take 20 s.
    path.link.set(PERFECT);
    let start = Instant::now();
    for number in 0..20 {
        assert_eq!(path.receive().0, number);
    }
    assert!(start.elapsed() < ms(3_000), "{:?}", start.elapsed());
}

#[test]
fn a_cut_link_is_silent_until_it_is_up_again() {
    let conditions = LinkConditions { delay: ms(20), ..PERFECT };
    let path = Path::new(conditions);
    path.send(1, 100);
    assert_eq!(path.receive().0, 1);
    path.link.set(conditions.cut());
    path.send(2, 100);
    assert_eq!(path.drain(ms(150)), [] as [u32; 0]);
    path.link.set(conditions);
    path.send(3, 100);
    assert_eq!(path.receive().0, 3);
    assert_eq!(path.link.counters().forward.cut, 1);
}

#[test]
fn replies_of_strangers_do_not_pass() {
    let path = Path::new(PERFECT);
    path.send(1, 100);
    let (_, back) = path.receive();
    socket().send_to(b"stranger", back).unwrap();
    path.receiver.send_to(b"reply", back).unwrap();
    let mut packet = [0; 16];
    let length = path.sender.recv(&mut packet).unwrap();
    assert_eq!(&packet[..length], b"reply");
}

#[test]
fn a_dropped_link_ends_at_once_and_frees_its_address() {
    let path = Path::new(LinkConditions { delay: ms(60_000), ..PERFECT });
    path.send(1, 100);
    let address = path.link.address();
    let start = Instant::now();
    drop(path.link);
    // Below the second after which idle receivers look for themselves.
    assert!(start.elapsed() < ms(900), "{:?}", start.elapsed());
    UdpSocket::bind(address).unwrap();
}

/// What the emulator costs and how exact it is. Not a test: `cargo test --release --test emulator -- --ignored
/// --nocapture --test-threads 1` on an idle machine prints figures for the documentation.
#[test]
#[ignore = "a measurement, to be run alone on an idle machine"]
fn measure_precision_and_cost() {
    for preset in Preset::ALL {
        measure_delay(preset);
    }
    measure_load(PERFECT, 12, 1_000);
    measure_load(Preset::Lan.conditions(), 12, 1_000);
    measure_throughput("perfect", PERFECT);
    measure_throughput("lan", Preset::Lan.conditions());
}

fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    // Fields 14 and 15, in ticks of 10 ms; the name in field 2 may hold spaces.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    fields[11..13].iter().map(|ticks| ticks.parse::<f64>().unwrap() / 100.0).sum()
}

fn percentile(sorted: &[f64], percent: usize) -> f64 {
    sorted[(sorted.len() * percent / 100).min(sorted.len() - 1)]
}

fn measure_delay(preset: Preset) {
    let conditions = LinkConditions { jitter: Duration::ZERO, loss: LossRate::NONE, ..preset.conditions() };
    let path = Path::new(conditions);
    let due = conditions.delay + conditions.rate.map_or(Duration::ZERO, |rate| rate.time_for(1200));
    let mut late: Vec<f64> = (0..200)
        .map(|number| {
            let start = Instant::now();
            path.send(number, 1200);
            path.receive();
            (start.elapsed().as_secs_f64() - due.as_secs_f64()) * 1e6
        })
        .collect();
    late.sort_by(f64::total_cmp);
    let [p50, p99] = [50, 99].map(|p| percentile(&late, p));
    println!("{preset}: a packet is due after {due:?} and late by {p50:.0} us (median), {p99:.0} us (p99)");
}

fn measure_load(conditions: LinkConditions, links: usize, packets_per_second: u32) {
    let paths: Vec<Path> = (0..links).map(|_| Path::new(conditions)).collect();
    let idle = cpu_seconds();
    thread::sleep(ms(2_000));
    let idle = (cpu_seconds() - idle) / 2.0;
    let (cpu, start) = (cpu_seconds(), Instant::now());
    let mut sent = 0u32;
    while start.elapsed() < ms(3_000) {
        let due = (start.elapsed().as_secs_f64() * f64::from(packets_per_second)) as u32;
        while sent < due {
            paths.iter().for_each(|path| path.send(sent, 1200));
            sent += 1;
        }
        thread::sleep(ms(1));
    }
    let share = (cpu_seconds() - cpu) / 3.0;
    let delay = conditions.delay;
    println!(
        "{links} links, {delay:?} delay: {idle:.3} cores idle, {share:.2} cores at {packets_per_second} packets/s each"
    );
}

fn measure_throughput(name: &str, conditions: LinkConditions) {
    let path = Path::new(conditions);
    let stop = Arc::new(AtomicBool::new(false));
    let received = Arc::new(Mutex::new(0u64));
    let counting = {
        let (socket, stop, received) = (path.receiver.try_clone().unwrap(), stop.clone(), received.clone());
        thread::spawn(move || {
            let mut packet = [0; 2048];
            while !stop.load(Ordering::Relaxed) {
                *received.lock().unwrap() += socket.recv(&mut packet).unwrap_or(0) as u64;
            }
        })
    };
    let start = Instant::now();
    let mut number = 0;
    while start.elapsed() < ms(2_000) {
        path.send(number, 1400);
        number += 1;
    }
    let megabits = *received.lock().unwrap() as f64 * 8.0 / 1e6 / start.elapsed().as_secs_f64();
    println!(
        "{name}: {megabits:.0} Mbit/s of 1400-byte packets arrive, {number} sent, {:?}",
        path.link.counters().forward
    );
    stop.store(true, Ordering::Relaxed);
    path.send(0, 4);
    counting.join().unwrap();
}
