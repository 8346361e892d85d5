//! `weir plan apply`: rolls out a plan that a person wrote.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use serde_json::Value;

use super::super::admin::AdminArgs;
use super::show;
use crate::admin::views::PlanDocument;
use crate::client::operate::Form;

/// Arguments of `plan apply`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  weir plan apply --dry-run plan.toml      check it; nothing is changed
  weir plan apply plan.toml
  weir replanning resume                   let the planner choose again

The file has the form of weir-orchestrator --plan: workers, cuts, off, encodings. Requests go on meanwhile; re-planning is \
paused, so that the plan stays.")]
pub(super) struct Args {
    #[command(flatten)]
    admin: AdminArgs,
    /// The plan (TOML).
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Only check whether it could be rolled out.
    #[arg(long)]
    dry_run: bool,
}

/// Sends and prints.
///
/// # Errors
/// If the file cannot be read, or the plan is refused.
pub(super) async fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let text = std::fs::read_to_string(&args.file)
        .with_context(|| format!("cannot read {}", args.file.display()))?;
    let query = if args.dry_run { "?dry_run=true" } else { "" };
    let answer =
        args.admin.client()?.replace(&format!("/api/v1/plan{query}"), Form::Toml, text, None).await?;
    let dry_run = args.dry_run;
    args.admin.print(&answer.content, |answer| lines(answer, dry_run))
}

fn lines(answer: &Value, dry_run: bool) -> Vec<String> {
    let plan: Option<PlanDocument> = serde_json::from_value(answer["plan"].clone()).ok();
    let mut lines = vec![if dry_run {
        "the plan could be rolled out; nothing was changed:".to_owned()
    } else {
        "the plan is rolled out and re-planning is paused; `weir plan history` tells how it goes:".to_owned()
    }];
    lines.extend(plan.iter().flat_map(show::lines));
    lines
}
