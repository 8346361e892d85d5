//! The part of a worker through which requests flow: links in, stage, links out, on one socket.
//!
//! It obeys whoever holds its stage's address and knows no orchestrator, so a test or another host can drive it
//! without a control session.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;

use actix::prelude::*;
use tokio::sync::watch;
use weir_shared::ids::{PeerName, WorkerId};
use weir_shared::transport::{Admitted, BindError, Identity, ProbeSink, Prober, Settings, Transport};
use weir_shared::wire::control::{MEASURED_MAX, ProbeTarget};

use crate::inbound::Inbound;
use crate::metrics::Metrics;
use crate::outbound::{Failures, OnFailure, Outbound};
use crate::plans::LivePlans;
use crate::stage::{LoadStage, StageActor, StageParts};

/// What a pipeline needs.
pub struct Parts {
    /// Certificate, key and authorities.
    pub identity: Arc<Identity>,
    /// UDP address for activations.
    pub listen: SocketAddr,
    /// QUIC settings.
    pub transport: Settings,
    /// Loads stages.
    pub loader: Arc<dyn LoadStage>,
    /// Told about requests that cannot go on here.
    pub failures: OnFailure,
}

/// A pipeline that runs; it ends when its transport is closed.
pub struct Pipeline {
    /// The worker whose pipeline this is.
    pub worker: WorkerId,
    /// Its socket.
    pub transport: Transport,
    /// The address of that socket.
    pub address: SocketAddr,
    /// Takes plans and gives readings.
    pub stage: Addr<StageActor>,
    /// The plans that are alive.
    pub plans: watch::Receiver<Arc<LivePlans>>,
    /// Counts.
    pub metrics: Arc<Metrics>,
    /// Measures its links.
    pub measuring: Measuring,
}

/// Measures links that carry nothing, and lets others do so.
pub struct Measuring {
    pub(crate) prober: Prober,
    admit: watch::Sender<Arc<BTreeSet<PeerName>>>,
}

impl Measuring {
    /// Probes the peers of `probe` from now on and lets those of `admit` probe; no more of each than any orchestrator
    /// asks for.
    pub fn measure(&self, mut probe: Vec<ProbeTarget>, admit: Vec<PeerName>) {
        probe.truncate(MEASURED_MAX);
        self.prober.measure(probe);
        self.admit.send_replace(Arc::new(admit.into_iter().take(MEASURED_MAX).collect()));
    }
}

/// Why a pipeline does not start.
#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    /// The certificate is not a worker's.
    #[error("the certificate is that of {0}; a worker needs <name>.worker.weir.internal")]
    NotAWorker(PeerName),
    /// The UDP port or the identity cannot be used.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The system gives no thread or address.
    #[error("the system refuses a thread or an address")]
    System(#[from] std::io::Error),
    /// Two metrics have one name.
    #[error("metrics cannot be registered")]
    Metrics(#[from] prometheus::Error),
}

impl Pipeline {
    /// Starts a pipeline on the current actix system. `prepare_thread` runs first on the compute thread.
    ///
    /// # Errors
    /// If the port or the identity cannot be used.
    pub fn start(
        parts: Parts,
        prepare_thread: impl FnOnce() + Send + 'static,
    ) -> Result<Self, PipelineError> {
        let Parts { identity, listen, transport, loader, failures } = parts;
        let name = identity.name().clone();
        let worker = name.as_worker().ok_or_else(|| PipelineError::NotAWorker(name.clone()))?;
        let transport = Transport::bind(&identity, listen, transport)?;
        let address = transport.address()?;
        let metrics = Arc::new(Metrics::new(name.short())?);
        let failures = Failures { notify: failures, metrics: metrics.clone() };
        let (publish, plans) = watch::channel(Arc::new(LivePlans::default()));
        let outbound = Outbound::new(transport.clone(), failures.clone());
        let (admit, probers) = watch::channel(Arc::new(BTreeSet::new()));
        let measuring = Measuring { prober: Prober::start(transport.clone(), outbound.book()), admit };
        let stage = StageParts {
            worker: worker.clone(),
            loader,
            outbound,
            failures: failures.clone(),
            publish,
            metrics: metrics.clone(),
        };
        let stage = StageActor::launch(stage, prepare_thread)?;
        let inbound = Inbound {
            plans: plans.clone(),
            stage: stage.clone(),
            failures,
            metrics: metrics.clone(),
            admitted: Admitted::default(),
            probers,
            probes: ProbeSink::default(),
        };
        actix_rt::spawn(inbound.run(transport.clone()));
        Ok(Self { worker, transport, address, stage, plans, metrics, measuring })
    }
}
