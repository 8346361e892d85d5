//! The statistics extension: what was counted, in the form that Triton's clients and perf_analyzer read.
//!
//! Source: triton-inference-server/server, `docs/protocol/extension_statistics.md`.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};

use super::backend::{InferDone, ModelInfo};

/// How often something happened and how long it took in sum.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct CountedTime {
    /// How often.
    pub count: u64,
    /// In sum, nanoseconds.
    pub ns: u64,
}

/// Everything that was counted since the start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StatisticsSnapshot {
    /// When the last request arrived, milliseconds since 1970; 0 if none did.
    pub last_inference_ms: u64,
    /// Images computed.
    pub inference_count: u64,
    /// Requests computed: a request is never merged with another one.
    pub execution_count: u64,
    /// Requests that were answered, from arrival to answer.
    pub success: CountedTime,
    /// Requests that were not.
    pub fail: CountedTime,
    /// From admission until the first stage got the request.
    pub queue: CountedTime,
    /// From then until the logits arrived.
    pub compute_infer: CountedTime,
    /// The same by number of images in the request.
    pub by_batch: BTreeMap<u16, CountedTime>,
}

impl CountedTime {
    /// Adds one occurrence.
    pub fn add(&mut self, took: Duration) {
        self.count += 1;
        self.ns = self.ns.saturating_add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
    }
}

impl StatisticsSnapshot {
    /// Counts an answered request of `batch` images that took `total` from arrival to answer.
    pub fn add_success(&mut self, batch: u16, done: &InferDone, total: Duration) {
        self.inference_count += u64::from(batch);
        self.execution_count += 1;
        self.success.add(total);
        self.queue.add(done.queue);
        self.compute_infer.add(done.compute);
        self.by_batch.entry(batch).or_default().add(done.compute);
    }

    /// Counts a request that failed after `total`.
    pub fn add_failure(&mut self, total: Duration) {
        self.fail.add(total);
    }

    /// The body of `GET /v2/models/stats`.
    ///
    /// Times that Weir does not measure apart from the computation are zero with the right count, because
    /// clients divide by it.
    pub fn to_json(&self, model: &ModelInfo) -> Value {
        let unmeasured = CountedTime { count: self.compute_infer.count, ns: 0 };
        let batches = self.by_batch.iter().map(|(batch, compute)| {
            let unmeasured = CountedTime { count: compute.count, ns: 0 };
            json!({
                "batch_size": batch,
                "compute_input": unmeasured,
                "compute_infer": compute,
                "compute_output": unmeasured,
            })
        });
        json!({ "model_stats": [{
            "name": model.name,
            "version": model.version,
            "last_inference": self.last_inference_ms,
            "inference_count": self.inference_count,
            "execution_count": self.execution_count,
            "inference_stats": {
                "success": self.success,
                "fail": self.fail,
                "queue": self.queue,
                "compute_input": unmeasured,
                "compute_infer": self.compute_infer,
                "compute_output": unmeasured,
                "cache_hit": CountedTime::default(),
                "cache_miss": CountedTime::default(),
            },
            "batch_stats": batches.collect::<Vec<_>>(),
        }] })
    }
}
