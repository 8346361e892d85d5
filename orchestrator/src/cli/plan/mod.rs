//! `weir plan`: the plan that runs, what another would be, and how it came to this.
//!
//! [`show`] and [`history`] look, [`solve`] asks the running orchestrator's planner and [`offline`] the one in this
//! program, [`apply`] rolls out a plan that was written by hand.

mod apply;
mod history;
mod offline;
mod show;
mod solve;

use std::process::ExitCode;

use super::admin::AdminArgs;
use offline::OfflineArgs;
pub(super) use show::title;
pub(super) use solve::lines as solved_lines;

/// Whom to ask, or what to plan for.
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:
  weir plan                                          the plan that runs (as `weir plan show`)
  weir plan history --limit 5                        the latest changes, and why
  weir plan solve --policy home.toml                 what would be done under this policy
  weir plan apply --dry-run plan.toml                check a plan of your own, or run it

  weir snapshot > now.json
  weir plan --snapshot now.json --policy home.toml   the same question without an orchestrator
  weir plan --snapshot now.json --pareto             what each point of accuracy costs

Exit status: 0 done; 1 there is no plan, or it is refused; 2 wrong arguments."
)]
pub(super) struct Args {
    #[command(flatten)]
    admin: AdminArgs,
    #[command(flatten)]
    offline: OfflineArgs,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Show the committed plan: which worker computes which layers.
    Show(AdminArgs),
    /// Show the latest changes of the plan, the newest first, with the reason for each.
    History(history::Args),
    /// Ask the orchestrator's planner what it would choose now; nothing is changed.
    Solve(solve::Args),
    /// Roll out a plan that was written by hand, and pause re-planning.
    Apply(apply::Args),
}

/// Asks and prints; with a snapshot, plans and prints.
///
/// # Errors
/// If the orchestrator does not answer, or has no plan; with a snapshot, if there is none for it.
pub(super) async fn run(args: &Args) -> anyhow::Result<ExitCode> {
    match &args.command {
        Some(Command::Show(args)) => show::run(args).await,
        Some(Command::History(args)) => history::run(args).await,
        Some(Command::Solve(args)) => solve::run(args).await,
        Some(Command::Apply(args)) => apply::run(args).await,
        None => match &args.offline.snapshot {
            Some(file) => offline::run(&args.offline, file),
            None => show::run(&args.admin).await,
        },
    }
}
