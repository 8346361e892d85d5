//! Puts a worker together: pipeline, control and admin, and takes it down in order.

use std::cell::RefCell;
use std::hash::{BuildHasher as _, Hasher as _};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use actix::Addr;
use tokio::time::Instant;
use weir_shared::http::{ListenError, listen};
use weir_shared::ids::PeerName;
use weir_shared::telemetry::{Calibration, StartId};
use weir_shared::transport::{Certificates, LOOK, Rotation, Settings, Transport};

use crate::admin::{self, AdminState};
use crate::control::{Control, Outbox};
use crate::pipeline::{Parts, Pipeline, PipelineError};
use crate::stage::{LoadStage, StageActor};
use crate::telemetry::{Telemetry, TelemetryConfig};

/// What a worker is told at its start.
pub struct Config {
    /// Certificate, key and authorities, and where new ones will be.
    pub certificates: Certificates,
    /// UDP address for activations.
    pub listen: SocketAddr,
    /// Where other peers reach it, if that is not `listen`.
    pub advertise: Option<SocketAddr>,
    /// The orchestrator's name.
    pub orchestrator: PeerName,
    /// Where the orchestrator is, as `host:port`.
    pub orchestrator_address: String,
    /// TCP address of the HTTP side.
    pub admin: SocketAddr,
    /// libtorch threads.
    pub threads: u16,
    /// QUIC settings.
    pub transport: Settings,
    /// Loads stages.
    pub loader: Arc<dyn LoadStage>,
    /// What is known about the machine.
    pub telemetry: TelemetryConfig,
    /// How often readings are sent.
    pub report_period: Duration,
    /// What was measured beforehand.
    pub calibration: Option<Calibration>,
}

/// A worker that runs.
pub struct Worker {
    transport: Transport,
    stage: Addr<StageActor>,
    admin: actix_web::dev::ServerHandle,
    /// Keeps the certificates new.
    _rotation: Rotation,
    /// Where activations are accepted.
    pub data_address: SocketAddr,
    /// Where the HTTP side listens.
    pub admin_address: SocketAddr,
}

/// Why a worker does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Requests could not flow.
    #[error(transparent)]
    Pipeline(#[from] PipelineError),
    /// The TCP port cannot be had.
    #[error(transparent)]
    Admin(#[from] ListenError),
    /// The system gives no thread.
    #[error("the system refuses a thread")]
    System(#[from] std::io::Error),
}

/// Peers are told at once, and then everything ends after at most this long.
///
/// A handshake that nobody answers would otherwise take three of its probe timeouts to die, 3 s in all.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// How often the stage actor is looked at. A panic costs an actor for good, so this is how long nobody notices.
const WATCH: Duration = Duration::from_millis(250);

impl Worker {
    /// Starts a worker on the current actix system. `prepare_thread` runs first on the compute thread.
    ///
    /// # Errors
    /// If a port or the identity cannot be used.
    pub fn start(config: Config, prepare_thread: impl FnOnce() + Send + 'static) -> Result<Self, StartError> {
        let (admin_listener, admin_address) = listen(config.admin)?;
        let outbox = Outbox::new();
        let parts = Parts {
            identity: config.certificates.current(),
            listen: config.listen,
            transport: config.transport,
            loader: config.loader,
            failures: outbox.failures(),
        };
        let Pipeline { worker, transport, address, stage, plans, metrics, measuring } =
            Pipeline::start(parts, prepare_thread)?;
        let shown = metrics.clone();
        let rotation = Rotation::start(config.certificates, transport.clone(), LOOK, move |identity| {
            shown.certificate(identity.expires().unix_timestamp());
        });
        let watched = stage.clone();
        let control = Control {
            transport: transport.clone(),
            orchestrator: config.orchestrator,
            address: config.orchestrator_address,
            data_address: config.advertise.unwrap_or(address),
            threads: config.threads,
            stage,
            outbox,
            measuring,
            telemetry: RefCell::new(Telemetry::new(config.telemetry, start_id(), Instant::now().into_std())),
            report_period: config.report_period,
            calibration: config.calibration,
            metrics: metrics.clone(),
        };
        let session = control.keep();
        let server = admin::serve(admin_listener, AdminState { metrics, session, plans })?;
        let admin = server.handle();
        actix_rt::spawn(server);
        tracing::info!(%worker, data = %address, admin = %admin_address, "worker started");
        Ok(Self {
            transport,
            stage: watched,
            admin,
            _rotation: rotation,
            data_address: address,
            admin_address,
        })
    }

    /// Completes when the stage actor is gone. A worker without it is of no use, and whoever started the process
    /// should start it again.
    pub async fn failed(&self) {
        while self.stage.connected() {
            tokio::time::sleep(WATCH).await;
        }
    }

    /// Tells the peers and closes.
    pub async fn stop(self) {
        let quic = tokio::time::timeout(CLOSE_TIMEOUT, self.transport.close());
        let (_, ()) = tokio::join!(quic, self.admin.stop(true));
    }
}

/// A number that no other start of this worker has.
fn start_id() -> StartId {
    // The standard library's keys for hash maps are random in each process.
    StartId(std::hash::RandomState::new().build_hasher().finish())
}
