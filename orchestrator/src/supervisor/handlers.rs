//! Everything that wakes the supervisor: each handler folds a message into the state and reconciles.

use actix::prelude::*;
use weir_shared::ids::PeerName;
use weir_shared::wire::control::{FromWorker, ToWorker};

use super::actor::{COUNT, SWEEP, Supervisor, WAKE};
use super::log::{About, EventKind};
use super::measuring::MEASURE;
use super::messages::*;
use super::status::Status;
use super::term::{self, Commitment};
use crate::clock::now;
use crate::cluster::Departure;
use crate::rollout::Event;

impl Actor for Supervisor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.run_interval(WAKE, Self::reconcile);
        context.run_interval(SWEEP, |supervisor, _| supervisor.retire_strays());
        context.run_interval(COUNT, |supervisor, context| supervisor.count(context));
        context.run_interval(MEASURE, Self::measure);
    }
}

impl Handler<WorkerJoined> for Supervisor {
    type Result = ();

    fn handle(&mut self, joined: WorkerJoined, context: &mut Self::Context) {
        let WorkerJoined { worker, session, mut hello, seen, directives } = joined;
        let commitment = if self.plan.is_none() && self.rollout.is_none() {
            Commitment::None
        } else {
            Commitment::Planned
        };
        match term::agree(self.parts.term, hello.term, commitment) {
            Ok(term) if term == self.parts.term => {}
            Ok(term) => {
                if let Err(error) = self.memory.raise(term) {
                    let reason = weir_shared::chain(&error);
                    tracing::error!(%worker, %term, %reason, "worker rejected: its term cannot be remembered");
                    return directives.do_send(Directive(ToWorker::Reject { reason: reason.into() }));
                }
                tracing::warn!(%worker, %term, "term raised to that of a worker; did this machine's clock go back?");
                self.parts.term = term;
            }
            Err(disagreement) => {
                tracing::error!(%worker, reason = %disagreement, "worker rejected");
                return directives
                    .do_send(Directive(ToWorker::Reject { reason: disagreement.to_string().into() }));
            }
        }
        if hello.data_address.ip().is_unspecified() {
            hello.data_address.set_ip(seen.worker);
        }
        let mut gateway_address = self.parts.gateway_address;
        if gateway_address.ip().is_unspecified() {
            gateway_address.set_ip(seen.orchestrator.unwrap_or(gateway_address.ip()));
        }
        tracing::info!(%worker, address = %hello.data_address, release = %hello.release, "worker joined");
        let about = About { worker: Some(worker.clone()), ..About::default() };
        self.tell_people(EventKind::WorkerJoined, format!("worker {worker} joined"), about);
        let current = self.plan.as_ref().map(|plan| plan.id());
        let still_carries = current.is_some_and(|plan| hello.live.contains(&plan));
        let replaced = self.sessions.insert(worker.clone(), (session, directives));
        // A worker hears the welcome before anything else.
        self.tell(&worker, ToWorker::Welcome { term: self.parts.term });
        if self.cluster.is_restarted(&worker, &hello) {
            self.replanning.restarted(&worker);
        }
        self.cluster.joined(now(), worker.clone(), session, hello, gateway_address);
        if let Some((_, older)) = replaced {
            let reason = "a newer session of this name takes over; two workers must not share a certificate";
            older.do_send(Directive(ToWorker::Reject { reason: reason.into() }));
            // What was said in the older session may be lost, so whatever was rolled out to it begins anew.
            self.advance(Event::Lost(worker.clone()), context);
            if !still_carries {
                self.lost(&worker, context);
            }
        }
        self.retire_strays();
        self.forget_measurements(&worker);
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
        let about = About { worker: Some(worker.clone()), ..About::default() };
        self.tell_people(EventKind::WorkerLost, format!("worker {worker} is lost"), about);
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
            FromWorker::Prepared { plan, hash, .. } if Some(plan) == rolled_out => {
                self.cluster.prepared(&worker, plan);
                self.advance(Event::Prepared(worker, hash), context);
            }
            // It was given up while the worker loaded it, and the directive to forget it may be lost.
            FromWorker::Prepared { plan, .. } => self.tell(&worker, ToWorker::Retire { plan }),
            FromWorker::Connected { plan } if Some(plan) == rolled_out => {
                self.advance(Event::Connected(worker), context);
            }
            FromWorker::Refused { plan, reason, unreachable } if Some(plan) == rolled_out => {
                let unreachable = unreachable.iter().filter_map(PeerName::as_worker).collect();
                self.advance(Event::Refused(worker, reason.to_string(), unreachable), context);
            }
            FromWorker::Retired { plan } => self.cluster.retired(&worker, plan),
            FromWorker::Report(report) => self.reported(&worker, report),
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

impl Handler<Thought> for Supervisor {
    type Result = ();

    fn handle(&mut self, Thought(answer): Thought, context: &mut Self::Context) {
        self.thought(&answer, context);
    }
}

impl Handler<SetPolicy> for Supervisor {
    type Result = Result<(), String>;

    fn handle(&mut self, SetPolicy(text): SetPolicy, context: &mut Self::Context) -> Self::Result {
        self.set_policy(&text)?;
        self.reconcile(context);
        Ok(())
    }
}

impl Handler<GetSnapshot> for Supervisor {
    type Result = MessageResult<GetSnapshot>;

    fn handle(&mut self, _: GetSnapshot, _: &mut Self::Context) -> Self::Result {
        MessageResult(Box::new(self.snapshot()))
    }
}

impl Handler<GetTrace> for Supervisor {
    type Result = TraceLines;

    fn handle(&mut self, GetTrace { after }: GetTrace, _: &mut Self::Context) -> TraceLines {
        let records = &self.replanning.records;
        TraceLines { header: records.header(), entries: records.since(after) }
    }
}

impl Handler<GetStatus> for Supervisor {
    type Result = Status;

    fn handle(&mut self, _: GetStatus, _: &mut Self::Context) -> Status {
        self.status()
    }
}
