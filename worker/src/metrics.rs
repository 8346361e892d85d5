//! What a worker counts, registered once and changed by methods.

use std::time::Duration;

use prometheus::{Gauge, Histogram, IntCounter, IntCounterVec, IntGauge};
use weir_shared::metric_names as names;
use weir_shared::metrics::{LinkMetrics, MetricSet, Table, Totals};
use weir_shared::telemetry::{PowerReading, Report};
use weir_shared::wire::control::FailureKind;

/// From a fraction of a CIFAR layer to a whole ResNet-152 on a small board, in seconds.
const COMPUTE_BUCKETS: [f64; 14] =
    [0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

/// Why this process refuses a peer: the values of the label `reason`.
const REFUSALS: [&str; 6] = ["handshake", "protocol", "not_in_plan", "request", "malformed", "probe"];

/// Every metric of a worker.
pub struct Metrics {
    set: MetricSet,
    worker: String,
    executions: IntCounterVec,
    compute_seconds: Histogram,
    layer_seconds: Table,
    queue_length: IntGauge,
    failures: IntCounterVec,
    weight_bytes: Gauge,
    received_bytes: IntCounter,
    live_plans: IntGauge,
    refused: IntCounterVec,
    certificate_expiry: Gauge,
    memory: Gauge,
    memory_limit: Gauge,
    energy: Totals,
    power: Table,
    power_budget: Table,
    battery: Table,
    links: LinkMetrics,
}

impl Metrics {
    /// Registers everything for the worker of that name.
    ///
    /// # Errors
    /// If two metrics have one name, which is a mistake in this file.
    pub fn new(worker: &str) -> Result<Self, prometheus::Error> {
        let set = MetricSet::new(env!("CARGO_PKG_VERSION"))?;
        let metrics = Self {
            worker: worker.to_owned(),
            executions: set.counters(&names::STAGE_EXECUTIONS)?,
            compute_seconds: set.histogram(&names::STAGE_COMPUTE_SECONDS, &COMPUTE_BUCKETS)?,
            layer_seconds: set.table(&names::STAGE_LAYER_SECONDS)?,
            queue_length: set.gauge(&names::STAGE_QUEUE_LENGTH)?,
            failures: set.counters(&names::STAGE_FAILURES)?,
            weight_bytes: set.real_gauge(&names::STAGE_WEIGHT_BYTES)?,
            received_bytes: set.counter(&names::STAGE_RECEIVED_BYTES)?,
            live_plans: set.gauge(&names::LIVE_PLANS)?,
            refused: set.counters(&names::REFUSED)?,
            certificate_expiry: set.real_gauge(&names::CERTIFICATE_EXPIRY)?,
            memory: set.real_gauge(&names::WORKER_MEMORY_BYTES)?,
            memory_limit: set.real_gauge(&names::WORKER_MEMORY_LIMIT_BYTES)?,
            energy: set.totals(&names::WORKER_ENERGY_JOULES)?,
            power: set.table(&names::WORKER_POWER_WATTS)?,
            power_budget: set.table(&names::WORKER_POWER_BUDGET_WATTS)?,
            battery: set.table(&names::WORKER_BATTERY_RATIO)?,
            links: LinkMetrics::new(&set)?,
            set,
        };
        // What has not happened yet is 0 and not absent.
        REFUSALS.iter().for_each(|reason| metrics.refused.with_label_values(&[reason]).reset());
        for kind in FailureKind::ALL {
            metrics.failures.with_label_values(&[kind.name()]).reset();
        }
        for outcome in ["ok", "error"] {
            metrics.executions.with_label_values(&[outcome]).reset();
        }
        Ok(metrics)
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

    /// New connections show a certificate that is valid until then, in seconds since 1970.
    pub fn certificate(&self, expires_unix_seconds: i64) {
        self.certificate_expiry.set(expires_unix_seconds as f64);
    }

    /// Takes the readings that are about to be reported; series of what is gone are removed.
    pub fn report(&self, report: &Report) {
        let worker = self.worker.as_str();
        self.links.replace(worker, &report.links);
        let layers: Vec<_> = report
            .layers
            .iter()
            .map(|reading| (reading.layer.to_string(), reading.seconds / f64::from(reading.batch)))
            .collect();
        let layers: Vec<_> = layers.iter().map(|(layer, seconds)| ([layer.as_str()], *seconds)).collect();
        self.layer_seconds.replace(&layers);
        self.memory.set(report.resident_bytes as f64);
        self.memory_limit.set(report.memory_limit_bytes as f64);
        self.received_bytes.inc_by(report.received_bytes.saturating_sub(self.received_bytes.get()));
        let zones = |of: fn(&PowerReading) -> f64| {
            let readings = report.power.readings.iter();
            let row = readings.map(|r| ([worker, r.source.name(), &*r.zone], of(r)));
            row.collect::<Vec<_>>()
        };
        self.energy.replace(&zones(|reading| reading.joules));
        self.power.replace(&zones(|reading| reading.watts));
        let one = |value: Option<f64>| value.map(|value| ([worker], value)).into_iter().collect::<Vec<_>>();
        self.power_budget.replace(&one(report.power.budget_watts));
        self.battery.replace(&one(report.power.battery.map(|battery| battery.ratio)));
    }

    /// Everything in Prometheus text format.
    pub fn text(&self) -> String {
        self.set.text()
    }
}
