//! The HTTP layer's view of the gateway.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use actix::Addr;
use futures_util::future::LocalBoxFuture;
use tokio::sync::{Semaphore, watch};

use super::actor::{Admission, GatewayActor, RETRY_AFTER, outcome_name};
use super::messages::Infer;
use super::oip::{InferBackend, InferDone, InferFailure, InferJob, ModelInfo, Permit, StatisticsSnapshot};
use crate::metrics::Metrics;

/// Hands requests from any HTTP thread to the gateway actor. Cheap to clone.
#[derive(Clone)]
pub struct GatewayBackend {
    /// The actor.
    pub gateway: Addr<GatewayActor>,
    /// What is served.
    pub model: Arc<ModelInfo>,
    /// Whether requests are admitted.
    pub admission: watch::Receiver<Admission>,
    /// How many requests are in, and how many may be.
    pub occupied: Arc<AtomicUsize>,
    /// Requests that may be in at once.
    pub capacity: usize,
    /// Requests that may be read, waited for and written at once.
    pub places: Arc<Semaphore>,
    /// Counted for operators.
    pub metrics: Arc<Metrics>,
    /// Counted for clients.
    pub statistics: Arc<Mutex<StatisticsSnapshot>>,
}

impl InferBackend for GatewayBackend {
    fn model(&self) -> &ModelInfo {
        &self.model
    }

    fn is_ready(&self) -> bool {
        *self.admission.borrow() == Admission::Open
    }

    /// A look without a lock: the ledger has the last word.
    fn admit(&self) -> Result<Permit, InferFailure> {
        let refused = match *self.admission.borrow() {
            Admission::Draining => InferFailure::Draining,
            Admission::NoPlan => InferFailure::NoPlan,
            Admission::Open | Admission::Holding if self.occupied.load(Relaxed) >= self.capacity => {
                InferFailure::Overloaded { retry_after: RETRY_AFTER }
            }
            Admission::Open | Admission::Holding => match self.places.clone().try_acquire_owned() {
                Ok(place) => return Ok(place.into()),
                Err(_) => InferFailure::Overloaded { retry_after: RETRY_AFTER },
            },
        };
        self.metrics.refused(outcome_name(&refused));
        Err(refused)
    }

    fn infer(&self, job: InferJob) -> LocalBoxFuture<'static, Result<InferDone, InferFailure>> {
        let gateway = self.gateway.clone();
        Box::pin(async move {
            // A full mailbox waits here, and with it the HTTP connection: the ledger itself never waits.
            let answer = gateway.send(Infer(job)).await;
            answer.unwrap_or(Err(InferFailure::Draining))
        })
    }

    fn statistics(&self) -> StatisticsSnapshot {
        self.statistics.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
