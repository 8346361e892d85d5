//! The stage actor: owns the live plans, the queues and the links.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use tokio::sync::watch;
use tokio::time::Instant;
use weir_shared::ids::{Term, WorkerId};
use weir_shared::logging::span::Span;
use weir_shared::plan::{Encoding, Plan, PlanHash, PlanId, StageIndex};
use weir_shared::wire::Header;
use weir_shared::wire::control::{FailureKind, Loaded, Report};

use super::compute::{Compute, ComputeThread, Job, LoadStage, Outcome, Outcomes};
use super::gather::{Gather, Offer};
use super::messages::*;
use super::traces;
use crate::metrics::Metrics;
use crate::outbound::{Failures, Outbound};
use crate::plans::{LivePlan, LivePlans, PlanRefusal};

/// Complete requests that may wait for the compute thread. Beyond it a request is better retried elsewhere.
const QUEUE_MAX: usize = 64;

/// Reaching all peers of a plan may take this long: some redial pauses and a handshake.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// What the actor is made of.
pub struct StageParts {
    /// This worker.
    pub worker: WorkerId,
    /// Loads stages.
    pub loader: Arc<dyn LoadStage>,
    /// Sends activations.
    pub outbound: Outbound,
    /// Told about requests that cannot go on here.
    pub failures: Failures,
    /// Sees the plans that are alive.
    pub publish: watch::Sender<Arc<LivePlans>>,
    /// Counts.
    pub metrics: Arc<Metrics>,
}

/// Owns the live plans, the bounded queues and the links of one worker.
pub struct StageActor {
    parts: StageParts,
    thread: ComputeThread,
    outcomes: Option<Outcomes>,
    plans: LivePlans,
    gather: Gather,
    queue: VecDeque<Job>,
    executions: u64,
    compute_time: Duration,
    received_bytes: u64,
}

impl StageActor {
    /// Starts the actor with a compute thread, on which `prepare` runs first.
    ///
    /// # Errors
    /// If no thread can be had.
    pub fn launch(parts: StageParts, prepare: impl FnOnce() + Send + 'static) -> std::io::Result<Addr<Self>> {
        let (thread, outcomes) = ComputeThread::start(prepare)?;
        Ok(Self {
            parts,
            thread,
            outcomes: Some(outcomes),
            plans: LivePlans::default(),
            gather: Gather::default(),
            queue: VecDeque::new(),
            executions: 0,
            compute_time: Duration::ZERO,
            received_bytes: 0,
        }
        .start())
    }

    fn publish_plans(&self) {
        self.parts.publish.send_replace(Arc::new(self.plans.clone()));
        self.parts.metrics.plans_changed(self.plans.iter().count(), self.plans.weight_bytes());
    }

    fn fail(&self, header: &Header, kind: FailureKind, reason: String) {
        self.parts.failures.report(header, kind, reason);
    }

    /// A request that was complete is not computed.
    fn turn_away(&self, job: Job, kind: FailureKind, reason: String) {
        traces::refused(job.span, &job.header, &self.parts.worker, &reason);
        self.fail(&job.header, kind, reason);
    }

    fn enqueue(&mut self, job: Job) {
        if self.queue.len() >= QUEUE_MAX {
            return self.turn_away(
                job,
                FailureKind::Overloaded,
                format!("{QUEUE_MAX} requests wait already"),
            );
        }
        self.queue.push_back(job);
        self.pump();
    }

    /// Gives the thread as much as it takes.
    fn pump(&mut self) {
        while let Some(job) = self.queue.pop_front() {
            if job.deadline <= Instant::now() {
                self.turn_away(job, FailureKind::Expired, "the deadline passed in the queue".to_owned());
            } else if let Err(job) = self.thread.try_run(job) {
                self.queue.push_front(*job);
                break;
            }
        }
        self.parts.metrics.queue_length(self.queue.len());
    }
}

/// Bytes of so many numbers on the wire; without the ranges of int8, which are small.
const fn wire_bytes(encoding: Encoding, numbers: usize) -> u64 {
    let each = match encoding {
        Encoding::F32 => 4,
        Encoding::F16 => 2,
        Encoding::Int8 => 1,
    };
    numbers as u64 * each
}

/// A first run on plain numbers: shows that the stage computes, and lets libtorch allocate before it matters.
fn canary(compute: &dyn Compute, plan: &Plan, stage: StageIndex) -> Result<(), String> {
    let program = plan.program(stage);
    // Weights that serve already were tried when they came; another try would wait for the compute thread.
    if program.is_bypassed() || compute.was_held() {
        return Ok(());
    }
    let inputs = program.inlets.iter().map(|inlet| vec![0.5; inlet.shape.elements()]).collect();
    let outputs = compute.run(program, 1, inputs).map_err(|failed| failed.to_string())?;
    let finite = outputs.iter().flatten().all(|number| number.is_finite());
    if finite {
        Ok(())
    } else {
        Err("the canary input gave numbers that are not finite; check the weights".to_owned())
    }
}

impl Actor for StageActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        if let Some(outcomes) = self.outcomes.take() {
            let next = |mut outcomes: Outcomes| async move { Some((outcomes.recv().await?, outcomes)) };
            context.add_stream(futures_util::stream::unfold(outcomes, next));
        }
    }
}

impl Handler<ActivationArrived> for StageActor {
    type Result = ();

    fn handle(&mut self, ActivationArrived(arrived): ActivationArrived, _: &mut Self::Context) {
        let header = arrived.header;
        self.received_bytes += wire_bytes(header.encoding, arrived.values.len());
        let Some(live) = self.plans.get(header.plan).cloned() else {
            return self.fail(
                &header,
                FailureKind::StalePlan,
                format!("plan {} is not alive here", header.plan),
            );
        };
        let key = (header.request, header.attempt, header.plan);
        let value = (header.value, header.batch, arrived.values);
        match self.gather.offer(Instant::now(), key, value, arrived.deadline, live.program()) {
            Offer::Complete(inputs) => {
                let span = header.trace.as_ref().map(Span::stage);
                self.enqueue(Job { header, deadline: arrived.deadline, live, inputs, span });
            }
            Offer::Waiting => {}
            Offer::Duplicate => tracing::debug!(request = %header.request, "value arrived twice"),
            Offer::BatchMismatch => {
                self.fail(
                    &header,
                    FailureKind::Broken,
                    "two tensors of one request differ in batch".to_owned(),
                );
            }
            Offer::Full => {
                self.fail(&header, FailureKind::Overloaded, "too many requests are half complete".to_owned());
            }
        }
    }
}

/// The compute thread's results. Its end is the actor's end: without it nothing can be computed.
impl StreamHandler<Outcome> for StageActor {
    fn handle(&mut self, mut outcome: Outcome, _: &mut Self::Context) {
        self.pump();
        self.executions += 1;
        self.compute_time += outcome.elapsed;
        let result = std::mem::replace(&mut outcome.result, Ok(Vec::new()));
        self.parts.metrics.executed(outcome.elapsed, result.is_ok());
        let span = outcome.span.take();
        if self.plans.get(outcome.header.plan).is_none() {
            let reason = format!("plan {} was retired while it computed", outcome.header.plan);
            traces::refused(span, &outcome.header, &self.parts.worker, &reason);
            return self.fail(&outcome.header, FailureKind::StalePlan, reason);
        }
        traces::computed(span, &outcome, result.as_ref().err(), &self.parts.worker);
        match result {
            Ok(arrays) => {
                self.parts.outbound.send(&outcome.live, &outcome.header, outcome.deadline, arrays);
            }
            Err(failed) => self.fail(&outcome.header, FailureKind::Broken, failed.to_string()),
        }
    }
}

impl Handler<ObeyTerm> for StageActor {
    type Result = Result<(), PlanRefusal>;

    fn handle(&mut self, ObeyTerm(term): ObeyTerm, _: &mut Self::Context) -> Self::Result {
        self.plans.obey(term)
    }
}

impl Handler<PreparePlan> for StageActor {
    type Result = ResponseActFuture<Self, Result<(PlanHash, Loaded), String>>;

    fn handle(&mut self, PreparePlan(plan): PreparePlan, _: &mut Self::Context) -> Self::Result {
        let plan = Arc::new(plan);
        let stage = match self.plans.may_admit(&plan, &self.parts.worker) {
            Ok(stage) => stage,
            Err(refusal) => return Box::pin(fut::ready(Err(refusal.to_string()))),
        };
        let (loader, to_load) = (self.parts.loader.clone(), plan.clone());
        // Reading and hashing weights takes long: off this thread, so that requests go on meanwhile.
        let loading = actix_rt::task::spawn_blocking(move || {
            let compute = loader.load(&to_load, stage)?;
            canary(&*compute, &to_load, stage)?;
            Ok::<_, String>(compute)
        });
        let loading = async { loading.await.map_err(|_| "loading the stage panicked".to_owned())? };
        Box::pin(loading.into_actor(self).map(move |loaded, actor, _| {
            let compute = loaded?;
            // Something else may have come alive while the weights were read.
            actor.plans.may_admit(&plan, &actor.parts.worker).map_err(|refusal| refusal.to_string())?;
            let (hash, loaded) = (plan.hash(), compute.loaded());
            actor.plans.admit(LivePlan { plan, stage, compute });
            actor.publish_plans();
            Ok((hash, loaded))
        }))
    }
}

impl Handler<ConnectPlan> for StageActor {
    type Result = ResponseFuture<Result<(), NotConnected>>;

    fn handle(&mut self, ConnectPlan(id): ConnectPlan, _: &mut Self::Context) -> Self::Result {
        let Some(live) = self.plans.get(id) else {
            let reason = format!("plan {id} is not alive here");
            return Box::pin(std::future::ready(Err(NotConnected { reason, unreachable: Vec::new() })));
        };
        let reached = self.parts.outbound.reach_all(live, CONNECT_TIMEOUT);
        Box::pin(async move {
            let missing = reached.await;
            if missing.is_empty() {
                return Ok(());
            }
            let names: Vec<_> =
                missing.iter().map(|route| format!("{} at {}", route.to, route.address)).collect();
            let reason =
                format!("{} did not let this worker in within {CONNECT_TIMEOUT:?}", names.join(", "));
            Err(NotConnected { reason, unreachable: missing.into_iter().map(|route| route.to).collect() })
        })
    }
}

impl Handler<CommitPlan> for StageActor {
    type Result = ();

    fn handle(&mut self, CommitPlan(plan): CommitPlan, _: &mut Self::Context) {
        tracing::info!(%plan, "plan committed");
    }
}

impl Handler<RetirePlan> for StageActor {
    type Result = ();

    fn handle(&mut self, RetirePlan(id): RetirePlan, _: &mut Self::Context) {
        self.plans.retire(id);
        self.gather.forget(id);
        let (stale, kept): (VecDeque<Job>, _) = self.queue.drain(..).partition(|job| job.header.plan == id);
        self.queue = kept;
        for job in stale {
            self.turn_away(job, FailureKind::StalePlan, format!("plan {id} was retired"));
        }
        self.parts.outbound.keep_only(self.plans.iter().map(|live| &*live.plan));
        self.publish_plans();
        tracing::info!(plan = %id, "plan retired");
    }
}

impl Handler<GetReport> for StageActor {
    type Result = MessageResult<GetReport>;

    fn handle(&mut self, _: GetReport, _: &mut Self::Context) -> Self::Result {
        let report = Report {
            executions: self.executions,
            compute_seconds: self.compute_time.as_secs_f64(),
            queue_length: self.queue.len() as u32,
            weight_bytes: self.plans.weight_bytes(),
            received_bytes: self.received_bytes,
            layers: self.parts.loader.layer_times(),
            links: self.parts.outbound.report(),
            ..Report::default()
        };
        let live: Vec<PlanId> = self.plans.iter().map(|live| live.plan.id()).collect();
        let term: Term = self.plans.term();
        MessageResult((report, term, live))
    }
}
