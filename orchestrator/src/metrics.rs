//! What the orchestrator counts, registered once and changed by methods.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use prometheus::{Gauge, Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec};
use weir_shared::arch::Network;
use weir_shared::ids::PeerName;
use weir_shared::metric_names as names;
use weir_shared::metrics::{LinkMetrics, MetricSet, Table, Totals};
use weir_shared::plan::Plan;
use weir_shared::telemetry::{Absurdity, LinkReport};

use crate::cluster::Cluster;
use crate::planner::Bounds;
use crate::telemetry::{LinkEstimate, Trust};

/// From a CIFAR network on loopback to a large one over a slow radio link, in seconds.
const REQUEST_BUCKETS: [f64; 14] =
    [0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// From a handful of workers to a hundred, in seconds.
const DECISION_BUCKETS: [f64; 10] = [0.000_1, 0.000_5, 0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0];

/// From a solid-state disk to a worn card, in seconds.
const JOURNAL_BUCKETS: [f64; 10] = [0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.1, 0.5, 1.0, 5.0];

/// Outcomes of requests, why peers are refused, and how rollouts end: what has not happened yet is 0 and not absent.
const OUTCOMES: [&str; 5] = ["ok", "overloaded", "unavailable", "expired", "failed"];
const CANARIES: [&str; 5] = ["passed", "busy", "missing", "not_finite", "different"];
const REFUSALS: [&str; 5] = ["handshake", "session", "not_in_plan", "malformed", "probe"];
const ROLLOUTS: [&str; 2] = ["committed", "aborted"];
const JOURNAL: [&str; 2] = ["written", "failed"];

/// Every metric of the orchestrator.
pub struct Metrics {
    set: MetricSet,
    requests: IntCounterVec,
    request_seconds: HistogramVec,
    in_flight: IntGauge,
    retries: IntCounter,
    canaries: IntCounterVec,
    unexpected_replies: IntCounter,
    degraded: IntCounter,
    refused: IntCounterVec,
    certificate_expiry: Gauge,
    plan_epoch: IntGauge,
    plan_term: IntGauge,
    plan_stages: IntGauge,
    plan_committed: Gauge,
    rollouts: IntCounterVec,
    journal_seconds: HistogramVec,
    replans: IntCounterVec,
    predicted_latency: Gauge,
    predicted_gain: Gauge,
    measured_gain: Gauge,
    /// Latency, energy, accuracy lost, throughput.
    policy_bounds: [Gauge; 4],
    measured_latency: Gauge,
    prediction_error: Gauge,
    active_connections: IntGaugeVec,
    expected_accuracy: Gauge,
    decision_seconds: Histogram,
    workers: IntGauge,
    telemetry_rejected: IntCounterVec,
    own_links: LinkMetrics,
    of_workers: WorkerTables,
    of_links: LinkTables,
}

/// What is believed of workers.
struct WorkerTables {
    trusted: Table,
    age: Table,
    utilisation: Table,
    queue: Table,
    rate: Table,
    memory: Table,
    watts: Table,
    joules: Totals,
    idle: Table,
    active: Table,
}

/// What is believed of links.
struct LinkTables {
    up: Table,
    rtt: Table,
    rtt_minimum: Table,
    goodput: Table,
    loss: Table,
    age: Table,
}

impl Metrics {
    /// Registers everything.
    ///
    /// # Errors
    /// If two metrics have one name, which is a mistake in this file.
    pub fn new() -> Result<Self, prometheus::Error> {
        let set = MetricSet::new(env!("CARGO_PKG_VERSION"))?;
        let metrics = Self {
            requests: set.counters(&names::REQUESTS)?,
            request_seconds: set.histograms(&names::REQUEST_SECONDS, &REQUEST_BUCKETS)?,
            in_flight: set.gauge(&names::REQUESTS_IN_FLIGHT)?,
            retries: set.counter(&names::RETRIES)?,
            canaries: set.counters(&names::CANARIES)?,
            unexpected_replies: set.counter(&names::UNEXPECTED_REPLIES)?,
            degraded: set.counter(&names::DEGRADED_RESPONSES)?,
            refused: set.counters(&names::REFUSED)?,
            certificate_expiry: set.real_gauge(&names::CERTIFICATE_EXPIRY)?,
            plan_epoch: set.gauge(&names::PLAN_EPOCH)?,
            plan_term: set.gauge(&names::PLAN_TERM)?,
            plan_stages: set.gauge(&names::PLAN_STAGES)?,
            plan_committed: set.real_gauge(&names::PLAN_COMMITTED)?,
            rollouts: set.counters(&names::ROLLOUTS)?,
            journal_seconds: set.histograms(&names::JOURNAL_SECONDS, &JOURNAL_BUCKETS)?,
            replans: set.counters(&names::REPLANS)?,
            predicted_gain: set.real_gauge(&names::PLAN_PREDICTED_GAIN)?,
            measured_gain: set.real_gauge(&names::PLAN_MEASURED_GAIN)?,
            policy_bounds: [
                set.real_gauge(&names::POLICY_LATENCY_BOUND)?,
                set.real_gauge(&names::POLICY_ENERGY_BOUND)?,
                set.real_gauge(&names::POLICY_ACCURACY_BOUND)?,
                set.real_gauge(&names::POLICY_THROUGHPUT_BOUND)?,
            ],
            predicted_latency: set.real_gauge(&names::PLAN_PREDICTED_LATENCY_SECONDS)?,
            measured_latency: set.real_gauge(&names::PLAN_MEASURED_LATENCY_SECONDS)?,
            prediction_error: set.real_gauge(&names::PREDICTION_ERROR)?,
            active_connections: set.gauges(&names::ACTIVE_CONNECTIONS)?,
            expected_accuracy: set.real_gauge(&names::EXPECTED_ACCURACY)?,
            decision_seconds: set.histogram(&names::DECISION_SECONDS, &DECISION_BUCKETS)?,
            workers: set.gauge(&names::WORKERS_CONNECTED)?,
            telemetry_rejected: set.counters(&names::TELEMETRY_REJECTED)?,
            own_links: LinkMetrics::new(&set)?,
            of_workers: WorkerTables {
                trusted: set.table(&names::WORKER_TRUSTED)?,
                age: set.table(&names::WORKER_REPORT_AGE)?,
                utilisation: set.table(&names::WORKER_UTILISATION)?,
                queue: set.table(&names::WORKER_QUEUE_LENGTH)?,
                rate: set.table(&names::WORKER_RATE)?,
                memory: set.table(&names::WORKER_MEMORY_AVAILABLE_BYTES)?,
                watts: set.table(&names::WORKER_DRAWN_WATTS)?,
                joules: set.totals(&names::WORKER_USED_JOULES)?,
                idle: set.table(&names::WORKER_IDLE_WATTS)?,
                active: set.table(&names::WORKER_ACTIVE_WATTS)?,
            },
            of_links: LinkTables {
                up: set.table(&names::LINK_BELIEVED_UP)?,
                rtt: set.table(&names::LINK_BELIEVED_RTT)?,
                rtt_minimum: set.table(&names::LINK_BELIEVED_MIN_RTT)?,
                goodput: set.table(&names::LINK_BELIEVED_GOODPUT)?,
                loss: set.table(&names::LINK_BELIEVED_LOSS)?,
                age: set.table(&names::LINK_BELIEVED_AGE)?,
            },
            set,
        };
        let seed = |vec: &IntCounterVec, values: &[&str]| {
            values.iter().for_each(|value| vec.with_label_values(&[*value]).reset());
        };
        seed(&metrics.requests, &OUTCOMES);
        seed(&metrics.canaries, &CANARIES);
        seed(&metrics.refused, &REFUSALS);
        seed(&metrics.rollouts, &ROLLOUTS);
        seed(&metrics.telemetry_rejected, &Absurdity::ALL.map(Absurdity::name));
        for outcome in OUTCOMES {
            metrics.request_seconds.with_label_values(&[outcome]);
        }
        for outcome in JOURNAL {
            metrics.journal_seconds.with_label_values(&[outcome]);
        }
        for (reason, kind) in names::REPLAN_REASONS.iter().flat_map(|r| names::REPLAN_KINDS.map(|k| (r, k))) {
            metrics.replans.with_label_values(&[*reason, kind]).reset();
        }
        metrics.active_connections(0, 0);
        metrics.policy_bounds(&Bounds { accuracy_loss_points: None, ..Bounds::default() });
        Ok(metrics)
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

    /// A request of our own found this.
    pub fn canary(&self, outcome: &'static str) {
        self.canaries.with_label_values(&[outcome]).inc();
    }

    /// A reply came for which nobody waits.
    pub fn unexpected_reply(&self) {
        self.unexpected_replies.inc();
    }

    /// A peer was refused.
    pub fn refused_peer(&self, reason: &'static str) {
        self.refused.with_label_values(&[reason]).inc();
    }

    /// New connections show a certificate that is valid until then, in seconds since 1970.
    pub fn certificate(&self, expires_unix_seconds: i64) {
        self.certificate_expiry.set(expires_unix_seconds as f64);
    }

    /// A plan was committed, at that time since 1970.
    pub fn plan_committed(&self, plan: &Plan, unix_millis: u64) {
        self.plan_epoch.set(plan.id().epoch.0 as i64);
        self.plan_term.set(plan.id().term.0 as i64);
        self.plan_stages.set(plan.draft().stages.len() as i64);
        self.plan_committed.set(unix_millis as f64 / 1e3);
        let (network, active) = (plan.draft().network.network(), &plan.draft().active);
        let branches = network.blocks.iter().filter(|block| active.branch(block.id)).count();
        let shortcuts = network.blocks.iter().filter(|block| active.shortcut(block.id)).count();
        self.active_connections(branches, shortcuts);
    }

    /// So many residual branches and shortcuts are computed.
    pub fn active_connections(&self, branches: usize, shortcuts: usize) {
        self.active_connections.with_label_values(&["branch"]).set(branches as i64);
        self.active_connections.with_label_values(&["shortcut"]).set(shortcuts as i64);
    }

    /// It was decided to change the plan; `reason` is one of [`names::REPLAN_REASONS`] and `kind` of
    /// [`names::REPLAN_KINDS`].
    pub fn replanned(&self, reason: &'static str, kind: &'static str) {
        self.replans.with_label_values(&[reason, kind]).inc();
    }

    /// The optimisation model states this latency for the committed plan.
    pub fn predicted_latency(&self, seconds: f64) {
        self.predicted_latency.set(seconds);
    }

    /// The latest decision was to gain this share of the objective.
    pub fn predicted_gain(&self, ratio: f64) {
        self.predicted_gain.set(ratio);
        self.measured_gain.set(0.0);
    }

    /// It gained this share of the old plan's latency.
    pub fn measured_gain(&self, ratio: f64) {
        self.measured_gain.set(ratio);
    }

    /// These bounds are in force.
    pub fn policy_bounds(&self, bounds: &Bounds) {
        /// Nobody can lose more points.
        const ALL_POINTS: f64 = 100.0;
        let values = [
            bounds.latency_seconds.unwrap_or(0.0),
            bounds.energy_joules.unwrap_or(0.0),
            bounds.accuracy_loss_points.unwrap_or(ALL_POINTS),
            bounds.throughput.unwrap_or(0.0),
        ];
        self.policy_bounds.iter().zip(values).for_each(|(gauge, value)| gauge.set(value));
    }

    /// This latency was measured on the committed plan.
    pub fn measured_latency(&self, seconds: f64) {
        self.measured_latency.set(seconds);
    }

    /// Predicted and measured latency differ by this share of the measured one.
    pub fn prediction_error(&self, ratio: f64) {
        self.prediction_error.set(ratio);
    }

    /// A request was answered while a lost worker's blocks were bypassed.
    pub fn degraded_response(&self) {
        self.degraded.inc();
    }

    /// The profile states this accuracy for the committed plan, 0 to 1.
    pub fn expected_accuracy(&self, ratio: f64) {
        self.expected_accuracy.set(ratio);
    }

    /// A decision took so long.
    pub fn decided(&self, took: Duration) {
        self.decision_seconds.observe(took.as_secs_f64());
    }

    /// A report could not be true.
    pub fn telemetry_rejected(&self, absurdity: Absurdity) {
        self.telemetry_rejected.with_label_values(&[absurdity.name()]).inc();
    }

    /// The gateway's readings of its own links.
    pub fn gateway_links(&self, gateway: &PeerName, links: &[LinkReport]) {
        self.own_links.replace(gateway.short(), links);
    }

    /// What is believed now; series of workers and links that are gone are removed.
    pub fn cluster(&self, now: Instant, cluster: &Cluster, network: &Network, gateway: &PeerName) {
        self.of_links.replace(&cluster.link_estimates(now, gateway));
        self.of_workers.replace(now, cluster, network);
    }

    /// A rollout ended.
    pub fn rollout_ended(&self, outcome: &'static str) {
        self.rollouts.with_label_values(&[outcome]).inc();
    }

    /// The journal was to take a plan, and did or could not after so long.
    pub fn journal_written(&self, outcome: &'static str, took: Duration) {
        self.journal_seconds.with_label_values(&[outcome]).observe(took.as_secs_f64());
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

impl WorkerTables {
    fn replace(&self, now: Instant, cluster: &Cluster, network: &Network) {
        let mut rows: [Vec<([&str; 1], f64)>; 8] = Default::default();
        let (mut watts, mut joules) = (Vec::new(), Vec::new());
        for (worker, view) in cluster.connected() {
            let (name, estimate) = ([worker.as_str()], view.estimates.estimate(now, network));
            let [trusted, age, utilisation, queue, rate, memory, idle, active] = &mut rows;
            trusted.push((name, f64::from(u8::from(estimate.trust == Trust::Fresh))));
            age.push((name, estimate.age_seconds));
            utilisation.push((name, estimate.utilisation));
            rate.push((name, estimate.macs_per_second));
            memory.extend(estimate.memory_bytes.map(|bytes| (name, bytes as f64)));
            idle.push((name, estimate.power.idle_watts));
            active.push((name, estimate.power.active_watts));
            if let Some((report, _)) = view.report() {
                queue.push((name, f64::from(report.queue_length)));
                let labels = [worker.as_str(), report.power.primary.name()];
                watts.extend(report.power.watts().map(|watts| (labels, watts)));
                joules.push((labels, report.power.joules()));
            }
        }
        let tables = [
            &self.trusted,
            &self.age,
            &self.utilisation,
            &self.queue,
            &self.rate,
            &self.memory,
            &self.idle,
            &self.active,
        ];
        tables.iter().zip(&rows).for_each(|(table, rows)| table.replace(rows));
        self.watts.replace(&watts);
        self.joules.replace(&joules);
    }
}

impl LinkTables {
    fn replace(&self, links: &BTreeMap<(PeerName, PeerName), LinkEstimate>) {
        let rows = |of: fn(&LinkEstimate) -> Option<f64>| {
            let links = links.iter();
            let row = links.filter_map(|((from, to), link)| Some(([from.short(), to.short()], of(link)?)));
            row.collect::<Vec<_>>()
        };
        self.up.replace(&rows(|link| Some(f64::from(u8::from(link.up)))));
        self.rtt.replace(&rows(|link| link.rtt_seconds));
        self.rtt_minimum.replace(&rows(|link| link.rtt_minimum_seconds));
        self.goodput.replace(&rows(|link| link.goodput));
        self.loss.replace(&rows(|link| Some(link.loss)));
        self.age.replace(&rows(|link| link.rtt_seconds.map(|_| link.rtt_age_seconds)));
    }
}
