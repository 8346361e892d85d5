//! The life of a plan at the gateway: its peers are reached, it is committed, it breaks or drains, it is retired.

use actix::prelude::*;
use tokio::sync::oneshot;
use weir_shared::plan::Node;

use super::actor::GatewayActor;
use super::ledger::GiveUp;
use super::messages::{CommitPlan, ConnectFirstStage, PlanBroken, RetirePlan, WhenDrained};
use crate::clock::now;

impl Handler<ConnectFirstStage> for GatewayActor {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, ConnectFirstStage(plan): ConnectFirstStage, _: &mut Self::Context) -> Self::Result {
        self.know(|plans| plans.push(plan.clone()));
        let stages = plan.first_stages();
        let routes = stages.filter_map(|program| plan.route(Node::Gateway, Node::Stage(program.stage)));
        let reached: Vec<_> = routes.map(|route| self.parts.links.reach(&route.to, route.address)).collect();
        Box::pin(async move {
            futures_util::future::join_all(reached).await;
        })
    }
}

impl Handler<CommitPlan> for GatewayActor {
    type Result = ();

    fn handle(&mut self, CommitPlan { plan, degraded }: CommitPlan, _: &mut Self::Context) {
        if let Some(degraded) = degraded {
            self.degraded.insert(plan.id(), degraded);
        }
        self.current = Some(plan);
        self.answered = None;
        self.broken = None;
        self.publish_admission();
        self.dispatch();
        self.settle();
    }
}

impl Handler<PlanBroken> for GatewayActor {
    type Result = ();

    fn handle(&mut self, PlanBroken(id): PlanBroken, _: &mut Self::Context) {
        if self.current.as_ref().is_some_and(|plan| plan.id() == id) {
            self.current = None;
            self.broken = Some(now());
            self.publish_admission();
        }
        for pending in self.ledger.interrupt(now(), id) {
            self.give_up(pending, GiveUp::Exhausted("its plans lost workers each time".to_owned()));
        }
        self.settle();
    }
}

impl Handler<RetirePlan> for GatewayActor {
    type Result = ();

    fn handle(&mut self, RetirePlan(id): RetirePlan, _: &mut Self::Context) {
        for pending in self.ledger.interrupt(now(), id) {
            self.give_up(pending, GiveUp::Exhausted("its plan was retired".to_owned()));
        }
        self.degraded.remove(&id);
        self.know(|plans| plans.retain(|plan| plan.id() != id));
        let known = self.parts.plans.borrow().clone();
        self.parts.links.keep_only(known.iter().map(|plan| &**plan));
        self.dispatch();
        self.settle();
    }
}

impl Handler<WhenDrained> for GatewayActor {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, WhenDrained(id): WhenDrained, _: &mut Self::Context) -> Self::Result {
        let (waiter, drained) = oneshot::channel();
        self.when_drained.push((id, waiter));
        self.settle();
        Box::pin(async move { drop(drained.await) })
    }
}
