//! Measures links that carry nothing: a short connection, one bounded burst, and it is closed again.
//!
//! One peer is probed in each [`PERIOD`], the one of which least is known, and none of which something was learnt within
//! [`FRESH`]: a cluster of n workers makes at most n probes a second, a link that carries requests none at all. When a link
//! collapses, its sender asks at once for what it knows of the others, so that everybody can tell whose fault it is; when the
//! round trips to a peer become far longer or shorter, for what it knows of that link. A probe is a connection of its own
//! kind, so it never stands in the way of activations, and the receiver admits it by name.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::record::{Beside, LinkBook};
use super::{ConnectError, PeerConnection, Protocol, Transport, close_code};
use crate::ids::PeerName;
use crate::wire::control::ProbeTarget;

/// One probe is made in this time, unless some peer was never measured at all.
const PERIOD: Duration = Duration::from_secs(1);

/// A link of which something was learnt within this time needs no probe.
const FRESH: Duration = Duration::from_secs(4);

/// Where some link has collapsed, what is older than this is asked for again at once: the others may have, too.
const FRESH_AFTER_COLLAPSE: Duration = Duration::from_millis(300);

/// Links that are probed at once then, or because their paths have become others.
const AT_ONCE_MAX: usize = 8;

/// Bytes of a burst: 0.26 s of a link of 1 Mbit/s, and enough to tell 100 Mbit/s from 10 over 20 ms of round trip.
const BURST: usize = 32 * 1024;

/// Above this a burst is not one of ours.
const BURST_MAX: usize = 64 * 1024;

/// A probe that takes longer has found a link that nobody should use: that is a rate of 7 kB/s.
const LIMIT: Duration = Duration::from_secs(5);

/// Probes links in turn until it is dropped.
pub struct Prober {
    targets: watch::Sender<Vec<ProbeTarget>>,
    book: LinkBook,
}

/// Why a probe failed.
#[derive(Debug, thiserror::Error)]
enum ProbeError {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error("the connection broke")]
    Connection(#[from] quinn::ConnectionError),
    #[error("the burst was not taken")]
    Write(#[from] quinn::WriteError),
    #[error("the burst was not acknowledged")]
    Stopped(#[from] quinn::StoppedError),
    #[error("the peer does not let us measure")]
    Refused,
    #[error("no answer within {LIMIT:?}")]
    Slow,
}

impl Prober {
    /// A prober without peers, which notes what it finds in `book`.
    pub fn start(transport: Transport, book: LinkBook) -> Self {
        let (targets, told) = watch::channel(Vec::new());
        tokio::spawn(run(transport, book.clone(), told));
        Self { targets, book }
    }

    /// What [`LinkBook::beside`] does.
    pub fn beside(&self, peer: &PeerConnection) -> Beside {
        self.book.beside(peer)
    }

    /// What [`LinkBook::found`] does.
    pub async fn found(&self) {
        self.book.found().await;
    }

    /// Probes these peers from now on, and no others.
    pub fn measure(&self, targets: Vec<ProbeTarget>) {
        self.targets.send_if_modified(|known| {
            let changed = *known != targets;
            *known = targets;
            changed
        });
    }
}

async fn run(transport: Transport, book: LinkBook, mut told: watch::Receiver<Vec<ProbeTarget>>) {
    let burst: Arc<[u8]> = vec![0x5a; BURST].into();
    let mut under_way: JoinSet<PeerName> = JoinSet::new();
    let mut busy: BTreeSet<PeerName> = BTreeSet::new();
    let mut fresh = FRESH;
    loop {
        let targets = told.borrow_and_update().clone();
        let mut due = due(&book, &targets, fresh);
        due.retain(|(_, target)| !busy.contains(&target.peer));
        // Of many peers more than one is probed in a period, so that a round takes no longer than with sixteen.
        let at_once = if fresh < FRESH { AT_ONCE_MAX } else { targets.len().div_ceil(16) };
        let suspects = due.iter().filter(|(why, _)| *why == Why::Suspect).count().min(AT_ONCE_MAX);
        let never = due.iter().filter(|(why, _)| *why == Why::NeverMeasured).count();
        for (_, target) in due.iter().take((never + suspects).max(at_once)) {
            busy.insert(target.peer.clone());
            let (transport, book, burst) = (transport.clone(), book.clone(), burst.clone());
            under_way.spawn(probe_one(transport, book, (*target).clone(), burst));
        }
        let next = Instant::now() + PERIOD;
        fresh = loop {
            tokio::select! {
                changed = told.changed() => match changed {
                    Ok(()) => break FRESH,
                    Err(_) => return,
                },
                () = book.collapsed() => break FRESH_AFTER_COLLAPSE,
                () = book.suspected() => break FRESH,
                () = tokio::time::sleep_until(next) => break FRESH,
                Some(done) = under_way.join_next(), if !busy.is_empty() => match done {
                    Ok(peer) => _ = busy.remove(&peer),
                    // A probe that panicked does not say whose it was.
                    Err(_) => busy.clear(),
                },
            }
        };
    }
}

async fn probe_one(transport: Transport, book: LinkBook, target: ProbeTarget, burst: Arc<[u8]>) -> PeerName {
    let record = book.record(&target.peer);
    let began = Instant::now();
    match tokio::time::timeout(LIMIT, probe(&transport, &target, &burst)).await {
        Ok(Ok((peer, began))) => {
            record.probed(&peer.connection, began.into_std(), BURST as u64);
            peer.close(close_code::SHUTDOWN, "measured");
        }
        failed => {
            let error = failed.map_or(ProbeError::Slow, |done| done.err().unwrap_or(ProbeError::Slow));
            tracing::debug!(peer = %target.peer, took = ?began.elapsed(), error = %crate::chain(&error), "probe failed");
            record.probe_failed();
        }
    }
    target.peer
}

/// Why a link is probed, the most pressing reason first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Why {
    NeverMeasured,
    /// Its path has become another one since it was measured.
    Suspect,
    /// Its goodput is as old as this; reversed, so that the oldest comes first.
    Old(Reverse<Duration>),
}

/// The peers that are never measured, suspect, or of which nothing was learnt within `fresh`, by how pressing that is.
fn due<'a>(book: &LinkBook, targets: &'a [ProbeTarget], fresh: Duration) -> Vec<(Why, &'a ProbeTarget)> {
    let why = |target: &ProbeTarget| {
        let record = book.record(&target.peer);
        match record.goodput_age() {
            Some(_) if record.is_suspect() => Some(Why::Suspect),
            Some(age) => (age >= fresh).then_some(Why::Old(Reverse(age))),
            // Out of reach counts as known, so that such peers wait for their turn.
            None if record.is_out_of_reach() => Some(Why::Old(Reverse(Duration::MAX))),
            None => Some(Why::NeverMeasured),
        }
    };
    let mut due: Vec<_> = targets.iter().filter_map(|target| why(target).map(|why| (why, target))).collect();
    due.sort_by_key(|&(why, _)| why);
    due
}

async fn probe(
    transport: &Transport,
    target: &ProbeTarget,
    burst: &[u8],
) -> Result<(PeerConnection, Instant), ProbeError> {
    let peer = transport.connect(&target.peer, target.address, Protocol::Probe).await?;
    let mut stream = peer.connection.open_uni().await?;
    let began = Instant::now();
    stream.write_all(burst).await?;
    // Fails only on a stream that was finished before.
    let _ = stream.finish();
    match stream.stopped().await? {
        None => Ok((peer, began)),
        Some(_) => Err(ProbeError::Refused),
    }
}

/// Takes the bursts of peers that measure their links to here. Cheap to clone.
#[derive(Clone)]
pub struct ProbeSink {
    places: Arc<Semaphore>,
}

/// Bursts that may arrive at once: a large cluster's probes in one second reach one worker at most so often.
const AT_ONCE: usize = 32;

impl Default for ProbeSink {
    fn default() -> Self {
        Self { places: Arc::new(Semaphore::new(AT_ONCE)) }
    }
}

impl ProbeSink {
    /// Takes one burst from an admitted peer and forgets it; more than one, or a larger one, ends the connection.
    pub async fn absorb(&self, peer: &PeerConnection) {
        let Ok(_place) = self.places.try_acquire() else {
            return peer.close(close_code::PROTOCOL, "too many probes at once");
        };
        let taken = tokio::time::timeout(LIMIT, async {
            let mut stream = peer.connection.accept_uni().await.ok()?;
            let mut left = BURST_MAX;
            while let Ok(Some(chunk)) = stream.read_chunk(left, false).await {
                left = left.checked_sub(chunk.bytes.len()).filter(|&left| left > 0)?;
            }
            // The peer closes once it has the last acknowledgement.
            peer.connection.closed().await;
            Some(())
        });
        if taken.await.ok().flatten().is_none() {
            peer.close(close_code::PROTOCOL, "that was no probe");
        }
    }
}
