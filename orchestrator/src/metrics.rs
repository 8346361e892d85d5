//! What the orchestrator counts, registered once and changed by methods.

use std::time::Duration;

use prometheus::{HistogramVec, IntCounter, IntCounterVec, IntGauge};
use weir_shared::metric_names as names;
use weir_shared::metrics::MetricSet;
use weir_shared::plan::PlanId;

/// From a CIFAR network on loopback to a large one over a slow radio link, in seconds.
const REQUEST_BUCKETS: [f64; 14] =
    [0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// Every metric of the orchestrator.
pub struct Metrics {
    set: MetricSet,
    requests: IntCounterVec,
    request_seconds: HistogramVec,
    in_flight: IntGauge,
    retries: IntCounter,
    unexpected_replies: IntCounter,
    refused: IntCounterVec,
    plan_epoch: IntGauge,
    plan_term: IntGauge,
    rollouts: IntCounterVec,
    workers: IntGauge,
}

impl Metrics {
    /// Registers everything.
    ///
    /// # Errors
    /// If two metrics have one name, which is a mistake in this file.
    pub fn new() -> Result<Self, prometheus::Error> {
        let set = MetricSet::new(env!("CARGO_PKG_VERSION"))?;
        let seconds = "Seconds from admission to the terminal reply.";
        Ok(Self {
            requests: set.counters(names::REQUESTS, "Requests answered.", &["outcome"])?,
            request_seconds: set.histograms(
                names::REQUEST_SECONDS,
                seconds,
                &REQUEST_BUCKETS,
                &["outcome"],
            )?,
            in_flight: set.gauge(names::REQUESTS_IN_FLIGHT, "Requests admitted and not yet answered.")?,
            retries: set.counter(names::RETRIES, "Attempts beyond the first.")?,
            unexpected_replies: set.counter(names::UNEXPECTED_REPLIES, "Replies that nobody waited for.")?,
            refused: set.counters(names::REFUSED, "Connections refused.", &["reason"])?,
            plan_epoch: set.gauge(names::PLAN_EPOCH, "Epoch of the committed plan.")?,
            plan_term: set.gauge(names::PLAN_TERM, "Term of this orchestrator.")?,
            rollouts: set.counters(names::ROLLOUTS, "Rollouts that ended.", &["outcome"])?,
            workers: set.gauge(names::WORKERS_CONNECTED, "Workers with a live session.")?,
            set,
        })
    }

    /// A request reached its terminal outcome after it had been admitted.
    pub fn answered(&self, outcome: &'static str, took: Duration) {
        self.requests.with_label_values(&[outcome]).inc();
        self.request_seconds.with_label_values(&[outcome]).observe(took.as_secs_f64());
    }

    /// A request was not admitted.
    pub fn refused(&self, outcome: &'static str) {
        self.requests.with_label_values(&[outcome]).inc();
    }

    /// So many requests are in; so many retries were made since the start.
    pub fn in_flight(&self, count: usize, retries: u64) {
        self.in_flight.set(count as i64);
        self.retries.inc_by(retries.saturating_sub(self.retries.get()));
    }

    /// A reply came for which nobody waits.
    pub fn unexpected_reply(&self) {
        self.unexpected_replies.inc();
    }

    /// A peer was refused.
    pub fn refused_peer(&self, reason: &'static str) {
        self.refused.with_label_values(&[reason]).inc();
    }

    /// A plan was committed.
    pub fn plan_committed(&self, id: PlanId) {
        self.plan_epoch.set(id.epoch.0 as i64);
        self.plan_term.set(id.term.0 as i64);
    }

    /// A rollout ended.
    pub fn rollout_ended(&self, outcome: &'static str) {
        self.rollouts.with_label_values(&[outcome]).inc();
    }

    /// So many workers have a session.
    pub fn workers(&self, connected: usize) {
        self.workers.set(connected as i64);
    }

    /// Everything in Prometheus text format.
    pub fn text(&self) -> String {
        self.set.text()
    }
}
