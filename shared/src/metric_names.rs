//! The name of every metric, once. Base units, `weir_` in front, counters end in `_total`; labels are bounded.

/// Constant 1, with the release as label `version`.
pub const BUILD_INFO: &str = "weir_build_info";

/// Stage executions that ended, by `outcome` (`ok`, `error`).
pub const STAGE_EXECUTIONS: &str = "weir_stage_executions_total";
/// Seconds that one stage execution took, from first to last operation; queueing is not in it.
pub const STAGE_COMPUTE_SECONDS: &str = "weir_stage_compute_duration_seconds";
/// Requests whose inputs have all arrived and that wait for the compute thread.
pub const STAGE_QUEUE_LENGTH: &str = "weir_stage_queue_length";
/// Requests given up by a worker, by `kind`.
pub const STAGE_FAILURES: &str = "weir_stage_failures_total";
/// Bytes of weights that a worker holds, all live plans together.
pub const STAGE_WEIGHT_BYTES: &str = "weir_stage_weight_bytes";
/// Plans that a worker would compute now: one, or two while a plan is being switched.
pub const LIVE_PLANS: &str = "weir_live_plans";

/// 1 while the link `src` to `dst` is connected, else 0.
pub const LINK_ACTIVE: &str = "weir_link_active";
/// Smoothed round-trip time of the link.
pub const LINK_RTT_SECONDS: &str = "weir_link_rtt_seconds";
/// Activations sent on the link.
pub const LINK_ACTIVATIONS: &str = "weir_link_activations_total";
/// Bytes of activations sent on the link, without headers and acknowledgements.
pub const LINK_SENT_BYTES: &str = "weir_link_sent_bytes_total";
/// QUIC packets sent on the link.
pub const LINK_PACKETS_SENT: &str = "weir_link_packets_sent_total";
/// QUIC packets that the sender declared lost.
pub const LINK_PACKETS_LOST: &str = "weir_link_packets_lost_total";
/// Connections and activations refused, by `reason`.
pub const REFUSED: &str = "weir_refused_total";

/// Requests that the gateway answered, by `outcome`.
pub const REQUESTS: &str = "weir_requests_total";
/// Seconds from admission to the terminal reply, by `outcome`.
pub const REQUEST_SECONDS: &str = "weir_request_duration_seconds";
/// Requests admitted and not yet answered.
pub const REQUESTS_IN_FLIGHT: &str = "weir_requests_in_flight";
/// Attempts beyond the first.
pub const RETRIES: &str = "weir_request_retries_total";
/// Replies that nobody waited for, because the request was answered before or given up. They are dropped.
pub const UNEXPECTED_REPLIES: &str = "weir_unexpected_replies_total";

/// Epoch of the committed plan; 0 before the first.
pub const PLAN_EPOCH: &str = "weir_plan_epoch";
/// Term of this orchestrator.
pub const PLAN_TERM: &str = "weir_plan_term";
/// Rollouts that ended, by `outcome` (`committed`, `aborted`).
pub const ROLLOUTS: &str = "weir_rollouts_total";
/// Workers with a live session.
pub const WORKERS_CONNECTED: &str = "weir_workers_connected";
