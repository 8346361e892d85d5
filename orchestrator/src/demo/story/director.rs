//! Does what the scenario says, when it says so: changes links, rewrites budgets, kills and starts workers.
//!
//! Always true: what was done is in the record with the time at which it was done, so a late step (the machine
//! was busy) makes no figure look better than it is.

use std::path::Path;
use std::time::Instant;

use serde_json::Value;
use tokio::time::sleep_until;

use super::cast::{self, CastError};
use crate::clock::unix_millis;

use super::recording::StepRecord;
use crate::client::{AdminClient, AdminError};
use crate::demo::cluster::{ClusterError, ClusterSpec};
use crate::demo::processes::{ProcessError, Processes};
use crate::demo::scenario::{Action, Event, Scenario, Step, Timeline};
use crate::demo::wiring::Wiring;

/// Why a step could not be done.
#[derive(Debug, thiserror::Error)]
pub enum DirectorError {
    /// A process.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// A worker does not start.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// A file.
    #[error(transparent)]
    Cast(#[from] CastError),
    /// The orchestrator did not take the policy.
    #[error("the orchestrator did not take the scenario's policy")]
    Policy(#[from] AdminError),
}

/// What the director works with.
#[derive(Debug)]
pub struct Stage<'a> {
    /// The scenario.
    pub scenario: &'a Scenario,
    /// How workers are started.
    pub spec: &'a ClusterSpec<'a>,
    /// The links.
    pub wiring: &'a Wiring,
    /// The orchestrator.
    pub admin: &'a AdminClient,
    /// The folder of this run.
    pub folder: &'a Path,
}

/// Follows the scenario from `start` to its last step; each step goes to `tell` when it is done.
///
/// Between steps every process must run.
///
/// # Errors
/// If a step cannot be done, or a process ends that nobody killed.
pub async fn direct(
    stage: &Stage<'_>,
    processes: &mut Processes,
    start: Instant,
    mut tell: impl FnMut(StepRecord),
) -> Result<(), DirectorError> {
    let mut timeline = Timeline::new(stage.scenario);
    // Noise goes on for ever, a run does not.
    while let Some(due) = timeline.next_due().filter(|due| *due < stage.scenario.duration) {
        sleep_until((start + due).into()).await;
        processes.check()?;
        for step in timeline.advance(start.elapsed()) {
            match step {
                Step::Set { from, to, conditions } => {
                    if let Some(link) = stage.wiring.link(&from, &to) {
                        link.set(conditions);
                    }
                }
                Step::Event(event) => {
                    // Before it is done: what follows from it is measured from its beginning.
                    let (at_seconds, unix_ms) = (start.elapsed().as_secs_f64(), unix_millis());
                    act(stage, processes, &event).await?;
                    let (kind, detail) = (kind(&event.action).to_owned(), event.action.describe());
                    let worker = event.action.worker().map(str::to_owned);
                    tell(StepRecord { at_seconds, unix_ms, kind, worker, title: event.title, detail });
                }
            }
        }
    }
    Ok(())
}

async fn act(stage: &Stage<'_>, processes: &mut Processes, event: &Event) -> Result<(), DirectorError> {
    match &event.action {
        Action::Kill(worker) => processes.kill(worker).await?,
        Action::Start(worker) => {
            if let Some(start) = stage.spec.workers.iter().find(|start| start.name == *worker) {
                stage.spec.start_worker(start, stage.wiring, processes)?;
            }
        }
        Action::Budget { worker, watts } => cast::set_budget(stage.folder, worker, *watts)?,
        Action::Policy(policy) => {
            let _: Value = stage.admin.put("/api/v1/policy", policy.to_string()).await?;
        }
        // Links are set one by one, and the generator knows the load.
        Action::Link { .. } | Action::Heal(_) | Action::Noise { .. } | Action::Load(_) => (),
    }
    Ok(())
}

/// As scenario files call it.
pub const fn kind(action: &Action) -> &'static str {
    match action {
        Action::Link { .. } => "link",
        Action::Heal(_) => "heal",
        Action::Noise { .. } => "noise",
        Action::Budget { .. } => "power",
        Action::Kill(_) => "kill",
        Action::Start(_) => "start",
        Action::Load(_) => "load",
        Action::Policy(_) => "policy",
    }
}
