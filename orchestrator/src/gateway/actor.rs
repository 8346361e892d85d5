//! The gateway actor: admits requests, sends them to the first stage, and answers exactly once.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use actix::prelude::*;
use tokio::sync::{oneshot, watch};
use weir_shared::ids::{Attempt, RequestId};
use weir_shared::plan::{Node, Plan, PlanId, Value};
use weir_shared::transport::{Links, Parcel, Prober, activation};
use weir_shared::wire::control::{FailureKind, LinkReport, RequestFailure};
use weir_shared::wire::{Header, TraceContext, codec};

use super::canary::{self, Canary};
use super::ledger::{Answered, GiveUp, Ledger, NewRequest, Occupancy, Pending, Verdict};
use super::messages::*;
use super::oip::{Degraded, InferDone, InferFailure, StatisticsSnapshot};
use super::windows::Windows;
use crate::clock::{self, now};
use crate::metrics::Metrics;

/// How often deadlines and pauses are looked at: well below any deadline that makes sense on a network.
const SWEEP: Duration = Duration::from_millis(5);

/// What a refused client is told to wait: about one request's time.
pub(super) const RETRY_AFTER: Duration = Duration::from_millis(100);

/// Plans whose last stage may send logits: the committed one, and those on their way in or out.
pub type GatewayPlans = Arc<Vec<Arc<Plan>>>;

/// After a plan broke, requests are admitted and wait for the next one for so long; a new plan takes about a second.
/// Beyond it nobody knows when there will be one, and a client should hear that rather than wait.
const HOLD_MAX: Duration = Duration::from_secs(3);

pub(super) type Reply = oneshot::Sender<Result<InferDone, InferFailure>>;

/// Whether requests are admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// No plan is committed, and none is about to be.
    NoPlan,
    /// They are.
    Open,
    /// They are, and wait: the plan has lost a worker a moment ago, and the next one is on its way.
    Holding,
    /// The process ends.
    Draining,
}

/// What is sent to the first stages.
pub(super) struct Input<'a> {
    pub(super) id: RequestId,
    pub(super) attempt: Attempt,
    pub(super) batch: u16,
    /// The images, NCHW.
    pub(super) numbers: &'a Arc<Vec<f32>>,
    pub(super) deadline: Instant,
    pub(super) trace: Option<&'a TraceContext>,
}

/// What the gateway is made of.
pub struct GatewayParts {
    /// Sends inputs.
    pub links: Links,
    /// Measures links that carry nothing.
    pub prober: Prober,
    /// Requests that may be in at once.
    pub capacity: usize,
    /// Allowed for a request that states no timeout, and the most for one that does.
    pub deadline: Duration,
    /// Sees the plans that are known here.
    pub plans: watch::Sender<GatewayPlans>,
    /// Sees whether requests are admitted.
    pub admission: watch::Sender<Admission>,
    /// Sees how many requests are in.
    pub occupied: Arc<AtomicUsize>,
    /// Counted for clients.
    pub statistics: Arc<Mutex<StatisticsSnapshot>>,
    /// Counted for operators.
    pub metrics: Arc<Metrics>,
}

/// Admits requests, sends them to the first stage, and answers exactly once.
pub struct GatewayActor {
    pub(super) parts: GatewayParts,
    pub(super) ledger: Ledger<Reply>,
    windows: Windows,
    pub(super) current: Option<Arc<Plan>>,
    pub(super) canary: Canary<oneshot::Sender<canary::Verdict>>,
    /// When a user was last answered on the live plan.
    pub(super) answered: Option<Instant>,
    /// When the last plan broke, until the next is committed.
    pub(super) broken: Option<Instant>,
    /// Marks for the answers of plans that do without a dead worker.
    pub(super) degraded: BTreeMap<PlanId, Degraded>,
    draining: bool,
    pub(super) when_drained: Vec<(PlanId, oneshot::Sender<()>)>,
    when_empty: Vec<oneshot::Sender<()>>,
}

impl GatewayActor {
    /// A gateway without a plan.
    pub fn new(parts: GatewayParts) -> Self {
        let ledger = Ledger::new(parts.capacity);
        Self {
            parts,
            ledger,
            windows: Windows::new(now()),
            current: None,
            canary: Canary::new(),
            answered: None,
            broken: None,
            degraded: BTreeMap::new(),
            draining: false,
            when_drained: vec![],
            when_empty: vec![],
        }
    }

    /// Sends whatever is due.
    pub(super) fn dispatch(&mut self) {
        let now = now();
        let Some(plan) = self.current.clone() else { return };
        for id in self.ledger.begin_due(now, plan.id()) {
            if let Err(failure) = self.send(&plan, id) {
                self.request_failed(now, &failure);
            }
        }
    }

    fn send(&self, plan: &Plan, id: RequestId) -> Result<(), RequestFailure> {
        let Some(pending) = self.ledger.get(id) else { return Ok(()) };
        let Pending { attempt, batch, deadline, ref trace, .. } = *pending;
        self.send_input(
            plan,
            &Input { id, attempt, batch, numbers: &pending.input, deadline, trace: trace.as_ref() },
        )
    }

    /// Sends an input to every first stage.
    pub(super) fn send_input(&self, plan: &Plan, input: &Input<'_>) -> Result<(), RequestFailure> {
        for program in plan.first_stages() {
            let Some(route) = plan.route(Node::Gateway, Node::Stage(program.stage)) else { continue };
            let Some(inlet) = program.inlet(Value::INPUT) else { continue };
            let payload = activation::payload(route.encoding, input.numbers, inlet.shape);
            let header = Header {
                request: input.id,
                attempt: input.attempt,
                plan: plan.id(),
                plan_prefix: plan.hash().0.prefix(),
                value: Value::INPUT,
                batch: input.batch,
                encoding: route.encoding,
                remaining_micros: 0,
                checksum: codec::checksum(&payload),
                trace: input.trace.cloned(),
            };
            let parcel = Parcel { header, payload, deadline: input.deadline.into() };
            let sent = self.parts.links.send(&route.to, route.address, parcel);
            sent.map_err(|refused| RequestFailure::of(&refused.header, refused.kind, refused.reason))?;
        }
        Ok(())
    }

    fn request_failed(&mut self, now: Instant, failure: &RequestFailure) {
        tracing::debug!(request = %failure.request, kind = failure.kind.name(), reason = %failure.reason, "attempt failed");
        if self.canary.is(failure.request) {
            return self.canary.failed(now, failure.attempt, failure.reason.to_string());
        }
        match self.ledger.failed(now, failure) {
            Verdict::Outdated => return,
            Verdict::Retry => {}
            Verdict::GiveUp(pending, why) => self.give_up(pending, why),
        }
        self.windows.failed(failure.plan);
    }

    pub(super) fn give_up(&self, pending: Pending<Reply>, why: GiveUp) {
        let took = now() - pending.admitted;
        let failure = match why {
            GiveUp::Expired => {
                InferFailure::DeadlineExceeded { allowed: pending.deadline - pending.admitted }
            }
            GiveUp::Exhausted(reason) => InferFailure::Failed { attempts: pending.attempt.0, reason },
        };
        self.parts.metrics.answered(outcome_name(&failure), took);
        self.statistics(|statistics| statistics.add_failure(took));
        // The client may have gone away.
        let _ = pending.reply.send(Err(failure));
    }

    fn statistics(&self, change: impl FnOnce(&mut StatisticsSnapshot)) {
        let mut statistics = self.parts.statistics.lock().unwrap_or_else(PoisonError::into_inner);
        statistics.last_inference_ms = clock::unix_millis();
        change(&mut statistics);
    }

    /// Wakes whoever waits for a plan to drain or for the ledger to empty, and publishes the figures.
    pub(super) fn settle(&mut self) {
        let ledger = &self.ledger;
        let (done, waiting) = std::mem::take(&mut self.when_drained)
            .into_iter()
            .partition(|(plan, waiter)| waiter.is_closed() || ledger.runs_on(*plan) == Occupancy::Drained);
        self.when_drained = waiting;
        let done: Vec<(PlanId, oneshot::Sender<()>)> = done;
        for (_, waiter) in done {
            let _ = waiter.send(());
        }
        if self.ledger.is_empty() {
            for waiter in self.when_empty.drain(..) {
                let _ = waiter.send(());
            }
        }
        self.parts.occupied.store(self.ledger.len(), Relaxed);
        self.parts.metrics.in_flight(self.ledger.len(), self.ledger.retries());
    }

    fn sweep(&mut self) {
        self.ledger.forget(Reply::is_closed);
        for pending in self.ledger.expire(now()) {
            if let Some(plan) = pending.plan() {
                self.windows.failed(plan);
            }
            self.give_up(pending, GiveUp::Expired);
        }
        self.look_after_canary();
        if self.admission() != *self.parts.admission.borrow() {
            self.publish_admission();
        }
        self.dispatch();
        self.settle();
    }

    pub(super) fn know(&self, change: impl FnOnce(&mut Vec<Arc<Plan>>)) {
        self.parts.plans.send_modify(|plans| change(Arc::make_mut(plans)));
    }

    fn admission(&self) -> Admission {
        let lately = || self.broken.is_some_and(|broken| now() < broken + HOLD_MAX);
        match (self.draining, &self.current) {
            (true, _) => Admission::Draining,
            (false, Some(_)) => Admission::Open,
            (false, None) if lately() => Admission::Holding,
            (false, None) => Admission::NoPlan,
        }
    }

    pub(super) fn publish_admission(&self) {
        self.parts.admission.send_replace(self.admission());
    }
}

/// The value of the metric label `outcome`.
pub(super) fn outcome_name(failure: &InferFailure) -> &'static str {
    match failure {
        InferFailure::Overloaded { .. } => "overloaded",
        InferFailure::NoPlan | InferFailure::Draining => "unavailable",
        InferFailure::DeadlineExceeded { .. } => "expired",
        InferFailure::Failed { .. } => "failed",
    }
}

impl Actor for GatewayActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.run_interval(SWEEP, |gateway, _| gateway.sweep());
    }
}

impl Handler<Infer> for GatewayActor {
    type Result = ResponseFuture<Result<InferDone, InferFailure>>;

    fn handle(&mut self, Infer(job): Infer, _: &mut Self::Context) -> Self::Result {
        let metrics = self.parts.metrics.clone();
        let refuse = |failure: InferFailure| -> Self::Result {
            metrics.refused(outcome_name(&failure));
            Box::pin(std::future::ready(Err(failure)))
        };
        self.windows.arrived(job.batch);
        match self.admission() {
            Admission::Open | Admission::Holding => {}
            Admission::Draining => return refuse(InferFailure::Draining),
            Admission::NoPlan => return refuse(InferFailure::NoPlan),
        }
        let now = now();
        let allowed = job.timeout.map_or(self.parts.deadline, |timeout| timeout.min(self.parts.deadline));
        let (reply, answer) = oneshot::channel();
        let request = NewRequest {
            input: Arc::new(job.images),
            batch: job.batch,
            deadline: now + allowed,
            trace: job.trace,
            reply,
        };
        let id = RequestId(uuid::Uuid::new_v4().as_u128());
        if self.ledger.admit(now, id, request).is_err() {
            return refuse(InferFailure::Overloaded { retry_after: RETRY_AFTER });
        }
        self.dispatch();
        self.settle();
        Box::pin(async move { answer.await.unwrap_or(Err(InferFailure::Draining)) })
    }
}

impl Handler<ReplyArrived> for GatewayActor {
    type Result = ();

    fn handle(&mut self, ReplyArrived(activation): ReplyArrived, _: &mut Self::Context) {
        let header = activation.header;
        let now = now();
        if self.canary.is(header.request) {
            return self.canary_answered(now, &activation.values);
        }
        let pending = match self.ledger.answered(header.request, header.attempt, header.batch) {
            Answered::Done(pending) => pending,
            Answered::Unexpected => return self.parts.metrics.unexpected_reply(),
            Answered::WrongBatch { expected } => {
                let reason =
                    format!("the last stage answered {} images where {expected} were asked", header.batch);
                let failure = RequestFailure::of(&header, FailureKind::Broken, reason);
                return self.request_failed(now, &failure);
            }
        };
        let sent = pending.sent.unwrap_or(now);
        let done = InferDone {
            logits: activation.values,
            plan: header.plan,
            attempts: pending.attempt.0,
            queue: sent - pending.admitted,
            compute: now - sent,
            degraded: self.degraded.get(&header.plan).copied(),
        };
        if done.degraded.is_some() {
            self.parts.metrics.degraded_response();
        }
        if done.attempts == 1 {
            self.windows.answered(header.plan, done.compute);
        }
        if self.current.as_ref().is_some_and(|plan| plan.id() == header.plan) {
            self.answered = Some(now);
        }
        let took = now - pending.admitted;
        self.parts.metrics.answered("ok", took);
        self.statistics(|statistics| statistics.add_success(pending.batch, &done, took));
        // The client may have gone away.
        let _ = pending.reply.send(Ok(done));
        self.settle();
    }
}

impl Handler<RequestFailed> for GatewayActor {
    type Result = ();

    fn handle(&mut self, RequestFailed(failure): RequestFailed, _: &mut Self::Context) {
        self.request_failed(now(), &failure);
        self.settle();
    }
}

impl Handler<TakeWindows> for GatewayActor {
    type Result = MessageResult<TakeWindows>;

    fn handle(&mut self, _: TakeWindows, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.windows.take(now()))
    }
}

impl Handler<GetLinks> for GatewayActor {
    type Result = Vec<LinkReport>;

    fn handle(&mut self, _: GetLinks, _: &mut Self::Context) -> Self::Result {
        self.parts.links.report()
    }
}

impl Handler<MeasureLinks> for GatewayActor {
    type Result = ();

    fn handle(&mut self, MeasureLinks(targets): MeasureLinks, _: &mut Self::Context) {
        self.parts.prober.measure(targets);
    }
}

impl Handler<Drain> for GatewayActor {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: Drain, _: &mut Self::Context) -> Self::Result {
        self.draining = true;
        self.publish_admission();
        let (waiter, empty) = oneshot::channel();
        self.when_empty.push(waiter);
        self.settle();
        Box::pin(async move { drop(empty.await) })
    }
}
