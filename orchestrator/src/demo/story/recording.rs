//! What a run leaves behind: every request, every plan, and the cluster's counters at short distances.
//!
//! Times are seconds since the first request was due. Everything that the report says follows from this.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::admin::views::PlanDocument;
use crate::demo::scenario::RunKind;

/// One run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunRecording {
    /// How plans were made.
    pub kind: RunKind,
    /// From the first request until the last was due.
    pub duration_seconds: f64,
    /// In the order in which they were due.
    pub requests: Vec<RequestRecord>,
    /// In the order in which they were first seen.
    pub plans: Vec<PlanRecord>,
    /// What happened, as the scenario says.
    pub steps: Vec<StepRecord>,
    /// The cluster at short distances.
    pub samples: Vec<Sample>,
    /// The supervisor's own events, as its admin API tells them.
    pub decisions: Vec<DecisionRecord>,
    /// Counters of the orchestrator at the end, by series name without labels, summed.
    pub counters: BTreeMap<String, f64>,
    /// What went wrong with processes; empty when all is well.
    pub problems: Vec<String>,
}

/// One request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RequestRecord {
    /// When it was due. Latency counts from here: a client that is held up must not look fast.
    pub at_seconds: f64,
    /// Which image.
    pub image: usize,
    /// Until the last byte of the answer, or until it failed.
    pub latency_ms: f64,
    /// What came back.
    pub outcome: Outcome,
}

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Logits.
    Answered(AnswerRecord),
    /// None, and why in words.
    Failed(String),
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AnswerRecord {
    /// The plan that gave it, as `term.epoch`.
    pub plan: String,
    /// How often it was sent into the pipeline.
    pub attempts: u8,
    /// How long it waited at the gateway, milliseconds.
    #[serde(default)]
    pub queue_ms: Option<f64>,
    /// Whether it was marked as degraded.
    pub degraded: bool,
    /// The accuracy that the answer itself says to expect.
    pub expected_accuracy: Option<f64>,
    /// Whether the class is right.
    pub correct: bool,
    /// How it compares.
    pub verdict: Verdict,
    /// The numbers, until they are judged.
    #[serde(skip)]
    pub logits: Vec<f32>,
}

/// How an answer compares with the unsplit network's under the same plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Nobody has looked yet, or the plan is not known.
    #[default]
    Unchecked,
    /// Bit for bit the same.
    Equal,
    /// Not the same.
    Different,
}

/// A plan, when it was first seen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlanRecord {
    /// When.
    pub at_seconds: f64,
    /// As `term.epoch`.
    pub id: String,
    /// The plan.
    pub plan: PlanDocument,
    /// Share of all images of the scenario that the unsplit network gets right under this plan; none before it is judged, or
    /// where it answered nothing.
    #[serde(default)]
    pub accuracy_of_all: Option<f64>,
}

/// A step of the scenario, when it was done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepRecord {
    /// When.
    pub at_seconds: f64,
    /// The same in milliseconds since 1970, as events of the supervisor have it.
    #[serde(default)]
    pub unix_ms: u64,
    /// What kind, as the scenario file calls it.
    pub kind: String,
    /// Whom it befell; absent where it befell all.
    pub worker: Option<String>,
    /// For people.
    pub title: String,
    /// What was done.
    pub detail: String,
}

/// Something that the supervisor saw or decided.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DecisionRecord {
    /// When.
    pub at_seconds: f64,
    /// The event as it was told.
    pub event: Value,
}

/// The cluster at one moment. Counts only grow: a process that started anew counts on.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Sample {
    /// When.
    pub at_seconds: f64,
    /// The committed plan, if there is one.
    pub plan: Option<String>,
    /// Whether requests are admitted on it.
    pub admitting: bool,
    /// Each worker.
    pub workers: BTreeMap<String, WorkerSample>,
    /// Bytes of activations sent, by link as `from>to`.
    pub sent_bytes: BTreeMap<String, u64>,
    /// Smoothed round-trip times of links that are up, milliseconds.
    pub rtt_ms: BTreeMap<String, f64>,
}

/// One worker at one moment.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct WorkerSample {
    /// Whether the orchestrator has a session with it.
    pub connected: bool,
    /// Seconds spent computing since the start.
    pub compute_seconds: f64,
    /// Stages computed since the start.
    pub executions: u64,
    /// What its energy source says that it drew in all, joules; absent where it says nothing.
    pub energy_joules: Option<f64>,
}

impl RequestRecord {
    /// The answer, if there is one.
    pub fn answer(&self) -> Option<&AnswerRecord> {
        match &self.outcome {
            Outcome::Answered(answer) => Some(answer),
            Outcome::Failed(_) => None,
        }
    }

    /// When the answer was there, seconds.
    pub fn done_seconds(&self) -> f64 {
        self.at_seconds + self.latency_ms / 1e3
    }
}

impl RunRecording {
    /// The plan with this id.
    pub fn plan(&self, id: &str) -> Option<&PlanDocument> {
        self.plans.iter().find(|record| record.id == id).map(|record| &record.plan)
    }

    /// All answers with their requests.
    pub fn answers(&self) -> impl Iterator<Item = (&RequestRecord, &AnswerRecord)> {
        self.requests.iter().filter_map(|request| Some((request, request.answer()?)))
    }
}

/// The id of a plan, as answers carry it.
pub fn plan_id(plan: &PlanDocument) -> String {
    format!("{}.{}", plan.term, plan.epoch)
}
