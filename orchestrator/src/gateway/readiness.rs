//! The gateway's side of readiness: sends the canary, and hears what becomes of it.

use std::sync::Arc;
use std::time::Instant;

use actix::prelude::*;
use tokio::sync::oneshot;
use weir_shared::ids::RequestId;
use weir_shared::plan::Plan;

use super::actor::{GatewayActor, Input};
use super::canary::Verdict;
use super::messages::{AskCanary, CanaryFound};
use crate::clock::now;

impl GatewayActor {
    /// Sends the canary if it is due, and ends it if its time is over.
    pub(super) fn look_after_canary(&mut self) {
        self.canary.on(self.current.as_ref().map(|plan| plan.id()));
        let now = now();
        if let Some(concluded) = self.canary.expire(now, self.answered) {
            self.tell(concluded);
        }
        let Some(plan) = self.current.clone() else { return };
        let Some(launch) = self.canary.launch(now) else { return };
        let numbers = image(&plan);
        let input = Input {
            id: launch.id,
            attempt: launch.attempt,
            batch: 1,
            numbers: &numbers,
            deadline: launch.until,
            trace: None,
        };
        if let Err(failure) = self.send_input(&plan, &input) {
            self.canary.failed(now, launch.attempt, failure.reason.to_string());
        }
    }

    /// The canary's logits have come.
    pub(super) fn canary_answered(&mut self, now: Instant, logits: &[f32]) {
        if let Some(concluded) = self.canary.answered(now, logits) {
            self.tell(concluded);
        }
    }

    fn tell(&self, (verdict, waiting): (Verdict, Vec<oneshot::Sender<Verdict>>)) {
        self.parts.metrics.canary(verdict.name());
        if !verdict.is_good() {
            tracing::warn!(?verdict, "the canary failed");
        }
        for waiter in waiting {
            // Whoever asked may have gone away.
            let _ = waiter.send(verdict.clone());
        }
    }
}

impl Handler<AskCanary> for GatewayActor {
    type Result = MessageResult<AskCanary>;

    fn handle(&mut self, _: AskCanary, _: &mut Self::Context) -> Self::Result {
        let now = now();
        self.look_after_canary();
        let last = self.canary.known().cloned();
        let next = (self.current.is_some() && self.canary.is_stale(now)).then(|| {
            let (waiter, verdict) = oneshot::channel();
            self.canary.wait(now, waiter, RequestId(uuid::Uuid::new_v4().as_u128()), self.parts.deadline);
            self.look_after_canary();
            verdict
        });
        MessageResult(CanaryFound { last, next })
    }
}

/// An image of plain numbers that differ from each other, so that no part of the network can be left out unnoticed.
fn image(plan: &Plan) -> Arc<Vec<f32>> {
    let elements = plan.draft().network.network().input.elements();
    Arc::new((0..elements).map(|i| (i * 7919 % 1009) as f32 / 504.5 - 1.0).collect())
}
