//! A directed link: keeps one QUIC connection to a peer and sends activations on it, in order, within bounds.
//!
//! Parcels come in through a bounded queue; a full queue is refused at once, so whoever computes never waits for
//! the wire. The link dials when it is made and again, after a growing pause, whenever the connection is lost. A
//! parcel that was not acknowledged when the connection died is reported as failed: nothing vanishes in silence.
//! A link that is dropped still delivers what it has taken, for a bounded time.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use quinn::WriteError;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::ids::PeerName;
use crate::wire::Header;
use crate::wire::control::FailureKind;

use super::activation::{self, SendError};
use super::record::LinkRecord;
use super::{ConnectError, PeerConnection, Protocol, Transport, close_code};

/// Parcels that may wait for the wire. More would only grow old: each is one request.
const QUEUE: usize = 64;

/// Pause before dialling again, and the most it grows to: short enough to meet a restarted peer at once.
const REDIAL_FIRST: Duration = Duration::from_millis(50);
const REDIAL_MAX: Duration = Duration::from_secs(1);

/// A dropped link waits this long for its last acknowledgements: some round trips of a slow radio link.
const LINGER: Duration = Duration::from_secs(2);

/// An activation on its way out.
#[derive(Debug)]
pub struct Parcel {
    /// Its header; the time left is filled in when it is written.
    pub header: Header,
    /// Its numbers.
    pub payload: Bytes,
    /// When the request must be answered.
    pub deadline: Instant,
}

/// A parcel that did not arrive.
#[derive(Debug)]
pub struct Undelivered {
    /// Its header.
    pub header: Header,
    /// What kind of failure it was.
    pub kind: FailureKind,
    /// Details for people.
    pub reason: String,
}

/// Told about parcels that did not arrive.
pub type OnUndelivered = Arc<dyn Fn(Undelivered) + Send + Sync>;

/// A link to one peer. Dropping it closes the connection once everything that it took is acknowledged.
pub struct Link {
    queue: mpsc::Sender<Parcel>,
    connection: watch::Receiver<Option<PeerConnection>>,
    /// Ends a pause between two attempts.
    wanted: Arc<Notify>,
    /// Tells the link's task, by being dropped, that nobody will send any more.
    _open: oneshot::Sender<()>,
}

/// What the link's task owns.
struct Dialler {
    transport: Transport,
    peer: PeerName,
    address: SocketAddr,
    publish: watch::Sender<Option<PeerConnection>>,
    record: LinkRecord,
    wanted: Arc<Notify>,
    on_undelivered: OnUndelivered,
}

impl Link {
    /// Starts to dial `peer` at `address`.
    pub fn open(
        transport: Transport,
        peer: PeerName,
        address: SocketAddr,
        record: LinkRecord,
        on_undelivered: OnUndelivered,
    ) -> Self {
        let (queue, parcels) = mpsc::channel(QUEUE);
        let (publish, connection) = watch::channel(None);
        let wanted = Arc::<Notify>::default();
        let dialler =
            Dialler { transport, peer, address, publish, record, wanted: wanted.clone(), on_undelivered };
        let (open, dropped) = oneshot::channel();
        tokio::spawn(dialler.run(parcels, dropped));
        Self { queue, connection, wanted, _open: open }
    }

    /// Takes a parcel, or gives it back if the queue is full.
    ///
    /// # Errors
    /// The parcel itself, for the caller to report.
    pub fn try_send(&self, parcel: Parcel) -> Result<(), Box<Parcel>> {
        self.queue.try_send(parcel).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(parcel) | mpsc::error::TrySendError::Closed(parcel) => {
                Box::new(parcel)
            }
        })
    }

    /// Completes when the peer is connected, and has it dialled at once if it is not. Cheap to call again.
    pub fn connected(&self) -> impl Future<Output = ()> + use<> {
        let mut connection = self.connection.clone();
        if connection.borrow().is_none() {
            self.wanted.notify_one();
        }
        async move {
            // The sender lives as long as the link's task; if that is gone there is nothing to wait for.
            let _ = connection.wait_for(Option::is_some).await;
        }
    }
}

impl Dialler {
    async fn run(self, mut parcels: mpsc::Receiver<Parcel>, mut dropped: oneshot::Receiver<()>) {
        let mut pause = REDIAL_FIRST;
        loop {
            let dialled = tokio::select! {
                biased;
                _ = &mut dropped => break,
                dialled = self.transport.connect(&self.peer, self.address, Protocol::Data) => dialled,
            };
            match dialled {
                Ok(connection) => {
                    tracing::info!(peer = %self.peer, address = %self.address, "link up");
                    let began = Instant::now();
                    self.serve(connection, &mut parcels).await;
                    // A peer that turns us away right after the handshake is not asked twenty times a second.
                    if began.elapsed() > REDIAL_MAX {
                        pause = REDIAL_FIRST;
                    }
                }
                // It will not come right by waiting.
                Err(error @ ConnectError::Dial { .. }) => {
                    tracing::warn!(error = %crate::chain(&error), "the link cannot be dialled");
                }
                Err(error) => {
                    tracing::debug!(peer = %self.peer, address = %self.address, %error, "link not up yet");
                }
            }
            self.fail_waiting(&mut parcels);
            tokio::select! {
                biased;
                _ = &mut dropped => break,
                () = self.wanted.notified() => pause = REDIAL_FIRST,
                () = tokio::time::sleep(pause) => pause = (pause * 2).min(REDIAL_MAX),
            }
        }
        self.fail_waiting(&mut parcels);
    }

    /// Sends until the connection is lost, or until the link is dropped and the queue is empty.
    async fn serve(&self, peer: PeerConnection, parcels: &mut mpsc::Receiver<Parcel>) {
        let connection = peer.connection.clone();
        let mut deliveries = JoinSet::new();
        self.record.connected(&peer);
        self.publish.send_replace(Some(peer.clone()));
        loop {
            tokio::select! {
                biased;
                reason = connection.closed() => {
                    tracing::warn!(peer = %self.peer, %reason, "link down");
                    break;
                }
                parcel = parcels.recv() => match parcel {
                    Some(parcel) => self.write(&connection, parcel, &mut deliveries).await,
                    None => break,
                }
            }
            while deliveries.try_join_next().is_some() {}
        }
        // Those of a lost connection fail at once; those of a dropped link are given time.
        let delivered = async { while deliveries.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(LINGER, delivered).await;
        deliveries.detach_all();
        peer.close(close_code::SHUTDOWN, "link closed");
        self.publish.send_replace(None);
        self.record.disconnected(&peer);
    }

    async fn write(&self, connection: &quinn::Connection, mut parcel: Parcel, deliveries: &mut JoinSet<()>) {
        let remaining = parcel.deadline.saturating_duration_since(Instant::now());
        if remaining.is_zero() {
            return self.fail(parcel.header, FailureKind::Expired, "no time was left to send it".to_owned());
        }
        parcel.header.remaining_micros = remaining.as_micros() as u64;
        let bytes = parcel.payload.len() as u64;
        self.record.began(bytes);
        let sent = activation::send(connection, &parcel.header, parcel.payload, parcel.deadline).await;
        if sent.is_err() {
            self.record.ended();
        }
        match sent {
            Ok(stream) => {
                self.record.written(bytes);
                deliveries.spawn(self.watch_delivery(stream, parcel.header));
            }
            // Only a receiver that refuses the request stops reading, and it reports that itself.
            Err(SendError::Write(WriteError::Stopped(_))) => {}
            Err(SendError::Late) => {
                let reason = format!("{} did not take it in time", self.peer);
                self.fail(parcel.header, FailureKind::Expired, reason);
            }
            Err(error) => self.fail(parcel.header, FailureKind::LinkDown, crate::chain(&error)),
        }
    }

    /// Reports the parcel if the connection dies before the peer has acknowledged it.
    ///
    /// A receiver that refuses a stream says so through its own report, so a stopped stream is no failure here.
    fn watch_delivery(&self, stream: quinn::SendStream, header: Header) -> impl Future<Output = ()> + use<> {
        let on_undelivered = self.on_undelivered.clone();
        let (peer, record) = (self.peer.clone(), self.record.clone());
        async move {
            let acknowledged = stream.stopped().await;
            record.ended();
            if let Err(error) = acknowledged {
                let reason = format!("{peer} did not acknowledge it: {error}");
                on_undelivered(Undelivered { header, kind: FailureKind::LinkDown, reason });
            }
        }
    }

    fn fail_waiting(&self, parcels: &mut mpsc::Receiver<Parcel>) {
        while let Ok(parcel) = parcels.try_recv() {
            self.fail(parcel.header, FailureKind::LinkDown, format!("{} cannot be reached", self.peer));
        }
    }

    fn fail(&self, header: Header, kind: FailureKind, reason: String) {
        (self.on_undelivered)(Undelivered { header, kind, reason });
    }
}
