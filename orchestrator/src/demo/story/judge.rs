//! Compares every answer with the unsplit network's, under the plan that gave it, after the runs.
//!
//! A plan without rounded activations must give the bits of the whole network under the same active set. Where a
//! plan writes activations as f16 or int8, one process runs the same stages and rounds in the same places: still
//! every bit must agree. One computation answers all plans that compute the same thing.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;
use weir_shared::plan::Encoding;

use super::recording::{Outcome, RunRecording, Verdict};
use crate::admin::views::PlanDocument;
use crate::demo::oracle::{Oracle, OracleError, Question, same_bits};

/// What a plan computes, as far as its answers depend on it: `weir-worker eval --split` reads it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Computation {
    /// Connections that are off, by name.
    pub off: String,
    /// Stages and roundings; `None` where nothing is rounded, because then cuts change no bit.
    pub split: Option<Split>,
}

/// Stages and how they write to one another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Split {
    /// The first layer of each stage, and behind the last.
    pub layers: Vec<u16>,
    /// Sender, receiver (`None` is the gateway) and encoding of each route that rounds.
    pub rounded: Vec<Rounded>,
}

/// A route that rounds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Rounded {
    /// The stage that sends; `None` is the gateway.
    pub from: Option<u16>,
    /// The stage that receives.
    pub to: Option<u16>,
    /// How.
    pub encoding: Encoding,
}

impl Computation {
    /// Of a plan. Pure.
    pub fn of(plan: &PlanDocument) -> Self {
        let stage =
            |name: &str| plan.stages.iter().find(|stage| stage.worker == name).map(|stage| stage.index);
        let mut rounded: Vec<_> = plan
            .routes
            .iter()
            .filter(|route| route.encoding != Encoding::F32)
            .map(|route| Rounded { from: stage(&route.from), to: stage(&route.to), encoding: route.encoding })
            .collect();
        rounded.sort();
        let ends = plan.stages.last().map(|stage| stage.layers.end);
        let layers = plan.stages.iter().map(|stage| stage.layers.start).chain(ends).collect();
        let split = (!rounded.is_empty()).then_some(Split { layers, rounded });
        Self { off: plan.active_off.clone(), split }
    }

    /// In short.
    pub fn describe(&self) -> String {
        let off = if self.off.is_empty() { "everything active" } else { &self.off };
        self.split.as_ref().map_or_else(|| off.to_owned(), |_| format!("{off}, with rounded activations"))
    }
}

/// Judges all answers of `runs`; files are kept in `folder` meanwhile. `tell` hears of each computation.
///
/// # Errors
/// If an oracle cannot be asked.
pub async fn judge(
    runs: &mut [RunRecording],
    whole: &Oracle,
    worker: &Path,
    question: &Question<'_>,
    folder: &Path,
    mut tell: impl FnMut(&str),
) -> Result<(), OracleError> {
    let mut oracles: BTreeMap<Computation, Oracle> = BTreeMap::new();
    for run in runs {
        let computations: BTreeMap<String, Computation> =
            run.plans.iter().map(|record| (record.id.clone(), Computation::of(&record.plan))).collect();
        let mut shares: BTreeMap<String, f64> = BTreeMap::new();
        for request in &mut run.requests {
            let Outcome::Answered(answer) = &mut request.outcome else { continue };
            let Some(computation) = computations.get(&answer.plan) else { continue };
            let is_whole = computation.off.is_empty() && computation.split.is_none();
            if !is_whole && !oracles.contains_key(computation) {
                tell(&computation.describe());
                let file = folder.join(format!("unsplit-{}.safetensors", oracles.len() + 1));
                let oracle = Oracle::ask_about(worker, question, computation, &file).await?;
                oracles.insert(computation.clone(), oracle);
            }
            if let Some(oracle) = if is_whole { Some(whole) } else { oracles.get(computation) } {
                answer.verdict = verdict(&answer.logits, oracle.logits(request.image));
                shares.insert(answer.plan.clone(), oracle.correct() as f64 / oracle.len().max(1) as f64);
            }
        }
        for plan in &mut run.plans {
            plan.accuracy_of_all = shares.get(&plan.id).copied();
        }
    }
    Ok(())
}

fn verdict(found: &[f32], expected: &[f32]) -> Verdict {
    if same_bits(found, expected) { Verdict::Equal } else { Verdict::Different }
}
