//! Every metric, once: name, kind, labels, unit, who exports it, and what is counted.
//!
//! Base units, `weir_` in front, counters end in `_total`; labels are bounded. `docs/metrics.md` is this list for people, and
//! a test keeps the two alike.

/// A metric as it is declared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// Its labels.
    pub labels: &'static [&'static str],
    /// The unit, or what is counted.
    pub unit: &'static str,
    /// Who exports it.
    pub by: Exporter,
    /// What exactly it says.
    pub help: &'static str,
}

/// What a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only rises.
    Counter,
    /// Rises and falls.
    Gauge,
    /// A distribution.
    Histogram,
}

/// Who exports a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exporter {
    /// Workers.
    Worker,
    /// The orchestrator.
    Orchestrator,
    /// Both.
    Both,
}

impl Kind {
    /// As Prometheus writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

impl Exporter {
    /// For people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Worker => "worker",
            Self::Orchestrator => "orchestrator",
            Self::Both => "both",
        }
    }
}

macro_rules! metrics {
    ($($id:ident = $name:literal, $kind:ident, [$($label:literal),*], $unit:literal, $by:ident, $help:literal;)*) => {
        $(
            #[doc = concat!($help, ".")]
            pub const $id: Metric = Metric {
                name: $name,
                kind: Kind::$kind,
                labels: &[$($label),*],
                unit: $unit,
                by: Exporter::$by,
                help: concat!($help, "."),
            };
        )*

        /// Every metric, in the order of docs/metrics.md.
        pub const ALL: &[Metric] = &[$($id),*];
    };
}

/// Why a plan is changed: the values of the label `reason` of [`REPLANS`].
pub const REPLAN_REASONS: [&str; 9] = [
    "first",
    "worker_joined",
    "worker_lost",
    "link_changed",
    "worker_changed",
    "load_changed",
    "policy_changed",
    "trial_failed",
    "operator",
];

/// What a change does: the values of the label `kind` of [`REPLANS`].
pub const REPLAN_KINDS: [&str; 3] = ["switch", "recut", "bypass"];

metrics! {
    // Both.
    BUILD_INFO = "weir_build_info", Gauge, ["version"], "1", Both,
        "Release of the binary; always 1";
    REFUSED = "weir_refused_total", Counter, ["reason"], "connections, activations", Both,
        "Connections and activations refused: `handshake`, `protocol`, `not_in_plan`, `request`, `malformed`, `session`, `probe`";
    CERTIFICATE_EXPIRY = "weir_certificate_expiry_timestamp_seconds", Gauge, [], "seconds", Both,
        "Until when the certificate that new connections show is valid, in seconds since 1970";
    // Stages, by workers.
    STAGE_EXECUTIONS = "weir_stage_executions_total", Counter, ["outcome"], "executions", Worker,
        "Stage executions that ended: `ok` or `error`";
    STAGE_COMPUTE_SECONDS = "weir_stage_compute_duration_seconds", Histogram, [], "seconds", Worker,
        "One stage execution, from first to last operation; queueing is not in it";
    STAGE_LAYER_SECONDS = "weir_stage_layer_seconds", Gauge, ["layer"], "seconds", Worker,
        "Median of the last runs of a layer for one sample, by the layer's number";
    STAGE_QUEUE_LENGTH = "weir_stage_queue_length", Gauge, [], "requests", Worker,
        "Requests whose inputs have all arrived and that wait for the compute thread";
    STAGE_FAILURES = "weir_stage_failures_total", Counter, ["kind"], "requests", Worker,
        "Requests given up by the worker: `stale_plan`, `overloaded`, `expired`, `link_down`, `broken`";
    STAGE_WEIGHT_BYTES = "weir_stage_weight_bytes", Gauge, [], "bytes", Worker,
        "Weights held, all live plans together";
    STAGE_RECEIVED_BYTES = "weir_stage_received_bytes_total", Counter, [], "bytes", Worker,
        "Activations received, without headers";
    LIVE_PLANS = "weir_live_plans", Gauge, [], "plans", Worker,
        "Plans that the worker would compute now: one, or two while a plan is being switched";
    // The machine, by workers.
    WORKER_MEMORY_BYTES = "weir_worker_memory_bytes", Gauge, [], "bytes", Worker,
        "Resident memory of the process";
    WORKER_MEMORY_LIMIT_BYTES = "weir_worker_memory_limit_bytes", Gauge, [], "bytes", Worker,
        "The most memory that it may use: of its cgroup, as configured, or of the machine; 0 where that is not known";
    WORKER_ENERGY_JOULES = "weir_worker_energy_joules_total", Counter, ["worker", "source", "zone"], "joules", Worker,
        "Energy used since the worker's start; `source` is `rapl`, `hwmon`, `battery` or `model`, and only the last is an estimate";
    WORKER_POWER_WATTS = "weir_worker_power_watts", Gauge, ["worker", "source", "zone"], "watts", Worker,
        "Power drawn over the last report period";
    WORKER_POWER_BUDGET_WATTS = "weir_worker_power_budget_watts", Gauge, ["worker"], "watts", Worker,
        "The most that may be drawn; absent where there is no budget";
    WORKER_BATTERY_RATIO = "weir_worker_battery_ratio", Gauge, ["worker"], "0 to 1", Worker,
        "Charge of the battery; absent where there is none";
    // Links, by their senders: workers, and the orchestrator for the gateway's own.
    LINK_ACTIVE = "weir_link_active", Gauge, ["src", "dst"], "0 or 1", Both,
        "1 while a plan has the link open and it is connected, else 0";
    LINK_RTT_SECONDS = "weir_link_rtt_seconds", Gauge, ["src", "dst"], "seconds", Both,
        "Smoothed round-trip time";
    LINK_RTT_VARIATION_SECONDS = "weir_link_rtt_variation_seconds", Gauge, ["src", "dst"], "seconds", Both,
        "Mean deviation of the round-trip time";
    LINK_MIN_RTT_SECONDS = "weir_link_min_rtt_seconds", Gauge, ["src", "dst"], "seconds", Both,
        "Smallest round-trip time of the last one to two seconds";
    LINK_GOODPUT = "weir_link_goodput_bytes_per_second", Gauge, ["src", "dst"], "bytes per second", Both,
        "Useful bytes per second, the largest of the last transfers; absent before the first that was long enough";
    LINK_ACTIVATIONS = "weir_link_activations_total", Counter, ["src", "dst"], "activations", Both,
        "Activations sent";
    LINK_SENT_BYTES = "weir_link_sent_bytes_total", Counter, ["src", "dst"], "bytes", Both,
        "Activations sent, without headers and acknowledgements";
    LINK_PACKETS_SENT = "weir_link_packets_sent_total", Counter, ["src", "dst"], "packets", Both,
        "QUIC packets sent, probes included";
    LINK_PACKETS_LOST = "weir_link_packets_lost_total", Counter, ["src", "dst"], "packets", Both,
        "QUIC packets that the sender declared lost";
    LINK_CONGESTION_EVENTS = "weir_link_congestion_events_total", Counter, ["src", "dst"], "events", Both,
        "Times that congestion control saw congestion";
    LINK_PROBES = "weir_link_probes_total", Counter, ["src", "dst"], "probes", Both,
        "Measurements of the link while it carried nothing";
    LINK_PROBE_FAILURES = "weir_link_probe_failures_total", Counter, ["src", "dst"], "probes", Both,
        "Those that failed";
    // The gateway.
    REQUESTS = "weir_requests_total", Counter, ["outcome"], "requests", Orchestrator,
        "Requests answered: `ok`, `overloaded`, `unavailable`, `expired`, `failed`";
    REQUEST_SECONDS = "weir_request_duration_seconds", Histogram, ["outcome"], "seconds", Orchestrator,
        "From admission to the terminal reply";
    REQUESTS_IN_FLIGHT = "weir_requests_in_flight", Gauge, [], "requests", Orchestrator,
        "Requests admitted and not yet answered";
    RETRIES = "weir_request_retries_total", Counter, [], "attempts", Orchestrator,
        "Attempts beyond the first";
    CANARIES = "weir_canaries_total", Counter, ["outcome"], "requests", Orchestrator,
        "Requests of the gateway's own, sent while somebody asks /readyz, by what they found: passed, busy, missing, not_finite or different; in no figure of users";
    UNEXPECTED_REPLIES = "weir_unexpected_replies_total", Counter, [], "replies", Orchestrator,
        "Replies that nobody waited for, because the request was answered before or given up; they are dropped";
    DEGRADED_RESPONSES = "weir_degraded_responses_total", Counter, [], "requests", Orchestrator,
        "Requests answered while a lost worker's blocks were bypassed";
    // Plans and rollouts.
    PLAN_EPOCH = "weir_plan_epoch", Gauge, [], "1", Orchestrator,
        "Epoch of the committed plan; 0 before the first";
    PLAN_TERM = "weir_plan_term", Gauge, [], "1", Orchestrator,
        "Term of this orchestrator";
    PLAN_STAGES = "weir_plan_stages", Gauge, [], "stages", Orchestrator,
        "Stages of the committed plan";
    PLAN_COMMITTED = "weir_plan_last_committed_timestamp_seconds", Gauge, [], "seconds", Orchestrator,
        "When the plan was committed, in seconds since 1970";
    ROLLOUTS = "weir_rollouts_total", Counter, ["outcome"], "rollouts", Orchestrator,
        "Rollouts that ended: `committed` or `aborted`";
    JOURNAL_SECONDS = "weir_journal_write_seconds", Histogram, ["outcome"], "seconds", Orchestrator,
        "Until a plan was on the journal's disk, `written`, or could not be, `failed`; without --journal there is none";
    REPLANS = "weir_replans_total", Counter, ["reason", "kind"], "decisions", Orchestrator,
        "Decisions to change the plan, by what shifted and by what was done";
    PLAN_PREDICTED_LATENCY_SECONDS = "weir_plan_predicted_latency_seconds", Gauge, [], "seconds", Orchestrator,
        "Latency that the optimisation model states for the committed plan; 0 before it states one";
    PLAN_MEASURED_LATENCY_SECONDS = "weir_plan_measured_latency_seconds", Gauge, [], "seconds", Orchestrator,
        "Latency measured on the committed plan, in the same terms; 0 before it is measured";
    PREDICTION_ERROR = "weir_prediction_error_ratio", Gauge, [], "ratio", Orchestrator,
        "Absolute difference of predicted and measured latency, as a share of the measured one";
    ACTIVE_CONNECTIONS = "weir_active_connections", Gauge, ["kind"], "connections", Orchestrator,
        "Connections that the committed plan computes: `branch` or `shortcut`";
    EXPECTED_ACCURACY = "weir_expected_accuracy_ratio", Gauge, [], "0 to 1", Orchestrator,
        "Accuracy that the profile states for the committed plan; 0 without a profile";
    PLAN_PREDICTED_GAIN = "weir_plan_predicted_gain_ratio", Gauge, [], "ratio", Orchestrator,
        "Share of the objective that the latest decision was to gain; 0 where there was nothing to compare with";
    PLAN_MEASURED_GAIN = "weir_plan_measured_gain_ratio", Gauge, [], "ratio", Orchestrator,
        "Share of the old plan's latency that the latest decision gained by measurement; below 0 where it lost, 0 before it is measured";
    POLICY_LATENCY_BOUND = "weir_policy_latency_bound_seconds", Gauge, [], "seconds", Orchestrator,
        "The policy's bound on latency; 0 where there is none";
    POLICY_ENERGY_BOUND = "weir_policy_energy_bound_joules", Gauge, [], "joules", Orchestrator,
        "The policy's bound on the energy of one request; 0 where there is none";
    POLICY_ACCURACY_BOUND = "weir_policy_accuracy_loss_bound_points", Gauge, [], "points", Orchestrator,
        "The policy's bound on accuracy lost; 100 where there is none";
    POLICY_THROUGHPUT_BOUND = "weir_policy_throughput_bound_per_second", Gauge, [], "requests per second", Orchestrator,
        "The policy's bound on throughput; 0 where there is none";
    DECISION_SECONDS = "weir_decision_seconds", Histogram, [], "seconds", Orchestrator,
        "Time to decide on one snapshot";
    // What the orchestrator believes of workers and links.
    WORKERS_CONNECTED = "weir_workers_connected", Gauge, [], "workers", Orchestrator,
        "Workers with a live session";
    TELEMETRY_REJECTED = "weir_telemetry_rejected_total", Counter, ["reason"], "reports", Orchestrator,
        "Reports that could not be true: `not_finite`, `negative`, `too_large`, `counter_back`, `too_many`, `contradiction`";
    WORKER_TRUSTED = "weir_worker_trusted", Gauge, ["worker"], "0 or 1", Orchestrator,
        "1 while the worker's readings may be planned with";
    WORKER_REPORT_AGE = "weir_worker_report_age_seconds", Gauge, ["worker"], "seconds", Orchestrator,
        "Time since the worker was last heard";
    WORKER_UTILISATION = "weir_worker_utilisation_ratio", Gauge, ["worker"], "0 to 1", Orchestrator,
        "Share of the last report period in which the worker computed";
    WORKER_QUEUE_LENGTH = "weir_worker_queue_length", Gauge, ["worker"], "requests", Orchestrator,
        "As the worker's own `weir_stage_queue_length`";
    WORKER_RATE = "weir_worker_macs_per_second", Gauge, ["worker"], "operations per second", Orchestrator,
        "Multiply-accumulate operations per second that plans reckon with";
    WORKER_MEMORY_AVAILABLE_BYTES = "weir_worker_memory_available_bytes", Gauge, ["worker"], "bytes", Orchestrator,
        "What the worker has for weights and activations; absent where its limit is not known";
    WORKER_DRAWN_WATTS = "weir_worker_drawn_watts", Gauge, ["worker", "source"], "watts", Orchestrator,
        "Power drawn, all zones of the source that plans rest on";
    WORKER_USED_JOULES = "weir_worker_used_joules_total", Counter, ["worker", "source"], "joules", Orchestrator,
        "Energy used since the worker's start, all zones of that source";
    WORKER_IDLE_WATTS = "weir_worker_idle_watts", Gauge, ["worker"], "watts", Orchestrator,
        "Drawn while nothing is computed, as plans reckon";
    WORKER_ACTIVE_WATTS = "weir_worker_active_watts", Gauge, ["worker"], "watts", Orchestrator,
        "Drawn beyond that while computing, as plans reckon";
    LINK_BELIEVED_UP = "weir_link_believed_up", Gauge, ["src", "dst"], "0 or 1", Orchestrator,
        "1 while the link works, in use or by its last probe";
    LINK_BELIEVED_RTT = "weir_link_believed_rtt_seconds", Gauge, ["src", "dst"], "seconds", Orchestrator,
        "Smoothed round-trip time";
    LINK_BELIEVED_MIN_RTT = "weir_link_believed_min_rtt_seconds", Gauge, ["src", "dst"], "seconds", Orchestrator,
        "Smallest round-trip time of the last three seconds, which plans reckon with";
    LINK_BELIEVED_GOODPUT = "weir_link_believed_goodput_bytes_per_second", Gauge, ["src", "dst"], "bytes per second", Orchestrator,
        "Goodput that plans reckon with; absent before it is measured";
    LINK_BELIEVED_LOSS = "weir_link_believed_loss_ratio", Gauge, ["src", "dst"], "0 to 1", Orchestrator,
        "Share of packets lost in the last seconds";
    LINK_BELIEVED_AGE = "weir_link_believed_age_seconds", Gauge, ["src", "dst"], "seconds", Orchestrator,
        "Age of the newest reading of the link";
}
