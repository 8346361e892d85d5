//! What is counted for one peer that we send to: across connections, links and probes, for as long as the process lives.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::PeerConnection;
use super::meter::PathMeter;
use crate::ids::PeerName;
use crate::telemetry::{LINKS_MAX, LinkReport, RttReading, Transfers};

/// The record of one peer. Cheap to clone.
#[derive(Clone, Default)]
pub struct LinkRecord {
    state: Arc<Mutex<State>>,
    collapse: Arc<Notify>,
}

#[derive(Default)]
struct State {
    activations: u64,
    bytes: u64,
    /// Packets of connections that are gone; those of the live one are added when asked.
    packets_sent: u64,
    packets_lost: u64,
    congestion_events: u64,
    transfers: Transfers,
    /// Connections of plans, the newest last; for a moment two, while the peer's address changes.
    live: Vec<Live>,
    /// What the last connection that is gone knew.
    rtt: Option<(Instant, RttReading)>,
    probes: u64,
    probe_failures: u64,
    /// Whether the last probe succeeded; none before the first.
    reached: Option<bool>,
}

struct Live {
    peer: PeerConnection,
    meter: Option<PathMeter>,
}

/// The records of all peers. Cheap to clone.
#[derive(Clone, Default)]
pub struct LinkBook {
    records: Arc<Mutex<BTreeMap<PeerName, LinkRecord>>>,
    collapse: Arc<Notify>,
}

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

impl LinkRecord {
    /// A plan's connection is up.
    pub(super) fn connected(&self, peer: &PeerConnection) {
        let live = Live { peer: peer.clone(), meter: PathMeter::of(&peer.connection) };
        let mut state = self.lock();
        state.transfers.reset();
        state.live.push(live);
    }

    /// That connection is gone.
    pub(super) fn disconnected(&self, peer: &PeerConnection) {
        let mut state = self.lock();
        state.live.retain(|live| live.peer.connection.stable_id() != peer.connection.stable_id());
        state.transfers.reset();
        let meter = PathMeter::of(&peer.connection);
        state.gone(&peer.connection, meter.as_ref());
    }

    /// A transfer of so many bytes begins on the plan's connection.
    pub(super) fn began(&self, bytes: u64) {
        let mut state = self.lock();
        let acked = state.meter().map_or(0, PathMeter::acked);
        state.transfers.begin(now(), bytes, acked);
    }

    /// All its bytes are handed to QUIC.
    pub(super) fn written(&self, bytes: u64) {
        let mut state = self.lock();
        state.activations += 1;
        state.bytes += bytes;
    }

    /// It was acknowledged, or has failed.
    pub(super) fn ended(&self) {
        let (mut state, now) = (self.lock(), now());
        let meter = state.meter().cloned();
        let minimum = meter.as_ref().map_or(Duration::ZERO, |meter| meter.rtt_minimum(now));
        state.transfers.end(now, minimum, |acked| meter.and_then(|meter| meter.when_acked(acked)));
        self.tell_collapse(&mut state);
    }

    fn tell_collapse(&self, state: &mut State) {
        if state.transfers.take_collapse() {
            self.collapse.notify_one();
        }
    }

    /// A probe has ended: with the connection that it was made on, and the bytes that were acknowledged in `took`.
    pub(super) fn probed(&self, connection: &quinn::Connection, began: Instant, bytes: u64) {
        let (mut state, now) = (self.lock(), now());
        let meter = PathMeter::of(connection);
        let minimum = meter.as_ref().map_or(Duration::ZERO, |meter| meter.rtt_minimum(now));
        // A plan's transfers that run meanwhile are measured by themselves.
        if state.transfers.is_idle() {
            state.transfers.begin(began, bytes, 0);
            state.transfers.end(now, minimum, |acked| meter.as_ref().and_then(|m| m.when_acked(acked)));
            state.transfers.trust_newest();
        }
        // A probe's collapse is news of this link alone.
        let _ = state.transfers.take_collapse();
        state.probes += 1;
        state.reached = Some(true);
        state.gone(connection, meter.as_ref());
    }

    /// A probe has failed.
    pub(super) fn probe_failed(&self) {
        let mut state = self.lock();
        state.probes += 1;
        state.probe_failures += 1;
        state.reached = Some(false);
    }

    /// How old the newest word about goodput is.
    pub(super) fn goodput_age(&self) -> Option<Duration> {
        let reading = self.lock().transfers.reading(now())?;
        Some(Duration::from_secs_f64(reading.age_seconds))
    }

    /// Whether the last probe failed.
    pub(super) fn is_out_of_reach(&self) -> bool {
        self.lock().reached == Some(false)
    }

    /// Readings; `open` says whether a plan has the link open.
    fn report(&self, to: PeerName, open: bool) -> LinkReport {
        let (mut state, now) = (self.lock(), now());
        let paths: Vec<_> = state.live.iter().map(|live| live.peer.connection.stats().path).collect();
        let path = paths.last();
        if let Some(meter) = state.meter().cloned() {
            state.transfers.look(now, meter.rtt_minimum(now), meter.acked());
        }
        self.tell_collapse(&mut state);
        let of_live = path.and_then(|path| state.meter().and_then(|meter| meter.rtt(now, path.rtt)));
        let of_gone = state.rtt.map(|(then, reading)| {
            let since = now.saturating_duration_since(then).as_secs_f64();
            RttReading { age_seconds: reading.age_seconds + since, ..reading }
        });
        let up = if open { path.is_some() } else { path.is_some() || state.reached == Some(true) };
        LinkReport {
            open,
            up,
            rtt: of_live.or(of_gone),
            goodput: state.transfers.reading(now),
            activations: state.activations,
            sent_bytes: state.bytes,
            packets_sent: state.packets_sent + paths.iter().map(|path| path.sent_packets).sum::<u64>(),
            packets_lost: state.packets_lost + paths.iter().map(|path| path.lost_packets).sum::<u64>(),
            congestion_events: state.congestion_events
                + paths.iter().map(|path| path.congestion_events).sum::<u64>(),
            probes: state.probes,
            probe_failures: state.probe_failures,
            ..LinkReport::unknown(to)
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn meter(&self) -> Option<&PathMeter> {
        self.live.last().and_then(|live| live.meter.as_ref())
    }

    fn gone(&mut self, connection: &quinn::Connection, meter: Option<&PathMeter>) {
        let path = connection.stats().path;
        self.packets_sent += path.sent_packets;
        self.packets_lost += path.lost_packets;
        self.congestion_events += path.congestion_events;
        let now = now();
        if let Some(reading) = meter.and_then(|meter| meter.rtt(now, path.rtt)) {
            self.rtt = Some((now, reading));
        }
    }
}

impl LinkBook {
    /// The record of a peer, which is made if there is none.
    pub(super) fn record(&self, peer: &PeerName) -> LinkRecord {
        let new = || LinkRecord { state: Arc::default(), collapse: self.collapse.clone() };
        self.lock().entry(peer.clone()).or_insert_with(new).clone()
    }

    /// Completes when the rate of some link has collapsed: what is known of the others may be out of date as well.
    pub(super) async fn collapsed(&self) {
        self.collapse.notified().await;
    }

    /// Forgets what nobody needs: neither `open` nor probed. Only when there are more than a report may have, because
    /// counters that begin anew look like a worker's mistake.
    pub(super) fn trim(&self, needed: impl Fn(&PeerName) -> bool) {
        let mut records = self.lock();
        if records.len() > LINKS_MAX {
            records.retain(|peer, _| needed(peer));
        }
    }

    /// Readings of all peers, by name; at most as many as a report may have, open ones first.
    pub fn report(&self, open: impl Fn(&PeerName) -> bool) -> Vec<LinkReport> {
        let records: Vec<_> = self.lock().iter().map(|(p, record)| (p.clone(), record.clone())).collect();
        let (opened, other): (Vec<_>, Vec<_>) = records.into_iter().partition(|(peer, _)| open(peer));
        let opened = opened.into_iter().map(|entry| (entry, true));
        let all = opened.chain(other.into_iter().map(|entry| (entry, false))).take(LINKS_MAX);
        let mut reports: Vec<_> = all.map(|((peer, record), open)| record.report(peer, open)).collect();
        reports.sort_by(|a, b| a.to.cmp(&b.to));
        reports
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<PeerName, LinkRecord>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
