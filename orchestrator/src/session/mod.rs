//! A session speaks for one worker: it hears the worker out and carries the supervisor's directives to it.
//!
//! What a worker says about plans goes to the supervisor; what it says about requests goes straight to the
//! gateway, because requests never depend on the supervisor.

mod silence;

use std::time::Duration;

use actix::prelude::*;
use futures_util::stream;
use tokio::sync::mpsc;
use weir_shared::ids::{Role, WorkerId};
use weir_shared::transport::{Beside, FrameReader, FrameWriter, PeerConnection, close_code};
use weir_shared::wire::control::{FrameError, FromWorker, Hello, ToWorker};

use self::silence::{Change, Voice};
use crate::clock::now;
use crate::cluster::SessionId;
use crate::gateway::GatewayActor;
use crate::gateway::messages::RequestFailed;
use crate::supervisor::{
    Directive, Seen, Supervisor, WorkerFellSilent, WorkerJoined, WorkerLeft, WorkerSaid, WorkerSpokeAgain,
};

/// A worker introduces itself at once, or it is none of ours.
const HELLO_MAX: Duration = Duration::from_secs(5);

/// Directives that may wait for the stream. A worker that does not read so many is as good as lost.
const OUTBOX: usize = 64;

/// Speaks for one worker.
pub struct WorkerSession {
    worker: WorkerId,
    id: SessionId,
    hello: Hello,
    peer: PeerConnection,
    reader: Option<FrameReader<FromWorker>>,
    outbox: mpsc::Sender<ToWorker>,
    supervisor: Addr<Supervisor>,
    gateway: Addr<GatewayActor>,
    voice: Voice,
    _beside: Beside,
}

/// Why no session came about.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// Only workers have sessions.
    #[error("the certificate is no worker's")]
    NotAWorker,
    /// No introduction in time.
    #[error("no introduction within {HELLO_MAX:?}")]
    Slow,
    /// The connection broke.
    #[error("the connection broke")]
    Connection(#[from] quinn::ConnectionError),
    /// The first message is unreadable.
    #[error("the introduction cannot be read")]
    Frame(#[from] FrameError),
    /// The first message is no introduction, or one that no worker gives.
    #[error("the first message is no introduction of a worker")]
    NoHello,
}

impl WorkerSession {
    /// Hears the introduction and starts the session, which keeps `beside`.
    ///
    /// # Errors
    /// If the peer is no worker of this release. It is told why, and the connection is closed.
    pub async fn open(
        peer: PeerConnection,
        id: SessionId,
        supervisor: Addr<Supervisor>,
        gateway: Addr<GatewayActor>,
        beside: Beside,
    ) -> Result<(), SessionError> {
        let Some(worker) = peer.peer.as_worker().filter(|_| peer.peer.role() == Role::Worker) else {
            peer.close(close_code::WRONG_ROLE, "only workers have sessions");
            return Err(SessionError::NotAWorker);
        };
        // Workers open one stream for control, and none in one direction.
        peer.connection.set_max_concurrent_uni_streams(quinn::VarInt::from_u32(0));
        let heard = tokio::time::timeout(HELLO_MAX, introduction(&peer)).await;
        let (hello, reader, writer) = heard.map_err(|_| SessionError::Slow)??;
        let (outbox, waiting) = mpsc::channel(OUTBOX);
        actix_rt::spawn(write(writer, waiting, peer.clone()));
        Self {
            worker,
            id,
            hello,
            peer,
            reader: Some(reader),
            outbox,
            supervisor,
            gateway,
            voice: Voice::new(now()),
            _beside: beside,
        }
        .start();
        Ok(())
    }
}

impl WorkerSession {
    fn listen_for_silence(&mut self) {
        let received = self.peer.connection.stats().udp_rx.datagrams;
        let (worker, session) = (self.worker.clone(), self.id);
        match self.voice.look(now(), received, self.peer.connection.rtt()) {
            Some(Change::Silent) => self.supervisor.do_send(WorkerFellSilent { worker, session }),
            Some(Change::Heard) => self.supervisor.do_send(WorkerSpokeAgain { worker, session }),
            None => {}
        }
    }
}

type Introduction = (Hello, FrameReader<FromWorker>, FrameWriter<ToWorker>);

async fn introduction(peer: &PeerConnection) -> Result<Introduction, SessionError> {
    let (send, receive) = peer.connection.accept_bi().await?;
    // Ours goes out first, so that a peer of another release learns which one we are.
    let writer = FrameWriter::open(send).await?;
    let greeted = async {
        let mut reader = FrameReader::open(receive).await?;
        match reader.receive().await? {
            FromWorker::Hello(hello) if !hello.is_absurd() => Ok((hello, reader)),
            _ => Err(SessionError::NoHello),
        }
    };
    match greeted.await {
        Ok((hello, reader)) => Ok((hello, reader, writer)),
        Err(error) => {
            writer.finish().await;
            Err(error)
        }
    }
}

async fn write(
    mut writer: FrameWriter<ToWorker>,
    mut waiting: mpsc::Receiver<ToWorker>,
    peer: PeerConnection,
) {
    while let Some(message) = waiting.recv().await {
        if let Err(error) = writer.send(&message).await {
            tracing::warn!(peer = %peer.peer, error = %weir_shared::chain(&error), "cannot reach the worker");
            return peer.close(close_code::PROTOCOL, "the control stream broke");
        }
    }
}

/// The stream of a worker's messages; ends with the connection.
async fn next(mut reader: FrameReader<FromWorker>) -> Option<(FromWorker, FrameReader<FromWorker>)> {
    match reader.receive().await {
        Ok(message) => Some((message, reader)),
        Err(FrameError::Stream(_)) => None,
        Err(error) => {
            tracing::warn!(error = %weir_shared::chain(&error), "a worker sent what is no message");
            None
        }
    }
}

impl Actor for WorkerSession {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.run_interval(silence::LOOK, |session, _| session.listen_for_silence());
        if let Some(reader) = self.reader.take() {
            context.add_stream(stream::unfold(reader, next));
        }
        self.supervisor.do_send(WorkerJoined {
            worker: self.worker.clone(),
            session: self.id,
            hello: self.hello.clone(),
            seen: Seen {
                worker: self.peer.connection.remote_address().ip(),
                orchestrator: self.peer.connection.local_ip(),
            },
            directives: context.address().recipient(),
        });
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        self.peer.close(close_code::SHUTDOWN, "the session ended");
        self.supervisor.do_send(WorkerLeft { worker: self.worker.clone(), session: self.id });
    }
}

/// Messages from the worker. The actor stops when they end.
impl StreamHandler<FromWorker> for WorkerSession {
    fn handle(&mut self, message: FromWorker, _: &mut Self::Context) {
        match message {
            // One failure is one small note, and a worker that sends too many is slowed down by its own stream.
            FromWorker::Failed(failure) => self.gateway.do_send(RequestFailed(failure)),
            message => {
                self.supervisor.do_send(WorkerSaid {
                    worker: self.worker.clone(),
                    session: self.id,
                    message,
                });
            }
        }
    }
}

impl Handler<Directive> for WorkerSession {
    type Result = ();

    fn handle(&mut self, Directive(message): Directive, context: &mut Self::Context) {
        if matches!(message, ToWorker::Reject { .. }) {
            // Time for the reason to arrive; then the connection is closed.
            context.run_later(HELLO_MAX, |_, context| context.stop());
        }
        if self.outbox.try_send(message).is_err() {
            tracing::error!(worker = %self.worker, "the worker does not read its directives; closing its session");
            context.stop();
        }
    }
}
