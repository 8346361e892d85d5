//! The supervisor: owns the cluster's view, the committed plan and the rollout under way, and reconciles them.
//!
//! What wakes it is in `handlers.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::prelude::*;
use tokio::sync::watch;
use weir_shared::arch::NetworkSpec;
use weir_shared::digest::Digest;
use weir_shared::ids::{Epoch, PeerName, Term, WorkerId};
use weir_shared::plan::{Plan, PlanId};
use weir_shared::profile::Profile;
use weir_shared::wire::control::ToWorker;

use super::answers::Answers;
use super::choice::PlanSource;
use super::log::{EventKind, Log};
use super::memory::Memory;
use super::messages::*;
use super::replanning::Replanning;
use super::steering::Steering;
use crate::clock::{now, unix_millis};
use crate::cluster::{Cluster, Measurements, SessionId};
use crate::gateway::GatewayActor;
use crate::gateway::messages::{
    CommitPlan, ConnectFirstStage, PlanBroken, RetirePlan, TakeWindows, WhenDrained,
};
use crate::journal::Writer;
use crate::metrics::Metrics;
use crate::planner::LinkMap;
use crate::replan::trace::What;
use crate::replan::{Model, Rules};
use crate::rollout::{Abort, Event, Fault, Rollout, Step};

/// The timer of reconciliation; events wake it sooner.
pub(super) const WAKE: Duration = Duration::from_millis(100);

/// How often plans that nobody needs are looked for: they cost memory, and block new ones only when there are two.
pub(super) const SWEEP: Duration = Duration::from_secs(1);

/// How often the gateway is asked for what it counted.
pub(super) const COUNT: Duration = Duration::from_millis(500);

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
    /// The gateway's name.
    pub gateway_name: PeerName,
    /// The address under which workers reach the gateway; unspecified: where each has found the orchestrator.
    pub gateway_address: SocketAddr,
    /// The gateway.
    pub gateway: Addr<GatewayActor>,
    /// The most samples in one request.
    pub max_batch: u16,
    /// Time that an old plan has to drain.
    pub drain_max: Duration,
    /// Counts.
    pub metrics: Arc<Metrics>,
    /// The rules of re-planning and the optimisation model, where plans are to adapt.
    pub policy: Option<Policy>,
    /// What active sets cost in accuracy.
    pub profile: Option<Profile>,
    /// Where plans are written down before they are committed; none: nothing outlives this incarnation.
    pub journal: Option<Writer>,
    /// The plan that was committed last before the start.
    pub before: Option<Plan>,
    /// Rises whenever followers of what happens have something to ask for.
    pub news: watch::Sender<u64>,
}

/// A policy as it was read, with its text.
pub struct Policy {
    /// The file.
    pub text: String,
    /// When the plan may change.
    pub rules: Rules,
    /// What is best.
    pub model: Arc<dyn Model>,
}

/// The one actor that decides.
pub struct Supervisor {
    pub(super) parts: SupervisorParts,
    pub(super) cluster: Cluster,
    pub(super) sessions: BTreeMap<WorkerId, (SessionId, Recipient<Directive>)>,
    pub(super) plan: Option<Arc<Plan>>,
    /// Whether the gateway admits on the plan, or was told that the plan is broken.
    pub(super) admission: Admission,
    pub(super) rollout: Option<Rollout>,
    pub(super) replanning: Replanning,
    pub(super) epoch: Epoch,
    pub(super) changed: Instant,
    not_before: Instant,
    pub(super) last_abort: Option<String>,
    /// What everybody was last told to measure.
    pub(super) measurements: Measurements,
    /// What a person wants.
    pub(super) steering: Steering,
    /// What happened, for people.
    pub(super) log: Log,
    pub(super) answers: Answers,
    pub(super) memory: Memory,
    /// Workers whose latest report could not be true.
    pub(super) rejected: BTreeSet<WorkerId>,
}

impl Supervisor {
    /// A supervisor that knows nobody yet.
    pub fn new(mut parts: SupervisorParts) -> Self {
        let now = now();
        let profile = parts.profile.take();
        let bounds = parts.policy.as_ref().and_then(|policy| crate::replan::model::read(&policy.text).ok());
        if let Some((_, model)) = bounds {
            parts.metrics.policy_bounds(&model.policy().bounds());
        }
        let replanning = match parts.policy.take() {
            Some(Policy { text, rules, model }) => Replanning::new(rules, Some(model), text, profile),
            None => Replanning::new(Rules::default(), None, String::new(), profile),
        };
        let before = parts.before.take();
        // Numbers go on where they were, so that people see them rise; the term makes them new.
        let epoch = before.as_ref().map_or(Epoch(0), |plan| plan.id().epoch);
        let memory = Memory::new(parts.journal.take(), before);
        Self {
            parts,
            cluster: Cluster::default(),
            sessions: BTreeMap::new(),
            plan: None,
            admission: Admission::Open,
            rollout: None,
            replanning,
            epoch,
            changed: now,
            not_before: now,
            last_abort: None,
            measurements: Measurements::default(),
            steering: Steering::default(),
            log: Log::new(unix_millis()),
            answers: Answers::default(),
            memory,
            rejected: BTreeSet::new(),
        }
    }

    pub(super) fn tell(&self, worker: &WorkerId, message: ToWorker) {
        if let Some((_, session)) = self.sessions.get(worker) {
            // A directive is a small note; the session closes itself if its worker does not read.
            session.do_send(Directive(message));
        }
    }

    /// Compares what is with what should be, and begins a rollout if they differ.
    pub(super) fn reconcile(&mut self, context: &mut Context<Self>) {
        let now = now();
        self.advance(Event::Tick, context);
        if self.rollout.is_some() {
            return;
        }
        let carried = self.plan.clone().filter(|plan| self.cluster.carries(plan));
        if let Some(plan) = carried.as_ref().filter(|_| self.admission == Admission::Broken) {
            // Its workers were out of reach for a moment, and have kept it.
            tracing::info!(plan = %plan.id(), "plan whole again");
            self.admission = Admission::Open;
            self.replanning.replanner.mended();
            self.replanning.note(What::Mended {});
            self.parts.gateway.do_send(CommitPlan { plan: plan.clone(), degraded: None });
        }
        if self.plan.is_none() && self.adopt(context) {
            return;
        }
        let serving = carried.is_some();
        let leaving = serving && self.is_anybody_to_leave();
        // A person wants what runs to stay; what answers nobody, or in a dead worker's place, is seen to all the same.
        if self.steering.paused && serving && !leaving && !self.replanning.replanner.is_degraded() {
            return;
        }
        // Whoever answers in a dead worker's place does so for as short as possible.
        let unsettled = now < self.changed + HOLD || self.memory.rests(now);
        let held = serving && unsettled && !self.replanning.replanner.is_degraded();
        let too_soon = now < self.not_before || held && self.replanning.model.is_none();
        let first_missing =
            self.plan.is_none() && self.cluster.connected().count() < self.parts.first_workers;
        if too_soon || first_missing {
            return;
        }
        if leaving && self.replanning.model.is_some() {
            return self.expel(context);
        }
        let first_by_file = self.plan.is_none() && matches!(self.parts.source, PlanSource::File(_));
        if self.replanning.model.is_some() && !first_by_file {
            return self.think(context);
        }
        let choice = match self.choose(&self.parts.source) {
            Ok(Some(choice)) => choice,
            Ok(None) => return,
            Err(error) => return self.postpone(&weir_shared::chain(&error)),
        };
        let plan = match self.plan_of(&choice.placement(), choice.batch_norm) {
            Ok(plan) => plan,
            Err(reason) => return self.postpone(&reason),
        };
        if serving && self.plan.as_ref().is_some_and(|old| says_the_same(old, &plan)) {
            return;
        }
        let because = match self.parts.source {
            PlanSource::Balanced => "work spread evenly over the workers that are there",
            PlanSource::File(_) => "as the plan file says",
        };
        self.begin_choice(&choice, because, context);
    }

    /// A plan that cannot be made now is tried again later; whatever serves goes on serving.
    pub(super) fn postpone(&mut self, reason: &str) {
        if self.last_abort.as_deref() != Some(reason) {
            tracing::warn!(%reason, "no plan for now");
        }
        self.last_abort = Some(reason.to_owned());
        self.not_before = now() + ABORT_PAUSE;
    }

    pub(super) fn advance(&mut self, event: Event, context: &mut Context<Self>) {
        let Some(rollout) = &mut self.rollout else { return };
        let steps = rollout.on(now(), event);
        self.carry_out(steps, context);
    }

    pub(super) fn carry_out(&mut self, steps: Vec<Step>, context: &mut Context<Self>) {
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
                Step::Remember => self.remember(&plan, context),
                Step::Commit => self.commit(&plan, context),
                Step::Retire(worker, plan) => self.tell(&worker, ToWorker::Retire { plan }),
                Step::Aborted(Abort { reason, fault }) => {
                    tracing::warn!(plan = %id, %reason, "rollout aborted");
                    let about = self.about(id);
                    self.tell_people(
                        EventKind::PlanAborted,
                        format!("plan {id} could not be rolled out: {reason}"),
                        about,
                    );
                    self.parts.metrics.rollout_ended("aborted");
                    self.parts.gateway.do_send(RetirePlan(id));
                    self.rollout = None;
                    self.memory.forget();
                    self.replan_aborted(id, &reason, &fault);
                    self.postpone(&reason);
                    match &fault {
                        Fault::Workers(blamed) => {
                            blamed.iter().for_each(|worker| self.cluster.blamed(now(), worker, &reason));
                        }
                        // The next plan need not wait: the cluster itself has changed.
                        Fault::Loss => self.not_before = now(),
                        Fault::Journal => {}
                    }
                }
                Step::Finished => {
                    if let Some(parent) = plan.draft().parent {
                        self.parts.gateway.do_send(RetirePlan(parent));
                    }
                    self.rollout = None;
                    // What waited for this rollout to end need not wait for the timer.
                    context.run_later(Duration::ZERO, Self::reconcile);
                }
            }
        }
    }

    fn commit(&mut self, plan: &Arc<Plan>, context: &mut Context<Self>) {
        let (id, old) = (plan.id(), self.plan.replace(plan.clone()));
        self.admission = Admission::Open;
        let degraded = self.replan_committed(id);
        self.parts.gateway.do_send(CommitPlan { plan: plan.clone(), degraded });
        for stage in &plan.draft().stages {
            self.tell(&stage.worker, ToWorker::Commit { plan: id });
        }
        self.last_abort = None;
        self.parts.metrics.rollout_ended("committed");
        self.parts.metrics.plan_committed(plan, unix_millis());
        tracing::info!(plan = %id, hash = %plan.hash(), "plan committed");
        let workers = plan.draft().stages.iter().map(|stage| stage.worker.to_string()).collect::<Vec<_>>();
        let message = format!("plan {id} runs on {}", workers.join(", "));
        self.tell_people(EventKind::PlanCommitted, message, self.about(id));
        if let Some(old) = old.map(|old| old.id()) {
            let drained = self.parts.gateway.send(WhenDrained(old)).into_actor(self);
            context.spawn(drained.map(move |_, _, context| context.notify(PlanDrained(old))));
        }
    }

    /// A worker is out of reach: its plans are broken, and whatever is rolled out to it too.
    pub(super) fn lost(&mut self, worker: &WorkerId, context: &mut Context<Self>) {
        let draining = self.rollout.as_ref().and_then(|rollout| rollout.old()).cloned();
        self.advance(Event::Lost(worker.clone()), context);
        for plan in draining.iter().chain(&self.plan).filter(|plan| plan.stage_of(worker).is_some()) {
            self.parts.gateway.do_send(PlanBroken(plan.id()));
        }
        if self.plan.as_ref().is_some_and(|plan| plan.stage_of(worker).is_some()) {
            self.admission = Admission::Broken;
            self.emergency(context);
        }
    }

    /// Takes what the gateway has counted: the load, and how the running plan does.
    pub(super) fn count(&mut self, context: &mut Context<Self>) {
        let counted = self.parts.gateway.send(TakeWindows).into_actor(self);
        context.spawn(counted.map(|counted, supervisor, context| {
            if let Ok(counted) = counted {
                supervisor.counted(&counted, context);
            }
        }));
    }

    /// Plans that a worker holds and nobody needs: of an earlier term and not to be adopted, or left over from a lost directive.
    pub(super) fn retire_strays(&self) {
        let rolled_out =
            self.rollout.iter().flat_map(|rollout| rollout.old().into_iter().chain([rollout.plan()]));
        let kept = rolled_out.chain(&self.plan).chain(self.memory.before());
        let needed: Vec<PlanId> = kept.map(|plan| plan.id()).collect();
        for (worker, view) in self.cluster.connected() {
            for &plan in view.hello.live.iter().filter(|plan| !needed.contains(plan)) {
                self.tell(worker, ToWorker::Retire { plan });
            }
        }
    }

    pub(super) fn cluster_changed(&mut self) {
        self.changed = now();
        // What could not be done before may be possible now.
        self.not_before = self.changed;
        self.parts.metrics.workers(self.cluster.connected().count());
    }
}

/// Whether requests are admitted on the committed plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Admission {
    Open,
    Broken,
}

/// Whether two plans differ in nothing but their numbers: rolling the second out would change nothing.
pub(super) fn says_the_same(old: &Plan, new: &Plan) -> bool {
    let mut renumbered = new.draft().clone();
    (renumbered.id, renumbered.parent) = (old.draft().id, old.draft().parent);
    renumbered == *old.draft()
}
