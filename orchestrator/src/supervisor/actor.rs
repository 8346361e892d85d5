//! The supervisor actor: owns the cluster's view, the committed plan and the rollout under way.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::prelude::*;
use weir_shared::arch::NetworkSpec;
use weir_shared::digest::Digest;
use weir_shared::ids::{Epoch, PeerName, Term, WorkerId};
use weir_shared::plan::{Plan, PlanId};
use weir_shared::wire::PROTOCOL_VERSION;
use weir_shared::wire::control::{FromWorker, ToWorker};

use super::choice::PlanSource;
use super::messages::*;
use crate::cluster::{Cluster, Departure, SessionId};
use crate::gateway::GatewayActor;
use crate::gateway::messages::{CommitPlan, ConnectFirstStage, PlanBroken, RetirePlan, WhenDrained};
use crate::metrics::Metrics;
use crate::planner::{Draft, LinkMap};
use crate::rollout::{Event, Rollout, Step};

/// The timer of reconciliation; events wake it sooner.
const WAKE: Duration = Duration::from_millis(100);

/// The set of workers must stand still this long before a plan that still serves is replaced: workers that
/// start together should be planned for together.
const HOLD: Duration = Duration::from_millis(500);

/// Pause after a rollout that failed, so that a plan that cannot work is not tried in a tight loop.
const ABORT_PAUSE: Duration = Duration::from_secs(2);

/// What the supervisor is made of.
pub struct SupervisorParts {
    /// This incarnation.
    pub term: Term,
    /// The network that is served.
    pub network: NetworkSpec,
    /// Digest of each layer's weights.
    pub weights: Vec<Digest>,
    /// Where plans come from.
    pub source: PlanSource,
    /// Workers to wait for before the first plan.
    pub first_workers: usize,
    /// Links that lead through something else.
    pub links: LinkMap,
    /// The gateway's name and the address under which workers reach it.
    pub gateway_peer: (PeerName, SocketAddr),
    /// The gateway.
    pub gateway: Addr<GatewayActor>,
    /// The most samples in one request.
    pub max_batch: u16,
    /// Time that an old plan has to drain.
    pub drain_max: Duration,
    /// Counts.
    pub metrics: Arc<Metrics>,
}

/// The one actor that decides.
pub struct Supervisor {
    parts: SupervisorParts,
    cluster: Cluster,
    sessions: BTreeMap<WorkerId, (SessionId, Recipient<Directive>)>,
    plan: Option<Arc<Plan>>,
    rollout: Option<Rollout>,
    epoch: Epoch,
    changed: Instant,
    not_before: Instant,
    last_abort: Option<String>,
}

impl Supervisor {
    /// A supervisor that knows nobody yet.
    pub fn new(parts: SupervisorParts) -> Self {
        let now = now();
        Self {
            parts,
            cluster: Cluster::default(),
            sessions: BTreeMap::new(),
            plan: None,
            rollout: None,
            epoch: Epoch(0),
            changed: now,
            not_before: now,
            last_abort: None,
        }
    }

    fn tell(&self, worker: &WorkerId, message: ToWorker) {
        if let Some((_, session)) = self.sessions.get(worker) {
            // A directive is a small note; the session closes itself if its worker does not read.
            session.do_send(Directive(message));
        }
    }

    /// Compares what is with what should be, and begins a rollout if they differ.
    fn reconcile(&mut self, context: &mut Context<Self>) {
        let now = now();
        self.advance(Event::Tick, context);
        if self.rollout.is_some() || now < self.not_before {
            return;
        }
        let connected: BTreeMap<_, _> = self.cluster.connected().map(|(w, a)| (w.clone(), a)).collect();
        let serving = self.plan.as_ref().is_some_and(|plan| self.cluster.carries(plan));
        if serving && now < self.changed + HOLD {
            return;
        }
        let first_missing = self.epoch == Epoch(0) && connected.len() < self.parts.first_workers;
        if first_missing {
            return;
        }
        let choice = match self.parts.source.choose(self.parts.network, &connected) {
            Ok(Some(choice)) => choice,
            Ok(None) => return,
            Err(error) => return self.postpone(&weir_shared::chain(&error)),
        };
        let id = PlanId { term: self.parts.term, epoch: Epoch(self.epoch.0 + 1) };
        let draft = Draft {
            id,
            parent: self.plan.as_ref().map(|plan| plan.id()),
            network: self.parts.network,
            active: choice.active,
            cuts: choice.cuts,
            workers: choice.workers,
            gateway: self.parts.gateway_peer.clone(),
            links: &self.parts.links,
            encodings: &choice.encodings,
            weights: self.parts.weights.clone(),
            batch_norm: choice.batch_norm,
            max_batch: self.parts.max_batch,
        };
        let plan = match draft.plan() {
            Ok(plan) => Arc::new(plan),
            Err(error) => return self.postpone(&weir_shared::chain(&error)),
        };
        if serving && self.plan.as_ref().is_some_and(|old| says_the_same(old, &plan)) {
            return;
        }
        self.epoch = id.epoch;
        tracing::info!(plan = %id, stages = plan.draft().stages.len(), "rollout begins");
        let (rollout, steps) = Rollout::begin(now, plan, self.plan.clone(), self.parts.drain_max);
        self.rollout = Some(rollout);
        self.carry_out(steps, context);
    }

    /// A plan that cannot be made now is tried again later; whatever serves goes on serving.
    fn postpone(&mut self, reason: &str) {
        if self.last_abort.as_deref() != Some(reason) {
            tracing::warn!(%reason, "no plan for now");
        }
        self.last_abort = Some(reason.to_owned());
        self.not_before = now() + ABORT_PAUSE;
    }

    fn advance(&mut self, event: Event, context: &mut Context<Self>) {
        let Some(rollout) = &mut self.rollout else { return };
        let steps = rollout.on(now(), event);
        self.carry_out(steps, context);
    }

    fn carry_out(&mut self, steps: Vec<Step>, context: &mut Context<Self>) {
        let Some(plan) = self.rollout.as_ref().map(|rollout| rollout.plan().clone()) else { return };
        let id = plan.id();
        for step in steps {
            match step {
                Step::Prepare(worker) => self.tell(&worker, ToWorker::Prepare(Box::new((*plan).clone()))),
                Step::Connect(worker) => self.tell(&worker, ToWorker::Connect { plan: id }),
                Step::ConnectGateway => {
                    let reached = self.parts.gateway.send(ConnectFirstStage(plan.clone())).into_actor(self);
                    context.spawn(reached.map(move |done, _, context| {
                        if done.is_ok() {
                            context.notify(GatewayConnected(id));
                        }
                    }));
                }
                Step::Commit => self.commit(&plan, context),
                Step::Retire(worker, plan) => self.tell(&worker, ToWorker::Retire { plan }),
                Step::Aborted(reason) => {
                    tracing::warn!(plan = %id, %reason, "rollout aborted");
                    self.parts.metrics.rollout_ended("aborted");
                    self.parts.gateway.do_send(RetirePlan(id));
                    self.rollout = None;
                    self.postpone(&reason);
                }
                Step::Finished => {
                    if let Some(parent) = plan.draft().parent {
                        self.parts.gateway.do_send(RetirePlan(parent));
                    }
                    self.rollout = None;
                }
            }
        }
    }

    fn commit(&mut self, plan: &Arc<Plan>, context: &mut Context<Self>) {
        let (id, old) = (plan.id(), self.plan.replace(plan.clone()));
        self.parts.gateway.do_send(CommitPlan(plan.clone()));
        for stage in &plan.draft().stages {
            self.tell(&stage.worker, ToWorker::Commit { plan: id });
        }
        self.last_abort = None;
        self.parts.metrics.rollout_ended("committed");
        self.parts.metrics.plan_committed(id);
        tracing::info!(plan = %id, hash = %plan.hash(), "plan committed");
        if let Some(old) = old.map(|old| old.id()) {
            let drained = self.parts.gateway.send(WhenDrained(old)).into_actor(self);
            context.spawn(drained.map(move |_, _, context| context.notify(PlanDrained(old))));
        }
    }

    fn lost(&mut self, worker: &WorkerId, context: &mut Context<Self>) {
        self.advance(Event::Lost(worker.clone()), context);
        if let Some(plan) = self.plan.as_ref().filter(|plan| plan.stage_of(worker).is_some()) {
            self.parts.gateway.do_send(PlanBroken(plan.id()));
        }
    }

    fn cluster_changed(&mut self) {
        self.changed = now();
        self.parts.metrics.workers(self.cluster.connected().count());
    }
}

/// The time of the runtime, which a test may have paused.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// Whether two plans differ in nothing but their numbers: rolling the second out would change nothing.
fn says_the_same(old: &Plan, new: &Plan) -> bool {
    let mut renumbered = new.draft().clone();
    (renumbered.id, renumbered.parent) = (old.draft().id, old.draft().parent);
    renumbered == *old.draft()
}

impl Actor for Supervisor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.run_interval(WAKE, Self::reconcile);
    }
}

impl Handler<WorkerJoined> for Supervisor {
    type Result = ();

    fn handle(&mut self, joined: WorkerJoined, context: &mut Self::Context) {
        let WorkerJoined { worker, session, hello, directives } = joined;
        tracing::info!(%worker, address = %hello.data_address, release = %hello.release, "worker joined");
        let welcome = ToWorker::Welcome { protocol: PROTOCOL_VERSION, term: self.parts.term };
        let current = self.plan.as_ref().map(|plan| plan.id());
        let stale: Vec<PlanId> = hello.live.iter().copied().filter(|&plan| Some(plan) != current).collect();
        let still_carries = current.is_none_or(|plan| hello.live.contains(&plan));
        // A session replaced before its end was noticed: the worker was gone for a moment.
        let returned = self.sessions.insert(worker.clone(), (session, directives)).is_some();
        self.cluster.joined(worker.clone(), session, hello);
        self.tell(&worker, welcome);
        for plan in stale {
            self.tell(&worker, ToWorker::Retire { plan });
        }
        if returned && !still_carries {
            self.lost(&worker, context);
        }
        self.cluster_changed();
        self.reconcile(context);
    }
}

impl Handler<WorkerLeft> for Supervisor {
    type Result = ();

    fn handle(&mut self, WorkerLeft { worker, session }: WorkerLeft, context: &mut Self::Context) {
        if self.cluster.left(&worker, session) == Departure::Outdated {
            return;
        }
        tracing::warn!(%worker, "worker lost");
        self.sessions.remove(&worker);
        self.lost(&worker, context);
        self.cluster_changed();
        self.reconcile(context);
    }
}

impl Handler<WorkerSaid> for Supervisor {
    type Result = ();

    fn handle(&mut self, WorkerSaid { worker, session, message }: WorkerSaid, context: &mut Self::Context) {
        if self.sessions.get(&worker).is_none_or(|(current, _)| *current != session) {
            return;
        }
        let rolled_out = self.rollout.as_ref().map(|rollout| rollout.plan().id());
        match message {
            FromWorker::Prepared { plan, hash, .. } => {
                self.cluster.prepared(&worker, plan);
                if Some(plan) == rolled_out {
                    self.advance(Event::Prepared(worker, hash), context);
                }
            }
            FromWorker::Connected { plan } if Some(plan) == rolled_out => {
                self.advance(Event::Connected(worker), context);
            }
            FromWorker::Refused { plan, reason } if Some(plan) == rolled_out => {
                self.advance(Event::Refused(worker, reason), context);
            }
            FromWorker::Retired { plan } => self.cluster.retired(&worker, plan),
            FromWorker::Report(report) => self.cluster.reported(now(), &worker, report),
            FromWorker::Connected { .. } | FromWorker::Refused { .. } => {}
            // The session reads the introduction and passes failures to the gateway; neither comes here.
            FromWorker::Hello(_) | FromWorker::Failed(_) => {}
        }
    }
}

impl Handler<GatewayConnected> for Supervisor {
    type Result = ();

    fn handle(&mut self, GatewayConnected(plan): GatewayConnected, context: &mut Self::Context) {
        if self.rollout.as_ref().is_some_and(|rollout| rollout.plan().id() == plan) {
            self.advance(Event::GatewayConnected, context);
        }
    }
}

impl Handler<PlanDrained> for Supervisor {
    type Result = ();

    fn handle(&mut self, PlanDrained(old): PlanDrained, context: &mut Self::Context) {
        if self.rollout.as_ref().is_some_and(|rollout| rollout.plan().draft().parent == Some(old)) {
            self.advance(Event::Drained, context);
        }
    }
}

impl Handler<GetStatus> for Supervisor {
    type Result = Status;

    fn handle(&mut self, _: GetStatus, _: &mut Self::Context) -> Status {
        Status {
            cluster: self.cluster.clone(),
            plan: self.plan.clone(),
            term: self.parts.term,
            last_abort: self.last_abort.clone(),
        }
    }
}
