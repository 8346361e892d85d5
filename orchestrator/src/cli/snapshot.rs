//! `weir snapshot`: the planner's input as it is now, for `weir plan --snapshot` and for reports.

use std::process::ExitCode;

use super::admin::Orchestrator;
use crate::terminal::say;

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  weir snapshot > now.json
  weir plan --snapshot now.json

docs/snapshot.md describes what is in it.")]
pub(super) struct Args {
    #[command(flatten)]
    orchestrator: Orchestrator,
}

/// Asks and prints.
///
/// # Errors
/// If the orchestrator does not answer.
pub(super) async fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let snapshot = args.orchestrator.client()?.snapshot().await?;
    say(&serde_json::to_string_pretty(&snapshot)?);
    Ok(ExitCode::SUCCESS)
}
