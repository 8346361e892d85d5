//! Hands a stage's results to everybody who needs them, over links that outlive single plans.
//!
//! A value with several users is encoded for each link but shared in memory as f32. What cannot be sent, or is
//! not acknowledged, is reported as a failed request: nothing vanishes in silence.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use weir_shared::plan::{Node, Plan, Route};
use weir_shared::transport::{LinkBook, Links, OnUndelivered, Parcel, Transport, Undelivered, activation};
use weir_shared::wire::control::{FailureKind, LinkReport, RequestFailure};
use weir_shared::wire::{Header, codec};

use crate::metrics::Metrics;
use crate::plans::LivePlan;

/// Told about requests that cannot go on at this worker.
pub type OnFailure = Arc<dyn Fn(RequestFailure) + Send + Sync>;

/// The sending side of a worker.
pub struct Outbound {
    links: Links,
    failures: Failures,
}

/// Counts failed requests and passes them on.
#[derive(Clone)]
pub struct Failures {
    /// Told about each.
    pub notify: OnFailure,
    /// Counts each.
    pub metrics: Arc<Metrics>,
}

impl Failures {
    /// A request cannot go on here.
    pub fn report(&self, header: &Header, kind: FailureKind, reason: String) {
        self.metrics.request_failed(kind);
        (self.notify)(RequestFailure::of(header, kind, reason));
    }
}

impl Outbound {
    /// A sending side without links; they are opened as plans need them.
    pub fn new(transport: Transport, failures: Failures) -> Self {
        let undelivered = failures.clone();
        let on_undelivered: OnUndelivered = Arc::new(move |parcel: Undelivered| {
            undelivered.report(&parcel.header, parcel.kind, parcel.reason);
        });
        Self { links: Links::new(transport, on_undelivered), failures }
    }

    /// Sends one array for each value that the stage sends, in the program's order.
    pub fn send(&self, live: &LivePlan, header: &Header, deadline: Instant, arrays: Vec<Vec<f32>>) {
        let program = live.program();
        let here = Node::Stage(live.stage);
        for (value, array) in program.sent_values().into_iter().zip(arrays) {
            let array = Arc::new(array);
            for outlet in program.outlets.iter().filter(|outlet| outlet.value == value) {
                let Some(route) = live.plan.route(here, outlet.to) else { continue };
                let payload = activation::payload(route.encoding, &array, outlet.shape);
                let checksum = codec::checksum(&payload);
                let header = Header { value, encoding: route.encoding, checksum, ..header.clone() };
                let parcel = Parcel { header, payload, deadline };
                if let Err(refused) = self.links.send(&route.to, route.address, parcel) {
                    self.failures.report(&refused.header, refused.kind, refused.reason);
                }
            }
        }
    }

    /// Reaches every peer that the stage sends to, and completes with those that were not reached within `limit`.
    pub fn reach_all(&self, live: &LivePlan, limit: Duration) -> Pin<Box<dyn Future<Output = Vec<Route>>>> {
        let reach = |route: Route| {
            let reached = tokio::time::timeout(limit, self.links.reach(&route.to, route.address));
            async move { reached.await.is_err().then_some(route) }
        };
        let all = futures_util::future::join_all(routes(live).into_iter().map(reach));
        Box::pin(async move { all.await.into_iter().flatten().collect() })
    }

    /// Closes the links that none of `plans` uses.
    pub fn keep_only<'a>(&self, plans: impl Iterator<Item = &'a Plan>) {
        self.links.keep_only(plans);
    }

    /// What is counted for each peer, for a prober to add to.
    pub fn book(&self) -> LinkBook {
        self.links.book()
    }

    /// Readings of every link.
    pub fn report(&self) -> Vec<LinkReport> {
        self.links.report()
    }
}

/// The routes on which a stage sends, as often as it has outlets.
fn routes(live: &LivePlan) -> Vec<Route> {
    let here = Node::Stage(live.stage);
    let outlets = live.program().outlets.iter();
    outlets.filter_map(|outlet| live.plan.route(here, outlet.to)).cloned().collect()
}
