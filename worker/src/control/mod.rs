//! The session with the orchestrator: one QUIC connection, opened by the worker and kept open.
//!
//! Directives go to the stage actor, its answers and failures come back. When the connection is lost the worker
//! goes on computing its live plans and dials again: requests do not depend on the orchestrator's session.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use tokio::sync::{Mutex, mpsc, watch};
use weir_shared::ids::PeerName;
use weir_shared::plan::Plan;
use weir_shared::telemetry::Calibration;
use weir_shared::transport::{FrameReader, FrameWriter, Protocol, Transport};
use weir_shared::wire::control::{FromWorker, Hello, Reason, RequestFailure, ToWorker};

use crate::metrics::Metrics;
use crate::pipeline::Measuring;
use crate::stage::{
    CommitPlan, ConnectPlan, GetReport, NotConnected, ObeyTerm, PreparePlan, RetirePlan, StageActor,
};
use crate::telemetry::Telemetry;

/// Messages that may wait for the control stream. Failures beyond it are lost; the gateway then finds out by time.
const OUTBOX: usize = 1024;

/// Pause before dialling again.
const REDIAL: Duration = Duration::from_millis(500);

/// Whether an orchestrator has welcomed this worker and is still connected.
pub type SessionState = watch::Receiver<bool>;

/// What a session needs.
pub struct Control {
    /// Dials.
    pub transport: Transport,
    /// The orchestrator's name.
    pub orchestrator: PeerName,
    /// Where it is, as `host:port`; looked up again before each dial.
    pub address: String,
    /// Where other peers reach this worker.
    pub data_address: SocketAddr,
    /// Compute threads, for the orchestrator to know.
    pub threads: u16,
    /// Carries directives out.
    pub stage: Addr<StageActor>,
    /// Takes what the stage has to say.
    pub outbox: Outbox,
    /// Measures links where the orchestrator says so.
    pub measuring: Measuring,
    /// Reads the machine for each report.
    pub telemetry: RefCell<Telemetry>,
    /// How often readings are sent.
    pub report_period: Duration,
    /// What was measured before the first session.
    pub calibration: Option<Calibration>,
    /// Shows what is reported.
    pub metrics: Arc<Metrics>,
}

/// Where the stage leaves messages for the orchestrator; usable before and between sessions.
#[derive(Clone)]
pub struct Outbox {
    sender: mpsc::Sender<FromWorker>,
    waiting: Arc<Mutex<mpsc::Receiver<FromWorker>>>,
}

/// Why a session ended.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The orchestrator's name cannot be looked up.
    #[error("cannot look up {address}; write the orchestrator as host:port")]
    Lookup {
        /// As configured.
        address: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It cannot be reached.
    #[error(transparent)]
    Connect(#[from] weir_shared::transport::ConnectError),
    /// The connection broke.
    #[error("the control connection broke")]
    Connection(#[from] quinn::ConnectionError),
    /// A message could not be read or written.
    #[error(transparent)]
    Frame(#[from] weir_shared::wire::control::FrameError),
    /// The orchestrator turned this worker away.
    #[error("the orchestrator refuses this worker: {0}")]
    Rejected(Reason),
    /// The orchestrator's term is over.
    #[error(transparent)]
    Fenced(#[from] crate::plans::PlanRefusal),
    /// It did not begin with a welcome.
    #[error("the orchestrator did not welcome this worker")]
    Unwelcome,
    /// The stage actor has died, and with it the worker's purpose.
    #[error("the stage actor is gone")]
    StageGone(#[from] MailboxError),
}

impl Outbox {
    /// An empty outbox.
    pub fn new() -> Self {
        let (sender, waiting) = mpsc::channel(OUTBOX);
        Self { sender, waiting: Arc::new(Mutex::new(waiting)) }
    }

    /// Leaves a message; drops it if too many wait.
    pub fn leave(&self, message: FromWorker) {
        if self.sender.try_send(message).is_err() {
            tracing::warn!("the control outbox is full; a message was dropped");
        }
    }

    /// A function that leaves request failures here.
    pub fn failures(&self) -> Arc<dyn Fn(RequestFailure) + Send + Sync> {
        let outbox = self.clone();
        Arc::new(move |failure| outbox.leave(FromWorker::Failed(failure)))
    }
}

impl Default for Outbox {
    fn default() -> Self {
        Self::new()
    }
}

impl Control {
    /// Keeps a session open for ever; returns the state of it for readiness.
    pub fn keep(self) -> SessionState {
        let (publish, state) = watch::channel(false);
        actix_rt::spawn(async move {
            loop {
                let error = self.session(&publish).await;
                publish.send_replace(false);
                if let Err(error) = error {
                    let error = weir_shared::chain(&error);
                    tracing::warn!(orchestrator = %self.address, %error, "no session with the orchestrator");
                }
                tokio::time::sleep(REDIAL).await;
            }
        });
        state
    }

    async fn session(&self, publish: &watch::Sender<bool>) -> Result<(), SessionError> {
        let lookup = |source| SessionError::Lookup { address: self.address.clone(), source };
        let mut found = tokio::net::lookup_host(&self.address).await.map_err(lookup)?;
        let address = found.next().ok_or_else(|| lookup(std::io::ErrorKind::NotFound.into()))?;
        let peer = self.transport.connect(&self.orchestrator, address, Protocol::Control).await?;
        let (send, receive) = peer.connection.open_bi().await?;
        let mut writer = FrameWriter::open(send).await?;
        writer.send(&self.hello().await?).await?;
        let mut reader = FrameReader::open(receive).await?;
        match reader.receive().await? {
            ToWorker::Welcome { term } => self.stage.send(ObeyTerm(term)).await??,
            ToWorker::Reject { reason } => return Err(SessionError::Rejected(reason)),
            _ => return Err(SessionError::Unwelcome),
        }
        tracing::info!(orchestrator = %self.orchestrator, %address, "session open");
        publish.send_replace(true);
        let _beside = self.measuring.prober.beside(&peer);
        tokio::select! {
            ended = self.listen(&mut reader) => ended,
            ended = self.speak(&mut writer) => ended,
            ended = self.report() => ended,
            reason = peer.connection.closed() => Err(reason.into()),
        }
    }

    async fn hello(&self) -> Result<FromWorker, SessionError> {
        let (_, term, live) = self.stage.send(GetReport).await?;
        Ok(FromWorker::Hello(Hello {
            release: env!("CARGO_PKG_VERSION").into(),
            data_address: self.data_address,
            threads: self.threads,
            term,
            live,
            start: self.telemetry.borrow().start(),
            report_period_millis: u32::try_from(self.report_period.as_millis()).unwrap_or(u32::MAX),
            calibration: self.calibration.clone(),
        }))
    }

    /// Hands directives to the stage. Slow ones answer from a task of their own, so that the next is heard at once.
    async fn listen(&self, reader: &mut FrameReader<ToWorker>) -> Result<(), SessionError> {
        loop {
            match reader.receive().await? {
                ToWorker::Prepare(plan) => self.prepare(*plan),
                ToWorker::Connect { plan } => {
                    let (stage, outbox) = (self.stage.clone(), self.outbox.clone());
                    actix_rt::spawn(async move {
                        // A stage that is gone ends this process; nobody waits for its answer.
                        let Ok(done) = stage.send(ConnectPlan(plan)).await else { return };
                        outbox.leave(match done {
                            Ok(()) => FromWorker::Connected { plan },
                            Err(NotConnected { reason, unreachable }) => {
                                FromWorker::Refused { plan, reason: reason.into(), unreachable }
                            }
                        });
                    });
                }
                ToWorker::Commit { plan } => self.stage.send(CommitPlan(plan)).await?,
                ToWorker::Retire { plan } => {
                    self.stage.send(RetirePlan(plan)).await?;
                    self.outbox.leave(FromWorker::Retired { plan });
                }
                ToWorker::Measure { probe, admit } => self.measuring.measure(probe, admit),
                ToWorker::Reject { reason } => return Err(SessionError::Rejected(reason)),
                ToWorker::Welcome { .. } => return Err(SessionError::Unwelcome),
            }
        }
    }

    fn prepare(&self, plan: Plan) {
        let (stage, outbox) = (self.stage.clone(), self.outbox.clone());
        actix_rt::spawn(async move {
            let id = plan.id();
            let done = stage.send(PreparePlan(plan)).await;
            outbox.leave(match done.unwrap_or_else(|error| Err(error.to_string())) {
                Ok((hash, loaded)) => FromWorker::Prepared { plan: id, hash, loaded },
                Err(reason) => {
                    tracing::warn!(plan = %id, %reason, "plan refused");
                    FromWorker::Refused { plan: id, reason: reason.into(), unreachable: Vec::new() }
                }
            });
        });
    }

    async fn speak(&self, writer: &mut FrameWriter<FromWorker>) -> Result<(), SessionError> {
        let mut waiting = self.outbox.waiting.lock().await;
        while let Some(message) = waiting.recv().await {
            writer.send(&message).await?;
        }
        Ok(())
    }

    async fn report(&self) -> Result<(), SessionError> {
        let mut tick = tokio::time::interval(self.report_period);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = tick.tick() => {}
                () = self.measuring.prober.found() => {}
            }
            let (mut report, ..) = self.stage.send(GetReport).await?;
            self.telemetry.borrow_mut().complete(&mut report, tokio::time::Instant::now().into_std());
            self.metrics.report(&report);
            self.outbox.leave(FromWorker::Report(report));
        }
    }
}
