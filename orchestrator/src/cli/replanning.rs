//! `weir replanning`: let the plan adapt, keep it as it is, or ask for a better one now.

use std::process::ExitCode;

use serde_json::Value;

use super::admin::AdminArgs;

/// Arguments of `replanning`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  weir replanning pause        during maintenance: the plan stays, as long as it can
  weir replanning resume
  weir replanning force        ask the planner now, and take its best even for a small gain")]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Keep the plan as it is. A lost worker still leads to another plan.
    Pause(AdminArgs),
    /// Let the plan adapt again.
    Resume(AdminArgs),
    /// Ask the planner and take its best plan now, without waiting for a margin or a pause to pass.
    Force(AdminArgs),
}

/// Asks and prints.
///
/// # Errors
/// If the orchestrator does not answer, or refuses.
pub(super) async fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let (admin, what) = match &args.command {
        Command::Pause(admin) => (admin, "pause"),
        Command::Resume(admin) => (admin, "resume"),
        Command::Force(admin) => (admin, "force"),
    };
    let answer = admin.client()?.post(&format!("/api/v1/replanning/{what}"), None).await?;
    admin.print(&answer, lines)
}

fn lines(answer: &Value) -> Vec<String> {
    let text = |name: &str| answer[name].as_str().map(str::to_owned);
    let mut lines =
        vec![format!("re-planning is {}", text("replanning").unwrap_or_else(|| "as asked".to_owned()))];
    if let Some(because) = answer["decision"]["because"].as_str() {
        lines.push(format!("a new plan is rolled out: {because}"));
    }
    lines.extend(text("reason"));
    lines
}
