//! Reads logits off the links from last stages.

use std::sync::Arc;

use actix::Addr;
use tokio::sync::watch;
use weir_shared::plan::{Node, Plan};
use weir_shared::transport::activation::{self, Expected, ReceiveError, Refusal};
use weir_shared::transport::{Admitted, Ended, PeerConnection};
use weir_shared::wire::Header;
use weir_shared::wire::control::RequestFailure;

use super::actor::{GatewayActor, GatewayPlans};
use super::messages::{ReplyArrived, RequestFailed};
use crate::metrics::Metrics;

/// What reading replies needs; shared by all connections.
#[derive(Clone)]
pub struct ReplyInbound {
    /// Plans whose last stage may send.
    pub plans: watch::Receiver<GatewayPlans>,
    /// Where logits go.
    pub gateway: Addr<GatewayActor>,
    /// Counts.
    pub metrics: Arc<Metrics>,
    /// The links that are open.
    pub admitted: Admitted,
}

impl ReplyInbound {
    /// Reads from a peer for as long as a known plan has it as last stage.
    pub async fn serve(self, peer: PeerConnection) {
        let admits = |plans: &GatewayPlans| plans.iter().any(|plan| is_last(plan, &peer));
        let read = |stream| {
            actix_rt::spawn(self.clone().read(peer.clone(), stream));
        };
        if self.admitted.serve(peer.clone(), self.plans.clone(), admits, read).await == Ended::NotInPlan {
            self.metrics.refused_peer("not_in_plan");
        }
    }

    fn expect(&self, peer: &PeerConnection, header: &Header) -> Result<(Arc<Plan>, Expected), Refusal> {
        let plans = self.plans.borrow();
        let plan = plans.iter().find(|plan| plan.id() == header.plan);
        let plan = plan.ok_or(Refusal::StalePlan(header.plan))?;
        let expected = Expected::in_plan(plan, header.value, &peer.peer, Node::Gateway)?;
        Ok((plan.clone(), expected))
    }

    async fn read(self, peer: PeerConnection, mut stream: quinn::RecvStream) {
        match activation::receive(&mut stream, |header| self.expect(&peer, header)).await {
            // The gateway is gone only when the process ends.
            Ok(reply) => {
                let _ = self.gateway.send(ReplyArrived(reply)).await;
            }
            Err(ReceiveError::Request { header, cause }) => {
                let failure = RequestFailure::of(&header, cause.kind(), cause.to_string());
                let _ = self.gateway.send(RequestFailed(failure)).await;
            }
            Err(ReceiveError::Stream(_)) => {}
            Err(error) => {
                self.metrics.refused_peer("malformed");
                tracing::warn!(peer = %peer.peer, error = %weir_shared::chain(&error), "malformed reply");
            }
        }
    }
}

fn is_last(plan: &Plan, peer: &PeerConnection) -> bool {
    plan.last_stage().is_some_and(|last| plan.peer(Node::Stage(last.stage)).as_ref() == Some(&peer.peer))
}
