//! What a worker counts, registered once and changed by methods.

use std::time::Duration;

use prometheus::{Gauge, GaugeVec, Histogram, IntCounterVec, IntGauge, IntGaugeVec};
use weir_shared::metric_names as names;
use weir_shared::metrics::MetricSet;
use weir_shared::wire::control::{FailureKind, LinkReport};

/// From a fraction of a CIFAR layer to a whole ResNet-152 on a small board, in seconds.
const COMPUTE_BUCKETS: [f64; 14] =
    [0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

/// Every metric of a worker.
pub struct Metrics {
    set: MetricSet,
    worker: String,
    executions: IntCounterVec,
    compute_seconds: Histogram,
    queue_length: IntGauge,
    failures: IntCounterVec,
    weight_bytes: Gauge,
    live_plans: IntGauge,
    refused: IntCounterVec,
    link_active: IntGaugeVec,
    link_rtt: GaugeVec,
    link_activations: IntCounterVec,
    link_bytes: IntCounterVec,
    link_packets_sent: IntCounterVec,
    link_packets_lost: IntCounterVec,
}

impl Metrics {
    /// Registers everything for the worker of that name.
    ///
    /// # Errors
    /// If two metrics have one name, which is a mistake in this file.
    pub fn new(worker: &str) -> Result<Self, prometheus::Error> {
        let set = MetricSet::new(env!("CARGO_PKG_VERSION"))?;
        let link = ["src", "dst"];
        Ok(Self {
            worker: worker.to_owned(),
            executions: set.counters(
                names::STAGE_EXECUTIONS,
                "Stage executions that ended.",
                &["outcome"],
            )?,
            compute_seconds: set.histogram(
                names::STAGE_COMPUTE_SECONDS,
                "Seconds of one stage execution.",
                &COMPUTE_BUCKETS,
            )?,
            queue_length: set
                .gauge(names::STAGE_QUEUE_LENGTH, "Requests that wait for the compute thread.")?,
            failures: set.counters(names::STAGE_FAILURES, "Requests given up here.", &["kind"])?,
            weight_bytes: set.real_gauge(names::STAGE_WEIGHT_BYTES, "Bytes of weights held.")?,
            live_plans: set.gauge(names::LIVE_PLANS, "Plans that are alive here.")?,
            refused: set.counters(names::REFUSED, "Connections and activations refused.", &["reason"])?,
            link_active: set.gauges(names::LINK_ACTIVE, "1 while the link is connected.", &link)?,
            link_rtt: set.real_gauges(names::LINK_RTT_SECONDS, "Smoothed round-trip time.", &link)?,
            link_activations: set.counters(names::LINK_ACTIVATIONS, "Activations sent.", &link)?,
            link_bytes: set.counters(names::LINK_SENT_BYTES, "Bytes of activations sent.", &link)?,
            link_packets_sent: set.counters(names::LINK_PACKETS_SENT, "Packets sent.", &link)?,
            link_packets_lost: set.counters(names::LINK_PACKETS_LOST, "Packets declared lost.", &link)?,
            set,
        })
    }

    /// A stage execution ended.
    pub fn executed(&self, elapsed: Duration, ok: bool) {
        self.executions.with_label_values(&[if ok { "ok" } else { "error" }]).inc();
        self.compute_seconds.observe(elapsed.as_secs_f64());
    }

    /// So many requests wait for the compute thread.
    pub fn queue_length(&self, length: usize) {
        self.queue_length.set(length as i64);
    }

    /// A request was given up.
    pub fn request_failed(&self, kind: FailureKind) {
        self.failures.with_label_values(&[kind.name()]).inc();
    }

    /// The set of live plans changed.
    pub fn plans_changed(&self, live: usize, weight_bytes: u64) {
        self.live_plans.set(live as i64);
        self.weight_bytes.set(weight_bytes as f64);
    }

    /// A connection or an activation was refused.
    pub fn refused(&self, reason: &'static str) {
        self.refused.with_label_values(&[reason]).inc();
    }

    /// Takes the readings of all links; series of links that are gone are removed.
    pub fn links(&self, reports: &[LinkReport]) {
        self.link_active.reset();
        self.link_rtt.reset();
        for report in reports {
            let labels = [self.worker.as_str(), report.to.short()];
            self.link_active.with_label_values(&labels).set(i64::from(report.up));
            self.link_rtt.with_label_values(&labels).set(report.rtt_seconds);
            let raise = |counter: &IntCounterVec, total: u64| {
                let counter = counter.with_label_values(&labels);
                counter.inc_by(total.saturating_sub(counter.get()));
            };
            raise(&self.link_activations, report.activations);
            raise(&self.link_bytes, report.sent_bytes);
            raise(&self.link_packets_sent, report.packets_sent);
            raise(&self.link_packets_lost, report.packets_lost);
        }
    }

    /// Everything in Prometheus text format.
    pub fn text(&self) -> String {
        self.set.text()
    }
}

/// Resident memory of this process, from `/proc/self/statm`; 0 where there is none.
pub fn resident_bytes() -> u64 {
    /// Linux reports pages; 4 KiB on every board that runs us, and only ever off by a constant factor.
    const PAGE: u64 = 4096;
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    text.split_whitespace().nth(1).and_then(|pages| pages.parse::<u64>().ok()).map_or(0, |pages| pages * PAGE)
}
