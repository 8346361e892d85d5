//! What is counted for one peer that we send to: across connections, links and probes, for as long as the process lives.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::PeerConnection;
use super::meter::PathMeter;
use crate::ids::PeerName;
use crate::telemetry::{LINKS_MAX, LinkReport, RttReading, Transfers};

/// A path that steps to and fro is asked about no more often than this.
const SUSPECT_PAUSE: Duration = Duration::from_secs(2);

/// The record of one peer. Cheap to clone.
#[derive(Clone, Default)]
pub struct LinkRecord {
    state: Arc<Mutex<State>>,
    news: News,
}

/// Wakes whoever can do something about what was noticed on a link.
#[derive(Clone, Default)]
struct News {
    /// For the prober: the rate of some link has collapsed.
    collapse: Arc<Notify>,
    /// For the prober: some path has become another one.
    suspect: Arc<Notify>,
    /// For whoever reports: what was asked for at once is there.
    found: Arc<Notify>,
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
    /// Connections of other kinds to this peer: they take the same way, so their round-trip times are this link's.
    beside: Vec<Live>,
    /// When the path became another one, if the goodput was not measured since.
    suspect: Option<Instant>,
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
    news: News,
}

/// While this lives, a connection that is no link tells what it sees of the way to its peer.
pub struct Beside {
    record: LinkRecord,
    connection: usize,
}

impl Drop for Beside {
    fn drop(&mut self) {
        let mut state = self.record.lock();
        let gone = |live: &Live| live.peer.connection.stable_id() == self.connection;
        if let Some(at) = state.beside.iter().position(gone) {
            let Live { peer, meter } = state.beside.remove(at);
            state.remember_rtt(&peer.connection, meter.as_ref());
        }
    }
}

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

impl LinkRecord {
    /// A plan's connection is up.
    pub(super) fn connected(&self, peer: &PeerConnection) {
        let mut state = self.lock();
        state.transfers.reset();
        state.live.push(Live::new(peer));
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
        self.tell(&mut state);
    }

    /// Wakes whoever is concerned by what this link has shown.
    fn tell(&self, state: &mut State) {
        if state.transfers.take_collapse() {
            self.news.collapse.notify_one();
            self.news.found.notify_one();
        }
        let meters = state.live.iter().chain(&state.beside).filter_map(|live| live.meter.as_ref());
        let Some(at) = meters.filter_map(PathMeter::take_step).max() else { return };
        if state.suspect.is_none_or(|before| at >= before + SUSPECT_PAUSE) {
            state.suspect = Some(at);
            self.news.suspect.notify_one();
        }
    }

    /// A probe has ended: with the connection that it was made on, and the bytes that were acknowledged in `took`.
    pub(super) fn probed(&self, connection: &quinn::Connection, began: Instant, bytes: u64) {
        let (mut state, now) = (self.lock(), now());
        let meter = PathMeter::of(connection);
        let minimum = meter.as_ref().map_or(Duration::ZERO, |meter| meter.rtt_minimum(now));
        let when_acked = |acked| meter.as_ref().and_then(|meter| meter.when_acked(acked));
        state.transfers.probed(now, began, bytes, minimum, when_acked);
        // A probe's collapse is news of this link alone.
        let _ = state.transfers.take_collapse();
        state.probes += 1;
        state.reached = Some(true);
        state.gone(connection, meter.as_ref());
        if state.suspect.is_some_and(|at| at <= began) {
            self.news.found.notify_one();
        }
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
        self.lock().goodput_age(now())
    }

    /// Whether the path has become another one since its goodput was measured.
    pub(super) fn is_suspect(&self) -> bool {
        let (state, now) = (self.lock(), now());
        let since = state.suspect.map(|at| now.saturating_duration_since(at));
        since.is_some_and(|since| state.goodput_age(now).is_none_or(|age| age > since))
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
        self.tell(&mut state);
        let of_live = path.and_then(|path| state.meter().and_then(|meter| meter.rtt(now, path.rtt)));
        let of_gone = state.rtt.map(|(then, reading)| {
            let since = now.saturating_duration_since(then).as_secs_f64();
            RttReading { age_seconds: reading.age_seconds + since, ..reading }
        });
        let of_beside = state.beside.iter().filter_map(|live| live.rtt(now));
        let newest = |a: &RttReading, b: &RttReading| a.age_seconds.total_cmp(&b.age_seconds);
        let of_others = of_gone.into_iter().chain(of_beside).min_by(newest);
        let up = if open { path.is_some() } else { path.is_some() || state.reached == Some(true) };
        LinkReport {
            open,
            up,
            rtt: of_live.or(of_others),
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

impl Live {
    fn new(peer: &PeerConnection) -> Self {
        Self { peer: peer.clone(), meter: PathMeter::of(&peer.connection) }
    }

    fn rtt(&self, now: Instant) -> Option<RttReading> {
        self.meter.as_ref()?.rtt(now, self.peer.connection.stats().path.rtt)
    }
}

impl State {
    fn goodput_age(&self, now: Instant) -> Option<Duration> {
        let reading = self.transfers.reading(now)?;
        Some(Duration::from_secs_f64(reading.age_seconds))
    }

    fn meter(&self) -> Option<&PathMeter> {
        self.live.last().and_then(|live| live.meter.as_ref())
    }

    fn gone(&mut self, connection: &quinn::Connection, meter: Option<&PathMeter>) {
        let path = connection.stats().path;
        self.packets_sent += path.sent_packets;
        self.packets_lost += path.lost_packets;
        self.congestion_events += path.congestion_events;
        self.remember_rtt(connection, meter);
    }

    fn remember_rtt(&mut self, connection: &quinn::Connection, meter: Option<&PathMeter>) {
        let (now, rtt) = (now(), connection.stats().path.rtt);
        if let Some(reading) = meter.and_then(|meter| meter.rtt(now, rtt)) {
            self.rtt = Some((now, reading));
        }
    }
}

impl LinkBook {
    /// The record of a peer, which is made if there is none.
    pub(super) fn record(&self, peer: &PeerName) -> LinkRecord {
        let new = || LinkRecord { state: Arc::default(), news: self.news.clone() };
        self.lock().entry(peer.clone()).or_insert_with(new).clone()
    }

    /// Completes when the rate of some link has collapsed: what is known of the others may be out of date as well.
    pub(super) async fn collapsed(&self) {
        self.news.collapse.notified().await;
    }

    /// Completes when the way to some peer has become another one, so that its goodput has to be measured anew.
    pub(super) async fn suspected(&self) {
        self.news.suspect.notified().await;
    }

    /// Completes when there is news that should not wait for the next report.
    pub async fn found(&self) {
        self.news.found.notified().await;
    }

    /// A connection that is no link, such as a session, tells what it sees of the way to its peer while the returned value
    /// lives: an idle link's round-trip times are known by it at no cost.
    pub fn beside(&self, peer: &PeerConnection) -> Beside {
        let record = self.record(&peer.peer);
        record.lock().beside.push(Live::new(peer));
        Beside { record, connection: peer.connection.stable_id() }
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
