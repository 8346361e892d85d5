//! `report.json`: everything that a demonstration found out, for programs and for those who compare runs.
//!
//! Units are in the names. A release that changes the meaning of a field raises [`VERSION`]; one that only adds
//! fields does not.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use weir_shared::weights::atomic;

use crate::admin::views::PlanDocument;
use crate::client::latency::LatencyMs;

/// Of this form of report.
pub const VERSION: u32 = 1;

/// The whole report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// [`VERSION`].
    pub report_version: u32,
    /// Whether everything was as it must be.
    pub passed: bool,
    /// In words what was not; empty when passed.
    pub problems: Vec<String>,
    /// What ran.
    pub versions: Versions,
    /// What was asked for.
    pub config: ConfigReport,
    /// What the gateway answered.
    pub requests: Requests,
    /// How answers compare with the unsplit network's.
    pub equality: Equality,
    /// How long answers took.
    pub latency_ms: LatencyMs,
    /// From the first request to the last answer.
    pub duration_seconds: f64,
    /// Answers in a second of that.
    pub throughput_per_second: f64,
    /// How often the network was right.
    pub accuracy: Accuracy,
    /// The plan that was committed when the stream ended.
    pub plan: PlanDocument,
    /// Its stages, with what was measured while images streamed.
    pub stages: Vec<StageReport>,
    /// All links, with what was measured while images streamed.
    pub links: Vec<LinkReport>,
    /// What a quarter of a large network costs in memory.
    pub weight_memory: WeightMemory,
}

/// What ran.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Versions {
    /// Release of `weir`.
    pub weir: String,
    /// Release of the orchestrator.
    pub orchestrator: String,
    /// Release of each worker, by name.
    pub workers: BTreeMap<String, String>,
    /// Such as `linux-x86_64`.
    pub platform: String,
    /// Cores that these processes share; 0 where unknown.
    pub cores: usize,
}

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigReport {
    /// The network.
    pub arch: String,
    /// Its checkpoint.
    pub weights: PathBuf,
    /// The data set.
    pub dataset: String,
    /// Images; fewer than asked for if the data set has no more.
    pub images: usize,
    /// Workers, by name.
    pub workers: Vec<String>,
    /// The mix of links, or the one kind of all.
    pub conditions: String,
    /// Requests under way at once.
    pub concurrency: usize,
    /// Images in each request.
    pub batch_size: usize,
}

/// What the gateway answered.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Requests {
    /// Requests that were sent.
    pub sent: usize,
    /// Of these, answered with logits.
    pub ok: usize,
    /// Of these, answered otherwise or not at all.
    pub failed: usize,
    /// Answered ones that went into the pipeline more than once.
    pub retried: usize,
    /// Every plan that answers name, as `term.epoch`.
    pub plans: Vec<String>,
    /// The first few failures, in words.
    pub failures: Vec<String>,
}

/// How answers compare with the unsplit network's, as bits of f32.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Equality {
    /// Answers that were compared: all of them.
    pub compared: usize,
    /// Of these, equal in every bit.
    pub equal: usize,
    /// Of these, not.
    pub different: usize,
    /// Images in one request, here and in the unsplit network: equality of bits holds at equal batch size only.
    pub batch_size: usize,
    /// The first few that differ, by index of the image.
    pub different_images: Vec<usize>,
}

/// How often the network was right.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Accuracy {
    /// Answers whose most likely class is the label.
    pub correct: usize,
    /// Answers.
    pub count: usize,
    /// Their ratio, 0 to 1.
    pub accuracy: f64,
    /// The same of the unsplit network, on all images.
    pub unsplit_accuracy: f64,
}

/// A stage, and what its worker measured while images streamed.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct StageReport {
    /// Its place, from 0.
    pub index: u16,
    /// Who computes it.
    pub worker: String,
    /// Its layers by name, `stem..layer1.1.join`.
    pub layers: String,
    /// Multiply-accumulate operations for one image.
    pub macs: u64,
    /// Bytes of weights that its worker says it holds.
    pub weight_bytes: u64,
    /// Resident memory of its worker's process, libtorch included.
    pub resident_bytes: u64,
    /// Stage executions.
    pub executions: u64,
    /// Mean time of one execution.
    pub compute_ms: f64,
    /// Share of the time that it computed, 0 to 1.
    pub busy: f64,
    /// Requests that wait for it.
    pub queue_length: u32,
}

/// A directed link, and what both its sender and the emulator counted while images streamed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LinkReport {
    /// Who sends.
    pub from: String,
    /// Who receives.
    pub to: String,
    /// Whether the plan uses it.
    pub in_plan: bool,
    /// How it is emulated.
    pub emulated: EmulatedReport,
    /// Round-trip time as the sender last smoothed it, own queueing included; none without a connection.
    pub rtt_ms: Option<f64>,
    /// Activations sent.
    pub activations: u64,
    /// Bytes of activations sent.
    pub sent_bytes: u64,
    /// QUIC packets sent.
    pub packets_sent: u64,
    /// QUIC packets that the sender declared lost.
    pub packets_lost: u64,
}

/// How a link is emulated, and what the emulator did to it, both ways together, since the cluster started.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EmulatedReport {
    /// Name of the conditions.
    pub name: String,
    /// Rate; none where unlimited.
    pub rate_bits_per_second: Option<u64>,
    /// Delay, one way.
    pub delay_ms: f64,
    /// The most that is added to the delay.
    pub jitter_ms: f64,
    /// Share of packets lost, 0 to 1.
    pub loss: f64,
    /// Packets that passed.
    pub packets_passed: u64,
    /// Packets that it lost, or that found its queue full.
    pub packets_dropped: u64,
}

/// What a quarter of a large network costs in memory, and what the whole costs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WeightMemory {
    /// The network, with random weights.
    pub network: String,
    /// All layers.
    pub whole: Weighed,
    /// The contiguous layers that are nearest to a quarter of the bytes.
    pub quarter: Weighed,
    /// Bytes of weights, quarter to whole.
    pub weight_ratio: f64,
    /// Growth of resident memory by loading them, quarter to whole.
    pub resident_ratio: f64,
}

/// What loading some layers cost a worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Weighed {
    /// The layers by name, `stem..head`.
    pub layers: String,
    /// Bytes of weights that the worker holds.
    pub weight_bytes: u64,
    /// Growth of its resident memory.
    pub resident_bytes: u64,
}

/// The report cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {}; check the folder and the free space", path.display())]
pub struct SaveError {
    path: PathBuf,
    #[source]
    source: std::io::Error,
}

impl Report {
    /// Writes the report as JSON.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn save(&self, path: &Path) -> Result<(), SaveError> {
        save(self, path)
    }
}

/// Writes anything as JSON, the whole file or none of it.
///
/// # Errors
/// If the system refuses.
pub fn save<T: Serialize>(what: &T, path: &Path) -> Result<(), SaveError> {
    let saved = atomic::replace(path, |file| {
        serde_json::to_writer_pretty(&mut *file, what)?;
        std::io::Write::write_all(file, b"\n")
    });
    saved.map_err(|source| SaveError { path: path.to_owned(), source })
}
