//! Moves packets between sockets when [`super::schedule`] says so.
//!
//! Each direction has two threads: one receives and offers packets to the line, one waits for the next packet's
//! time and sends. Where nothing delays a packet the first one sends it itself, and the second sleeps.
//!
//! Why threads: on the machines at hand a condition variable woke 0.09 ms after its time, a tokio timer 0.8 ms
//! and a receive with a timeout 6 ms (medians of 500). Emulating a LAN needs the first.
//!
//! Always true: when an [`EmulatedLink`] is dropped its threads have ended and its address is free.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, Socket, Type};
use tracing::warn;

use super::conditions::LinkConditions;
use super::schedule::{Counters, Line, Verdict};

/// With the defaults of some 200 KiB, a burst of QUIC packets is lost even on loopback.
const SOCKET_BUFFER_BYTES: usize = 4 * 1024 * 1024;

/// The largest UDP datagram (RFC 768: the length field has 16 bits).
const DATAGRAM_BYTES_MAX: usize = 65_536;

/// How often an idle receiver looks whether it should end, in case the datagram that wakes it was lost.
const STOP_CHECK: Duration = Duration::from_secs(1);

/// Rests after a socket error that is not a timeout, so that a lasting one does not take a whole core.
const ERROR_PAUSE: Duration = Duration::from_millis(5);

/// A directed link between two processes of one machine.
///
/// One sender uses it at a time: replies go to whoever sent last.
#[derive(Debug)]
pub struct EmulatedLink {
    shared: Arc<Shared>,
    address: SocketAddr,
    back_address: SocketAddr,
    threads: Vec<JoinHandle<()>>,
}

/// What both directions did since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LinkCounters {
    /// From sender to receiver.
    pub forward: Counters,
    /// From receiver to sender.
    pub reverse: Counters,
}

#[derive(Debug)]
struct Shared {
    start: Instant,
    stop: AtomicBool,
    conditions: Mutex<LinkConditions>,
    /// Where replies go: the sender's address, once it has sent something.
    sender: Mutex<Option<SocketAddr>>,
    target: SocketAddr,
    /// Faces the sender.
    front: UdpSocket,
    /// Faces the target.
    back: UdpSocket,
    forward: Lane,
    reverse: Lane,
}

#[derive(Debug)]
struct Lane {
    line: Mutex<Line<Box<[u8]>>>,
    changed: Condvar,
}

#[derive(Debug, Clone, Copy)]
enum Direction {
    Forward,
    Reverse,
}

impl EmulatedLink {
    /// Starts a link to `target`; senders use its [`address`](Self::address) instead of the target's.
    ///
    /// # Errors
    /// If a socket or a thread can not be made.
    pub fn spawn(conditions: LinkConditions, target: SocketAddr) -> io::Result<Self> {
        Self::spawn_seeded(conditions, target, 0)
    }

    /// As [`spawn`](Self::spawn), with a seed for losses and jitter: links with different seeds behave apart.
    ///
    /// # Errors
    /// If a socket or a thread can not be made.
    pub fn spawn_seeded(conditions: LinkConditions, target: SocketAddr, seed: u64) -> io::Result<Self> {
        let front = socket((Ipv4Addr::LOCALHOST, 0).into())?;
        let back = socket(match target {
            SocketAddr::V4(_) => (Ipv4Addr::LOCALHOST, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::LOCALHOST, 0).into(),
        })?;
        let (address, back_address) = (front.local_addr()?, back.local_addr()?);
        let lane = |conditions, seed| Lane {
            line: Mutex::new(Line::new(conditions, seed)),
            changed: Condvar::new(),
        };
        let shared = Arc::new(Shared {
            start: Instant::now(),
            stop: AtomicBool::new(false),
            conditions: Mutex::new(conditions),
            sender: Mutex::new(None),
            target,
            front,
            back,
            // The complement is another seed for every seed.
            forward: lane(conditions, seed),
            reverse: lane(conditions.reversed(), !seed),
        });
        // From here on a failure drops the link, which ends the threads that did start.
        let mut link = Self { shared, address, back_address, threads: Vec::new() };
        for (direction, name) in [(Direction::Forward, "link-fwd"), (Direction::Reverse, "link-rev")] {
            link.run(&format!("{name}-in"), move |shared| shared.receive(direction))?;
            link.run(&format!("{name}-out"), move |shared| shared.send(direction))?;
        }
        Ok(link)
    }

    fn run(&mut self, name: &str, body: impl FnOnce(&Shared) + Send + 'static) -> io::Result<()> {
        let shared = self.shared.clone();
        self.threads.push(thread::Builder::new().name(name.to_owned()).spawn(move || body(&shared))?);
        Ok(())
    }

    /// Where senders send to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where the link leads.
    pub fn target(&self) -> SocketAddr {
        self.shared.target
    }

    /// How the link behaves now.
    pub fn conditions(&self) -> LinkConditions {
        *lock(&self.shared.conditions)
    }

    /// Changes how the link behaves, from now on and for what waits at its bottleneck.
    pub fn set(&self, conditions: LinkConditions) {
        // Held while the lines change, so that two callers can not leave the directions different.
        let mut current = lock(&self.shared.conditions);
        *current = conditions;
        for (lane, conditions) in
            [(&self.shared.forward, conditions), (&self.shared.reverse, conditions.reversed())]
        {
            lock(&lane.line).set(self.shared.start.elapsed(), conditions);
            lane.changed.notify_one();
        }
    }

    /// What happened since the start.
    pub fn counters(&self) -> LinkCounters {
        let counters = |lane: &Lane| lock(&lane.line).counters();
        LinkCounters { forward: counters(&self.shared.forward), reverse: counters(&self.shared.reverse) }
    }
}

impl Drop for EmulatedLink {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        for lane in [&self.shared.forward, &self.shared.reverse] {
            // With the lock, so that a thread between its check and its sleep is not missed.
            let _line = lock(&lane.line);
            lane.changed.notify_one();
        }
        // An empty datagram to itself wakes each receiver; should it be lost, STOP_CHECK does.
        let _ = self.shared.front.send_to(&[], self.address);
        let _ = self.shared.back.send_to(&[], self.back_address);
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                warn!(address = %self.address, "a thread of an emulated link panicked");
            }
        }
    }
}

impl Shared {
    fn lane(&self, direction: Direction) -> &Lane {
        match direction {
            Direction::Forward => &self.forward,
            Direction::Reverse => &self.reverse,
        }
    }

    fn is_stopping(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }

    /// Offers what arrives to the line until the link is dropped.
    fn receive(&self, direction: Direction) {
        let socket = match direction {
            Direction::Forward => &self.front,
            Direction::Reverse => &self.back,
        };
        let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
        while !self.is_stopping() {
            match socket.recv_from(&mut buffer) {
                Ok((length, from)) if self.accepts(direction, from) => {
                    self.offer(direction, &buffer[..length]);
                }
                Ok(_) => (),
                Err(error) if is_timeout(&error) => (),
                Err(_) => thread::sleep(ERROR_PAUSE),
            }
        }
    }

    /// Whether a packet belongs to the link; learns the sender's address from those that go forward.
    fn accepts(&self, direction: Direction, from: SocketAddr) -> bool {
        match direction {
            Direction::Forward => {
                if !self.is_stopping() {
                    *lock(&self.sender) = Some(from);
                }
                true
            }
            Direction::Reverse => from == self.target,
        }
    }

    fn offer(&self, direction: Direction, packet: &[u8]) {
        let lane = self.lane(direction);
        let mut line = lock(&lane.line);
        match line.offer(self.start.elapsed(), packet.into(), packet.len()) {
            Verdict::Now(packet) => {
                drop(line);
                self.forward_to(direction, &packet);
            }
            // Otherwise the sending thread waits for an earlier packet already.
            Verdict::At(_) if line.len() == 1 => lane.changed.notify_one(),
            Verdict::At(_) | Verdict::Dropped => (),
        }
    }

    /// Sends what the line holds, each packet in its time, until the link is dropped.
    fn send(&self, direction: Direction) {
        let lane = self.lane(direction);
        let mut ready = Vec::new();
        let mut line = lock(&lane.line);
        while !self.is_stopping() {
            let now = self.start.elapsed();
            ready.extend(std::iter::from_fn(|| line.pop_due(now)));
            if !ready.is_empty() {
                // Not under the lock: the receiving thread must go on, or the socket's buffer overflows.
                drop(line);
                for packet in ready.drain(..) {
                    self.forward_to(direction, &packet);
                }
                line = lock(&lane.line);
                line.settle();
                continue;
            }
            line = match line.next_due() {
                None => lane.changed.wait(line).unwrap_or_else(PoisonError::into_inner),
                Some(due) => {
                    let wait = due.saturating_sub(now);
                    lane.changed.wait_timeout(line, wait).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }

    /// Errors are losses, as on any network: whoever needs the packet sends it again.
    fn forward_to(&self, direction: Direction, packet: &[u8]) {
        match direction {
            Direction::Forward => drop(self.back.send_to(packet, self.target)),
            Direction::Reverse => {
                let sender = *lock(&self.sender);
                if let Some(sender) = sender {
                    drop(self.front.send_to(packet, sender));
                }
            }
        }
    }
}

/// Each critical section leaves its data whole, so a panic elsewhere does not spoil it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted)
}

fn socket(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    // The kernel may grant less (net.core.rmem_max); the link then only loses bursts sooner.
    socket.set_recv_buffer_size(SOCKET_BUFFER_BYTES)?;
    socket.set_send_buffer_size(SOCKET_BUFFER_BYTES)?;
    socket.bind(&address.into())?;
    let socket = UdpSocket::from(socket);
    socket.set_read_timeout(Some(STOP_CHECK))?;
    Ok(socket)
}
