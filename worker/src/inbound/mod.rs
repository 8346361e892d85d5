//! Accepts links and reads activations off them.
//!
//! Whoever is not a predecessor in a live plan is turned away, also in the middle of a connection when the last
//! plan that named it is retired. Each stream is read on its own, so that a slow one delays no other; how many
//! there are at once is bounded by QUIC's stream limit.

use std::collections::BTreeSet;
use std::sync::Arc;

use actix::prelude::*;
use tokio::sync::watch;
use weir_shared::ids::PeerName;
use weir_shared::transport::activation::{self, ReceiveError};
use weir_shared::transport::{
    Admitted, Ended, IncomingPeer, PeerConnection, ProbeSink, Protocol, Transport, close_code,
};

use crate::metrics::Metrics;
use crate::outbound::Failures;
use crate::plans::LivePlans;
use crate::stage::{ActivationArrived, StageActor};

/// What reading needs; shared by all connections.
#[derive(Clone)]
pub struct Inbound {
    /// The plans that are alive.
    pub plans: watch::Receiver<Arc<LivePlans>>,
    /// Where activations go.
    pub stage: Addr<StageActor>,
    /// Told about requests that cannot go on here.
    pub failures: Failures,
    /// Counts.
    pub metrics: Arc<Metrics>,
    /// The links that are open.
    pub admitted: Admitted,
    /// Who may measure the link to here.
    pub probers: watch::Receiver<Arc<BTreeSet<PeerName>>>,
    /// Takes their probes.
    pub probes: ProbeSink,
}

impl Inbound {
    /// Accepts until the transport is closed.
    pub async fn run(self, transport: Transport) {
        while let Some(incoming) = transport.accept().await {
            let inbound = self.clone();
            actix_rt::spawn(inbound.welcome(incoming));
        }
    }

    async fn welcome(self, incoming: IncomingPeer) {
        let remote = incoming.remote();
        let peer = match incoming.establish().await {
            Ok(peer) => peer,
            Err(error) => {
                self.metrics.refused("handshake");
                return tracing::warn!(%remote, error = %weir_shared::chain(&error), "peer refused");
            }
        };
        match peer.protocol {
            Protocol::Data => self.serve(peer).await,
            Protocol::Probe => {
                let admitted = self.probers.borrow().contains(&peer.peer);
                if admitted {
                    return self.probes.absorb(&peer).await;
                }
                self.metrics.refused("probe");
                peer.close(close_code::NOT_IN_PLAN, "you have no link to here to measure");
            }
            Protocol::Control | Protocol::Weights => {
                self.metrics.refused("protocol");
                peer.close(close_code::WRONG_ROLE, "workers accept activations only");
            }
        }
    }

    async fn serve(self, peer: PeerConnection) {
        let name = peer.peer.clone();
        let admits = |plans: &Arc<LivePlans>| plans.admits(&name);
        let read = |stream| {
            actix_rt::spawn(self.clone().read(peer.clone(), stream));
        };
        if self.admitted.serve(peer.clone(), self.plans.clone(), admits, read).await == Ended::NotInPlan {
            self.metrics.refused("not_in_plan");
            tracing::debug!(peer = %name, "peer is in no live plan");
        }
    }

    async fn read(self, peer: PeerConnection, mut stream: quinn::RecvStream) {
        let expect = |header: &weir_shared::wire::Header| self.plans.borrow().expect(&peer.peer, header);
        match activation::receive(&mut stream, expect).await {
            Ok(activation) => {
                // Waits while the stage's mailbox is full: that is the back-pressure towards the sender.
                if self.stage.send(ActivationArrived(activation)).await.is_err() {
                    tracing::error!("the stage actor is gone");
                }
            }
            Err(ReceiveError::Request { header, cause }) => {
                self.metrics.refused("request");
                // The rest of the stream is of no use; the failure goes to the gateway by way of the control stream.
                let _ = stream.stop(quinn::VarInt::from_u32(close_code::PROTOCOL));
                self.failures.report(&header, cause.kind(), cause.to_string());
            }
            // The connection ended under the stream; its sender knows and reports.
            Err(ReceiveError::Stream(_)) => {}
            Err(error) => {
                self.metrics.refused("malformed");
                tracing::warn!(peer = %peer.peer, error = %weir_shared::chain(&error), "malformed activation");
                let _ = stream.stop(quinn::VarInt::from_u32(close_code::PROTOCOL));
            }
        }
    }
}
