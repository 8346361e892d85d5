//! What the orchestrator counts, registered once and changed by methods.

use std::time::Duration;

use prometheus::{
    Encoder as _, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, TextEncoder,
};
use weir_shared::metric_names as names;
use weir_shared::plan::PlanId;

/// From a CIFAR network on loopback to a large one over a slow radio link, in seconds.
const REQUEST_BUCKETS: [f64; 14] =
    [0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// Every metric of the orchestrator.
pub struct Metrics {
    registry: Registry,
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
        let registry = Registry::new();
        let counters = |name: &str, help: &str, label: &str| {
            let made = IntCounterVec::new(Opts::new(name, help), &[label])?;
            registry.register(Box::new(made.clone()))?;
            Ok::<_, prometheus::Error>(made)
        };
        let counter = |name: &str, help: &str| {
            let made = IntCounter::new(name, help)?;
            registry.register(Box::new(made.clone()))?;
            Ok::<_, prometheus::Error>(made)
        };
        let gauge = |name: &str, help: &str| {
            let made = IntGauge::new(name, help)?;
            registry.register(Box::new(made.clone()))?;
            Ok::<_, prometheus::Error>(made)
        };
        let build = IntGaugeVec::new(Opts::new(names::BUILD_INFO, "Release of this binary."), &["version"])?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        registry.register(Box::new(build))?;
        let options =
            HistogramOpts::new(names::REQUEST_SECONDS, "Seconds from admission to the terminal reply.");
        let request_seconds = HistogramVec::new(options.buckets(REQUEST_BUCKETS.to_vec()), &["outcome"])?;
        registry.register(Box::new(request_seconds.clone()))?;
        Ok(Self {
            requests: counters(names::REQUESTS, "Requests answered.", "outcome")?,
            request_seconds,
            in_flight: gauge(names::REQUESTS_IN_FLIGHT, "Requests admitted and not yet answered.")?,
            retries: counter(names::RETRIES, "Attempts beyond the first.")?,
            unexpected_replies: counter(names::UNEXPECTED_REPLIES, "Replies that nobody waited for.")?,
            refused: counters(names::REFUSED, "Connections refused.", "reason")?,
            plan_epoch: gauge(names::PLAN_EPOCH, "Epoch of the committed plan.")?,
            plan_term: gauge(names::PLAN_TERM, "Term of this orchestrator.")?,
            rollouts: counters(names::ROLLOUTS, "Rollouts that ended.", "outcome")?,
            workers: gauge(names::WORKERS_CONNECTED, "Workers with a live session.")?,
            registry,
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

    /// Everything in Prometheus text format 0.0.4.
    pub fn text(&self) -> String {
        let mut buffer = Vec::new();
        // Writing to memory fails only for metrics that are malformed, which registration rules out.
        let _ = TextEncoder::new().encode(&self.registry.gather(), &mut buffer);
        String::from_utf8_lossy(&buffer).into_owned()
    }
}
