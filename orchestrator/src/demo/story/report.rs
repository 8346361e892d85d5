//! `report.json` of a scenario: what was played, what came of it, and whether it is right.
//!
//! Units are in the names. `recording.json` beside it holds every request; this holds what follows from them.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::measure::{Basis, Bucket, Figures, Stretch, buckets, figures, stretches};
use super::recording::{DecisionRecord, RunRecording, StepRecord};
use super::targets::{Prediction, Row, Runs, hard_replans, predictions, rows};
use crate::demo::report::{self, SaveError};
use crate::demo::scenario::{RunKind, Scenario};

/// Of this form of report; version 1 is that of `weir demo --stream`.
pub const VERSION: u32 = 2;

/// The whole report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StoryReport {
    /// [`VERSION`].
    pub report_version: u32,
    /// Whether everything was as it must be. Targets are not part of this: they are compared in `targets`.
    pub passed: bool,
    /// In words what was not; empty when passed.
    pub problems: Vec<String>,
    /// What was played.
    pub scenario: ScenarioReport,
    /// What each run came to.
    pub runs: Vec<RunReport>,
    /// What was promised, and what was measured.
    pub targets: Vec<Row>,
}

/// What was played, and on what.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScenarioReport {
    /// Its name.
    pub name: String,
    /// One line.
    pub title: String,
    /// The network.
    pub network: String,
    /// The images.
    pub dataset: String,
    /// The seed.
    pub seed: u64,
    /// Of each run.
    pub duration_seconds: f64,
    /// Workers by name, with attachment and pace.
    pub workers: Vec<WorkerReport>,
    /// Who computed alone.
    pub alone: String,
    /// Cores of this machine.
    pub cores: usize,
    /// Weir's release.
    pub release: String,
}

/// A worker as it was cast.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WorkerReport {
    /// Its name.
    pub name: String,
    /// How it is attached.
    pub attachment: String,
    /// Billions of multiply-accumulate operations per second; as fast as this machine where absent.
    pub gmacs_per_second: Option<f64>,
    /// What it may hold.
    pub memory_limit_bytes: Option<u64>,
    /// Its stated power, idle and at work, watts.
    pub power_watts: (f64, f64),
    /// What it may draw in the beginning, watts.
    pub budget_watts: Option<f64>,
}

/// One run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunReport {
    /// In numbers.
    pub figures: Figures,
    /// By the second.
    pub timeline: Vec<Bucket>,
    /// Plan by plan.
    pub stretches: Vec<Stretch>,
    /// What happened.
    pub steps: Vec<StepRecord>,
    /// What the supervisor said.
    pub decisions: Vec<DecisionRecord>,
    /// What it predicted and what it took.
    pub predictions: Vec<Prediction>,
    /// After each loss or collapse: seconds until a whole answer on a new plan.
    pub recoveries: Vec<(String, f64)>,
    /// Why requests failed, each reason once with its count.
    pub failures: Vec<(String, usize)>,
    /// Counters of the orchestrator at the end.
    pub counters: std::collections::BTreeMap<String, f64>,
}

impl StoryReport {
    /// Of recorded runs.
    pub fn new(scenario: &Scenario, basis: &Basis, runs: Runs<'_>) -> Self {
        let reports: Vec<_> = runs.story.iter().map(|run| run_report(run, basis)).collect();
        let mut problems: Vec<String> = runs
            .story
            .iter()
            .flat_map(|run| run.problems.iter().map(|problem| format!("{}: {problem}", run.kind.name())))
            .collect();
        problems.extend(reports.iter().flat_map(problems_of));
        Self {
            report_version: VERSION,
            passed: problems.is_empty(),
            problems,
            scenario: scenario_report(scenario),
            runs: reports,
            targets: rows(runs, basis),
        }
    }

    /// Writes the file as a whole.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn save(&self, path: &Path) -> Result<(), SaveError> {
        report::save(self, path)
    }
}

fn scenario_report(scenario: &Scenario) -> ScenarioReport {
    let worker = |worker: &crate::demo::scenario::WorkerSpec| WorkerReport {
        name: worker.name.clone(),
        attachment: worker.attachment.name.clone(),
        gmacs_per_second: worker.gmacs_per_second,
        memory_limit_bytes: worker.memory_limit_bytes,
        power_watts: (worker.power.idle_watts, worker.power.max_watts),
        budget_watts: worker.power.budget_watts,
    };
    ScenarioReport {
        name: scenario.name.clone(),
        title: scenario.title.clone(),
        network: scenario.arch.to_string(),
        dataset: scenario.dataset.name().to_owned(),
        seed: scenario.seed,
        duration_seconds: scenario.duration.as_secs_f64(),
        workers: scenario.workers.iter().map(worker).collect(),
        alone: scenario.alone.clone(),
        cores: std::thread::available_parallelism().map_or(0, usize::from),
        release: env!("CARGO_PKG_VERSION").to_owned(),
    }
}

fn run_report(run: &RunRecording, basis: &Basis) -> RunReport {
    let mut failures: Vec<(String, usize)> = Vec::new();
    for request in &run.requests {
        let super::recording::Outcome::Failed(reason) = &request.outcome else { continue };
        match failures.iter_mut().find(|(known, _)| known == reason) {
            Some((_, count)) => *count += 1,
            None => failures.push((reason.clone(), 1)),
        }
    }
    failures.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    RunReport {
        figures: figures(run, basis),
        timeline: buckets(run, basis),
        stretches: stretches(run, basis),
        steps: run.steps.clone(),
        decisions: run.decisions.clone(),
        predictions: predictions(run),
        recoveries: hard_replans(run),
        failures,
        counters: run.counters.clone(),
    }
}

/// What must be so in every run: no wrong answer. What must be so in the adaptive run: an answer to every request.
fn problems_of(run: &RunReport) -> Vec<String> {
    let figures = &run.figures;
    let name = figures.kind.name();
    let mut problems = Vec::new();
    let mut say = |count: usize, what: &str| {
        if count > 0 {
            problems.push(format!("{name}: {count} of {} {what}", figures.sent));
        }
    };
    say(figures.different, "answers differ from the unsplit network's under the same plan");
    say(figures.unchecked, "answers are of a plan that nobody saw, so that they could not be checked");
    if figures.kind == RunKind::Adaptive {
        let reason = run.failures.first().map(|(reason, _)| reason.as_str()).unwrap_or_default();
        say(figures.failed, &format!("requests failed; mostly: {reason}"));
    }
    if figures.answered == 0 && figures.kind == RunKind::Adaptive {
        problems.push(format!("{name}: there is no answer at all"));
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::super::measure::tests::example;
    use super::super::recording::{Outcome, Verdict};
    use super::*;

    fn report(change: impl FnOnce(&mut RunRecording)) -> StoryReport {
        let text = "version = 1\nname = \"t\"\nduration_seconds = 10\n[load]\nrequests_per_second = 10\n[[worker]]\nname = \"camera\"\n";
        let scenario = Scenario::parse(text, Path::new("t.toml")).unwrap();
        let (mut run, basis) = example();
        change(&mut run);
        StoryReport::new(&scenario, &basis, Runs { story: &[run], ..Runs::default() })
    }

    #[test]
    fn a_lost_or_wrong_answer_does_not_pass() {
        let found = report(|run| {
            if let Outcome::Answered(answer) = &mut run.requests[3].outcome {
                answer.verdict = Verdict::Different;
            }
        });
        assert!(!found.passed);
        assert_eq!(found.problems.len(), 2, "{:?}", found.problems);
        assert!(found.problems[0].contains("1 of 100 answers differ") && found.problems[1].contains("504"));
        let found = report(|run| run.requests.truncate(99));
        assert!(found.passed, "{:?}", found.problems);
    }

    #[test]
    fn a_report_survives_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.json");
        let found = report(|_| ());
        found.save(&path).unwrap();
        let read: StoryReport = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        assert_eq!(read.scenario, found.scenario);
        assert_eq!(read.runs[0].figures.sent, 100);
    }
}
