//! What the re-planning rules were told and what they decided, line by line, so that it can be run again.
//!
//! A trace is JSON lines: a [`Header`], then [`Entry`]s. Times are milliseconds since the orchestrator's start.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use weir_shared::ids::WorkerId;

use super::decision::Decision;
use super::question::Model;
use super::replanner::Replanner;
use super::rules::Rules;
use super::trial::Window;
use crate::planner::snapshot::{Placement, Snapshot};

/// The version that is written and read.
pub const VERSION: u32 = 1;

/// The first line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// Version of this format.
    pub version: u32,
    /// The policy file as it was.
    pub policy: String,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// When, in milliseconds since the orchestrator's start.
    pub at_ms: u64,
    /// What happened.
    #[serde(flatten)]
    pub what: What,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// The planner was asked about this.
    Snapshot(Box<Snapshot>),
    /// It answered the latest question.
    Answered {},
    /// Workers of the running plan were lost, and a bypass would lose so many points.
    Lost {
        /// Who.
        workers: Vec<WorkerId>,
        /// None where nobody knows.
        loss_points: Option<f64>,
    },
    /// A plan was chosen without the model: balanced, or by a person.
    Chosen(Box<Decision>),
    /// The rules decided.
    Decision(Box<Decision>),
    /// What was decided runs.
    Committed {},
    /// What was decided could not be carried out.
    Aborted {},
    /// What was decided did not fit the cluster any more, and was not tried.
    Dropped {},
    /// What runs answers nobody, because a worker of it was lost.
    Broken(String),
    /// What was lost is back as it was.
    Mended {},
    /// No plan is to be made with these workers from now on; with all others again.
    LeftOut {
        /// Who.
        workers: Vec<WorkerId>,
    },
    /// A worker is another process than before.
    Restarted {
        /// Who.
        worker: WorkerId,
    },
    /// Answers of the running plan were counted.
    Measured(Window),
    /// Another policy, as its file has it.
    Policy(String),
}

/// A decision as recorded and as made again.
#[derive(Debug, Clone, PartialEq)]
pub struct Replayed {
    /// When.
    pub at_ms: u64,
    /// As recorded; none if the rules decide something now that they did not then.
    pub recorded: Option<Decision>,
    /// As made again; none if the rules no longer decide it.
    pub again: Option<Decision>,
}

impl Replayed {
    /// Whether both say the same: why, and what to run. Predictions may differ in their last digits.
    pub fn agrees(&self) -> bool {
        match (&self.recorded, &self.again) {
            (Some(a), Some(b)) => (a.kind, &a.new) == (b.kind, &b.new),
            _ => false,
        }
    }
}

/// Why a trace cannot be run again.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// It has no lines.
    #[error("the trace is empty; record one with `weir record --out FILE`")]
    Empty,
    /// A line is no entry.
    #[error("line {line} of the trace cannot be read")]
    Line {
        /// Counted from 1.
        line: usize,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// Another version.
    #[error("the trace is of version {0}; this release reads version {VERSION}")]
    Version(u32),
    /// A policy in it is none.
    #[error("the policy in the trace cannot be used: {0}")]
    Policy(String),
}

/// Reads a whole trace.
///
/// # Errors
/// Names the line that cannot be read.
pub fn parse(text: &str) -> Result<(Header, Vec<Entry>), TraceError> {
    let mut lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let bad = |line: usize| move |source| TraceError::Line { line: line + 1, source };
    let (number, first) = lines.next().ok_or(TraceError::Empty)?;
    let header: Header = serde_json::from_str(first).map_err(bad(number))?;
    if header.version != VERSION {
        return Err(TraceError::Version(header.version));
    }
    let entries = lines.map(|(number, line)| serde_json::from_str(line).map_err(bad(number)));
    Ok((header, entries.collect::<Result<_, _>>()?))
}

/// Makes rules and model of a policy file's text.
pub type ReadPolicy<'a> = &'a dyn Fn(&str) -> Result<(Rules, Box<dyn Model>), String>;

/// Runs `entries` through the rules and the model of `policy` and compares the decisions with those recorded. What was
/// committed is followed as recorded, so one difference does not change everything behind it.
///
/// # Errors
/// If a policy cannot be used.
pub fn replay(policy: &str, entries: &[Entry], read: ReadPolicy<'_>) -> Result<Vec<Replayed>, TraceError> {
    let (rules, mut model) = read(policy).map_err(TraceError::Policy)?;
    let mut replanner = Replanner::new(rules, Duration::ZERO);
    let mut replayed = Vec::new();
    let mut answer = None;
    let mut again: Option<(u64, Decision)> = None;
    let unmatched = |again: &mut Option<(u64, Decision)>, replayed: &mut Vec<Replayed>| {
        if let Some((at_ms, decision)) = again.take() {
            replayed.push(Replayed { at_ms, recorded: None, again: Some(decision) });
        }
    };
    for Entry { at_ms, what } in entries {
        let (at_ms, at) = (*at_ms, Duration::from_millis(*at_ms));
        if !matches!(what, What::Decision(_)) {
            unmatched(&mut again, &mut replayed);
        }
        let decided = match what {
            What::Snapshot(snapshot) => {
                answer = replanner.ask(at, (**snapshot).clone()).map(|question| question.answer(&*model));
                None
            }
            What::Answered {} => answer.take().and_then(|answer| replanner.decide(at, &answer)),
            What::Lost { workers, loss_points } => {
                let running: Option<Placement> = replanner.running().cloned();
                let network = entries.iter().find_map(|entry| match &entry.what {
                    What::Snapshot(snapshot) => Some(snapshot.network.network()),
                    _ => None,
                });
                network
                    .filter(|_| running.is_some())
                    .and_then(|network| replanner.emergency(&network, workers, |_| *loss_points))
            }
            What::Measured(window) => replanner.measured(at, *window).decision,
            What::Chosen(decision) => {
                replanner.begin((**decision).clone());
                None
            }
            What::Committed {} => {
                replanner.committed(at);
                None
            }
            What::Aborted {} => {
                replanner.aborted(at);
                None
            }
            What::Dropped {} => {
                replanner.dropped();
                None
            }
            What::Broken(why) => {
                replanner.broken(why);
                None
            }
            What::LeftOut { workers } => {
                replanner.leave_out(workers);
                None
            }
            What::Restarted { worker } => {
                replanner.restarted(worker);
                None
            }
            What::Mended {} => {
                replanner.mended();
                None
            }
            What::Policy(text) => {
                let (rules, next) = read(text).map_err(TraceError::Policy)?;
                model = next;
                replanner.policy_changed(rules);
                None
            }
            What::Decision(recorded) => {
                let made = again.take().map(|(_, decision)| decision);
                replanner.begin((**recorded).clone());
                replayed.push(Replayed { at_ms, recorded: Some((**recorded).clone()), again: made });
                None
            }
        };
        if let Some(decision) = decided {
            again = Some((at_ms, decision));
        }
    }
    unmatched(&mut again, &mut replayed);
    Ok(replayed)
}
