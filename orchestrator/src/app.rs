//! Puts an orchestrator together: transport, gateway, supervisor, sessions and HTTP, and takes it down in order.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use actix::prelude::*;
use actix_web::dev::ServerHandle;
use actix_web::middleware::from_fn;
use actix_web::web::Data;
use actix_web::{App, HttpServer};
use tokio::sync::{Semaphore, watch};
use weir_shared::arch::NetworkSpec;
use weir_shared::digest::Digest;
use weir_shared::http::{ListenError, listen};
use weir_shared::ids::{PeerName, Role, Term};
use weir_shared::images::shorter_side;
use weir_shared::plan::Plan;
use weir_shared::profile::Profile;
use weir_shared::transport::{
    Admitted, BindError, Certificates, LOOK, LinkBook, Links, OnUndelivered, ProbeSink, Prober, Protocol,
    Rotation, Settings, Transport, Undelivered, close_code,
};
use weir_shared::wire::control::RequestFailure;

use crate::admin::access::{Access, guard};
use crate::admin::{self, AdminState, FOLLOWERS_MAX};
use crate::clock;
use crate::cluster::SessionId;
use crate::gateway::messages::{Drain, RequestFailed};
use crate::gateway::oip::{self, ModelInfo};
use crate::gateway::{Admission, GatewayActor, GatewayBackend, GatewayParts, ReplyInbound};
use crate::journal::{Journal, JournalError, Writer};
use crate::layers::LayerServer;
use crate::metrics::Metrics;
use crate::planner::LinkMap;
use crate::session::WorkerSession;
use crate::supervisor::{PlanSource, Policy, Supervisor, SupervisorParts};

/// What an orchestrator is told at its start.
pub struct Config {
    /// Certificate, key and authorities, and where new ones will be.
    pub certificates: Certificates,
    /// UDP address for workers.
    pub listen: SocketAddr,
    /// Where workers reach this process, if that is not `listen`.
    pub advertise: Option<SocketAddr>,
    /// TCP address of the inference API.
    pub http: SocketAddr,
    /// TCP address of the admin API.
    pub admin: SocketAddr,
    /// Who may do what on the admin API.
    pub access: Access,
    /// The network that is served.
    pub network: NetworkSpec,
    /// Digest of each layer's weights.
    pub weights: Vec<Digest>,
    /// Where workers that lack a layer get it from.
    pub layers: LayerServer,
    /// Where plans come from.
    pub source: PlanSource,
    /// Workers to wait for before the first plan.
    pub first_workers: usize,
    /// Links that lead through something else.
    pub links: LinkMap,
    /// Names of the classes, where they are known.
    pub labels: Option<Vec<String>>,
    /// The most samples in one request.
    pub max_batch: u16,
    /// Requests that may be in at once.
    pub max_in_flight: usize,
    /// Allowed for a request.
    pub deadline: Duration,
    /// QUIC settings.
    pub transport: Settings,
    /// Where the term and the committed plan are kept for the next start; none: nowhere.
    pub journal: Option<PathBuf>,
    /// The policy by which plans adapt; none to leave them as `source` has them.
    pub policy: Option<Policy>,
    /// What active sets cost in accuracy.
    pub profile: Option<Profile>,
}

/// An orchestrator that runs.
pub struct Orchestrator {
    transport: Transport,
    gateway: Addr<GatewayActor>,
    supervisor: Addr<Supervisor>,
    servers: Vec<ServerHandle>,
    /// Keeps the certificates new.
    _rotation: Rotation,
    /// Where workers are accepted.
    pub quic_address: SocketAddr,
    /// Where the inference API listens.
    pub http_address: SocketAddr,
    /// Where the admin API listens.
    pub admin_address: SocketAddr,
}

/// Why an orchestrator does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The certificate is not an orchestrator's.
    #[error("the certificate is that of {0}; an orchestrator needs <name>.orchestrator.weir.internal")]
    NotAnOrchestrator(PeerName),
    /// The UDP port or the identity cannot be used.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// A TCP port cannot be had.
    #[error(transparent)]
    Http(#[from] ListenError),
    /// The system gives no address.
    #[error("the system refuses an address")]
    System(#[from] std::io::Error),
    /// What the next start must know cannot be kept.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// Two metrics have one name.
    #[error("metrics cannot be registered")]
    Metrics(#[from] prometheus::Error),
}

/// HTTP threads of the inference API. Requests are large and few: parsing is cheap next to computing.
const HTTP_THREADS: usize = 2;

/// An old plan has this part of a request's time to drain. What it has not answered by then is stuck, perhaps because of
/// the very thing that the new plan avoids; it is sent again on the new plan while there is time.
const DRAIN_SHARE: u32 = 4;

/// Admitted requests have this long to be answered at shutdown; then peers are told.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// How often the actors are looked at. A panic costs an actor for good, so this is how long nobody notices.
const WATCH: Duration = Duration::from_millis(250);

impl Orchestrator {
    /// Starts an orchestrator on the current actix system.
    ///
    /// # Errors
    /// If a port, the identity or the journal cannot be used.
    pub fn start(config: Config) -> Result<Self, StartError> {
        let identity = config.certificates.current();
        let name = identity.name().clone();
        if name.role() != Role::Orchestrator {
            return Err(StartError::NotAnOrchestrator(name));
        }
        // Before anything else: nobody may hear of a term that another incarnation could use again.
        let (term, before, journal) = match &config.journal {
            Some(path) => recall(path)?,
            None => (first_term(), None, None),
        };
        let transport = Transport::bind(&identity, config.listen, config.transport)?;
        let quic_address = transport.address()?;
        let (http, http_address) = listen(config.http)?;
        let (admin, admin_address) = listen(config.admin)?;
        if !admin_address.ip().is_loopback() && !config.access.has_tokens() {
            tracing::info!("without --admin-token-file, /api/v1 answers this machine only");
        }
        let metrics = Arc::new(Metrics::new()?);
        let shown = metrics.clone();
        let rotation = Rotation::start(config.certificates, transport.clone(), LOOK, move |identity| {
            shown.certificate(identity.expires().unix_timestamp());
        });
        let (statistics, occupied) = (Arc::default(), Arc::default());
        let (plans, known_plans) = watch::channel(Arc::default());
        let (publish_admission, admission) = watch::channel(Admission::NoPlan);
        let (publish_news, news) = watch::channel(0);

        let mut book = LinkBook::default();
        let gateway = GatewayActor::create(|context| {
            let links = Links::new(transport.clone(), undelivered(context.address()));
            book = links.book();
            GatewayActor::new(GatewayParts {
                prober: Prober::start(transport.clone(), links.book()),
                links,
                capacity: config.max_in_flight,
                deadline: config.deadline,
                plans,
                admission: publish_admission,
                occupied: Arc::clone(&occupied),
                statistics: Arc::clone(&statistics),
                metrics: metrics.clone(),
            })
        });
        let supervisor = Supervisor::new(SupervisorParts {
            term,
            network: config.network,
            weights: config.weights,
            source: config.source,
            first_workers: config.first_workers,
            links: config.links,
            gateway_name: name,
            gateway_address: config.advertise.unwrap_or(quic_address),
            gateway: gateway.clone(),
            max_batch: config.max_batch,
            drain_max: config.deadline / DRAIN_SHARE,
            metrics: metrics.clone(),
            policy: config.policy,
            profile: config.profile,
            journal,
            before,
            news: publish_news,
        })
        .start();
        let replies = ReplyInbound {
            plans: known_plans,
            gateway: gateway.clone(),
            metrics: metrics.clone(),
            admitted: Admitted::default(),
        };
        actix_rt::spawn(accept(
            transport.clone(),
            supervisor.clone(),
            replies,
            config.layers,
            book,
            metrics.clone(),
        ));

        let backend = GatewayBackend {
            gateway: gateway.clone(),
            model: Arc::new(model(config.network, config.labels, config.max_batch)),
            admission: admission.clone(),
            occupied: Arc::clone(&occupied),
            capacity: config.max_in_flight,
            // Some more than are admitted: those are being read or written while others compute.
            places: Arc::new(Semaphore::new(
                config.max_in_flight.saturating_mul(2).min(Semaphore::MAX_PERMITS),
            )),
            metrics: metrics.clone(),
            statistics,
        };
        let state = AdminState {
            supervisor: supervisor.clone(),
            gateway: gateway.clone(),
            admission,
            metrics,
            occupied,
            news,
            followers: Arc::new(Semaphore::new(FOLLOWERS_MAX)),
            solvers: Arc::new(Semaphore::new(1)),
            front: Arc::default(),
        };
        let servers = vec![serve_inference(http, backend)?, serve_admin(admin, state, config.access)?];
        tracing::info!(quic = %quic_address, http = %http_address, admin = %admin_address, "orchestrator started");
        Ok(Self {
            transport,
            gateway,
            supervisor,
            servers,
            _rotation: rotation,
            quic_address,
            http_address,
            admin_address,
        })
    }

    /// The actor that decides, for a host that changes the policy or asks what was decided.
    pub const fn supervisor(&self) -> &Addr<Supervisor> {
        &self.supervisor
    }

    /// Completes when the gateway or the supervisor is gone. An orchestrator without one of them is of no use, and
    /// whoever started the process should start it again.
    pub async fn failed(&self) {
        while self.gateway.connected() && self.supervisor.connected() {
            tokio::time::sleep(WATCH).await;
        }
    }

    /// Admits nothing more, lets admitted requests finish, tells the peers, and closes.
    pub async fn stop(self) {
        let drained = tokio::time::timeout(DRAIN_TIMEOUT, self.gateway.send(Drain)).await;
        if drained.is_err() {
            tracing::warn!(timeout = ?DRAIN_TIMEOUT, "some requests were not answered before the end");
        }
        futures_util::future::join_all(self.servers.iter().map(|server| server.stop(true))).await;
        // The peers that do not answer any more need not be waited for.
        let _ = tokio::time::timeout(CLOSE_TIMEOUT, self.transport.close()).await;
    }
}

/// What the incarnation before has left behind, and the term of this one, which is in the journal by then.
fn recall(path: &Path) -> Result<(Term, Option<Plan>, Option<Writer>), StartError> {
    let (mut journal, memory) = Journal::open(path)?;
    let term = journal.begin(&memory, first_term())?;
    let plan = memory.plan.as_ref().map(|plan| plan.id().to_string());
    tracing::info!(path = %path.display(), %term, plan = plan.unwrap_or_default(), "journal read");
    Ok((term, memory.plan, Some(Writer::start(journal)?)))
}

/// A term must be higher than that of every earlier incarnation. Where no journal remembers them, it is the millisecond of
/// the start: no two incarnations start within one.
fn first_term() -> Term {
    Term(clock::unix_millis().max(1))
}

fn model(network: NetworkSpec, labels: Option<Vec<String>>, max_batch: u16) -> ModelInfo {
    let described = network.network();
    ModelInfo {
        name: network.arch().to_string(),
        version: "1".to_owned(),
        input_name: "input".to_owned(),
        image: described.input,
        output_name: "logits".to_owned(),
        classes: described.head.classes,
        shorter_side: shorter_side(&described),
        labels,
        max_batch,
    }
}

/// An input that did not reach the first stage is an attempt that failed.
fn undelivered(gateway: Addr<GatewayActor>) -> OnUndelivered {
    Arc::new(move |Undelivered { header, kind, reason }| {
        // One small note for each admitted request at most, and those are bounded.
        gateway.do_send(RequestFailed(RequestFailure::of(&header, kind, reason)));
    })
}

/// Accepts peers until the transport is closed: sessions for control, logits for data.
async fn accept(
    transport: Transport,
    supervisor: Addr<Supervisor>,
    replies: ReplyInbound,
    layers: LayerServer,
    book: LinkBook,
    metrics: Arc<Metrics>,
) {
    let (sessions, probes) = (Rc::new(AtomicU64::new(0)), ProbeSink::default());
    while let Some(incoming) = transport.accept().await {
        let (supervisor, replies, metrics) = (supervisor.clone(), replies.clone(), metrics.clone());
        let (sessions, layers, probes) = (sessions.clone(), layers.clone(), probes.clone());
        let book = book.clone();
        actix_rt::spawn(async move {
            let remote = incoming.remote();
            let peer = match incoming.establish().await {
                Ok(peer) => peer,
                Err(error) => {
                    metrics.refused_peer("handshake");
                    return tracing::warn!(%remote, error = %weir_shared::chain(&error), "peer refused");
                }
            };
            match peer.protocol {
                Protocol::Data => replies.serve(peer).await,
                Protocol::Weights => layers.serve(peer).await,
                Protocol::Probe if peer.peer.role() == Role::Worker => probes.absorb(&peer).await,
                Protocol::Probe => {
                    metrics.refused_peer("probe");
                    peer.close(close_code::WRONG_ROLE, "only workers measure their links to here");
                }
                Protocol::Control => {
                    let id = SessionId(sessions.fetch_add(1, Ordering::Relaxed));
                    let name = peer.peer.clone();
                    let gateway = replies.gateway.clone();
                    // The way to the worker is the same for the session and for activations.
                    let beside = book.beside(&peer);
                    if let Err(error) = WorkerSession::open(peer, id, supervisor, gateway, beside).await {
                        metrics.refused_peer("session");
                        tracing::warn!(peer = %name, error = %weir_shared::chain(&error), "no session");
                    }
                }
            }
        });
    }
}

fn serve_inference(listener: TcpListener, backend: GatewayBackend) -> std::io::Result<ServerHandle> {
    let app = move || App::new().configure(oip::configure(Rc::new(backend.clone())));
    let server = HttpServer::new(app).workers(HTTP_THREADS).disable_signals().listen(listener)?;
    Ok(spawn(server.run()))
}

fn serve_admin(listener: TcpListener, state: AdminState, access: Access) -> std::io::Result<ServerHandle> {
    let access = Data::new(access);
    let guarded = move || App::new().app_data(access.clone()).wrap(from_fn(guard));
    let app = move || guarded().configure(admin::configure(state.clone()));
    Ok(spawn(HttpServer::new(app).workers(1).disable_signals().listen(listener)?.run()))
}

fn spawn(server: actix_web::dev::Server) -> ServerHandle {
    let handle = server.handle();
    actix_rt::spawn(server);
    handle
}
