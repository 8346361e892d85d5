//! Workers, as documents.

use std::net::SocketAddr;
use std::time::Instant;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use weir_shared::ids::WorkerId;

use crate::cluster::WorkerView;
use crate::supervisor::Status;

/// `GET /api/v1/workers`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct WorkersDocument {
    /// Every worker that has been seen, by name.
    pub workers: Vec<WorkerDocument>,
}

/// One worker: `GET /api/v1/workers/{name}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct WorkerDocument {
    /// Its name.
    pub name: String,
    /// `connected` or `lost`.
    pub state: String,
    /// Where other peers reach it.
    #[schema(value_type = String)]
    pub address: SocketAddr,
    /// Compute threads.
    pub threads: u16,
    /// Its release.
    pub release: String,
    /// Why plans are made without it for now.
    pub left_out: Option<String>,
    /// Whether a person keeps new plans from it.
    #[serde(default)]
    pub cordoned: bool,
    /// Whether it is to leave the running plan too.
    #[serde(default)]
    pub draining: bool,
    /// Its stage in the committed plan.
    pub stage: Option<u16>,
    /// Stage executions since its start.
    pub executions: u64,
    /// Seconds spent in them.
    pub compute_seconds: f64,
    /// Requests that wait for its compute thread.
    pub queue_length: u32,
    /// Bytes of weights held.
    pub weight_bytes: u64,
    /// Resident memory of its process.
    pub resident_bytes: u64,
    /// The most memory that its process may use.
    pub memory_limit_bytes: Option<u64>,
    /// Share of the last report period in which it computed.
    pub utilisation_ratio: Option<f64>,
    /// Multiply-accumulate operations per second that plans reckon with.
    pub macs_per_second: Option<f64>,
    /// Power drawn over the last report period.
    pub power_watts: Option<f64>,
    /// Where power and energy are from: `rapl`, `hwmon`, `battery`, or `model`, which is an estimate.
    pub energy_source: Option<String>,
    /// Energy used since its start.
    pub energy_joules: Option<f64>,
    /// Charge of its battery, 0 to 1.
    pub battery_ratio: Option<f64>,
    /// Age of these readings; absent before the first.
    pub report_age_seconds: Option<f64>,
}

impl WorkersDocument {
    /// The document of all workers.
    pub fn new(status: &Status, now: Instant) -> Self {
        let worker = |(name, view)| WorkerDocument::new(status, name, view, now);
        Self { workers: status.cluster.workers().map(worker).collect() }
    }
}

impl WorkerDocument {
    /// The document of one worker.
    pub fn new(status: &Status, worker: &WorkerId, view: &WorkerView, now: Instant) -> Self {
        let told = view.report();
        let report = told.map(|(report, _)| report.clone()).unwrap_or_default();
        let power = told.map(|_| &report.power);
        let estimate = told.map(|_| view.estimates.estimate(now, &status.network.network()));
        let blame = view.blame.as_ref().filter(|blame| blame.until > now);
        Self {
            name: worker.to_string(),
            state: if view.is_connected() { "connected" } else { "lost" }.to_owned(),
            address: view.hello.data_address,
            threads: view.hello.threads,
            release: view.hello.release.to_string(),
            left_out: blame.map(|blame| blame.reason.clone()),
            cordoned: status.cluster.is_cordoned(worker),
            draining: status.draining.contains(worker),
            stage: status.plan.as_ref().and_then(|plan| plan.stage_of(worker)).map(|stage| stage.0),
            executions: report.executions,
            compute_seconds: report.compute_seconds,
            queue_length: report.queue_length,
            weight_bytes: report.weight_bytes,
            resident_bytes: report.resident_bytes,
            memory_limit_bytes: told.map(|_| report.memory_limit_bytes).filter(|&bytes| bytes > 0),
            utilisation_ratio: estimate.as_ref().map(|estimate| estimate.utilisation),
            macs_per_second: estimate.as_ref().map(|estimate| estimate.macs_per_second),
            power_watts: power.and_then(|power| power.watts()),
            energy_source: power.map(|power| power.primary.name().to_owned()),
            energy_joules: power.filter(|power| power.watts().is_some()).map(|power| power.joules()),
            battery_ratio: power.and_then(|power| power.battery).map(|battery| battery.ratio),
            report_age_seconds: told.map(|(_, at)| now.saturating_duration_since(*at).as_secs_f64()),
        }
    }
}
