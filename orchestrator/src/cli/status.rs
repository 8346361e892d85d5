//! `weir status`: whether requests would be answered now, and if not, why.

use std::process::ExitCode;

use serde::Serialize;

use super::admin::AdminArgs;
use super::plan::title;
use crate::admin::views::{LinksDocument, PlanDocument, WorkersDocument};

/// Arguments of `status`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  weir status
  weir status --admin http://192.0.2.1:7610 --token-file viewer.token
  until weir status; do sleep 1; done          wait until requests are answered

Exit status: 0 requests would be answered now; 1 they would not, or nobody answers; 2 wrong arguments.")]
pub(super) struct Args {
    #[command(flatten)]
    admin: AdminArgs,
}

/// Everything that the status is made of.
#[derive(Debug, Serialize)]
struct Status {
    ready: bool,
    /// In the orchestrator's words, why not.
    reason: Option<String>,
    release: String,
    plan: Option<PlanDocument>,
    #[serde(flatten)]
    workers: WorkersDocument,
    #[serde(flatten)]
    links: LinksDocument,
}

/// Asks and prints. The exit status is 1 when requests would not be answered.
///
/// # Errors
/// If the orchestrator does not answer.
pub(super) async fn run(Args { admin: args }: &Args) -> anyhow::Result<ExitCode> {
    let client = args.client()?;
    let unready = client.readiness().await?.err();
    let (plan, no_plan) = match client.plan().await? {
        Ok(plan) => (Some(plan), None),
        Err(reason) => (None, Some(reason)),
    };
    let status = Status {
        ready: unready.is_none(),
        // What stands against a plan says more than that there is none.
        reason: unready.map(|reason| no_plan.unwrap_or(reason)),
        release: client.release().await?,
        plan,
        workers: client.workers().await?,
        links: client.links().await?,
    };
    args.print(&status, lines)?;
    Ok(if status.ready { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn lines(status: &Status) -> Vec<String> {
    let Status { reason, release, plan, workers, links, .. } = status;
    let workers = &workers.workers;
    let in_plan = |from: &str, to: &str| {
        plan.as_ref().is_some_and(|plan| plan.routes.iter().any(|route| route.from == from && route.to == to))
    };
    let used: Vec<_> = links.links.iter().filter(|link| in_plan(&link.from, &link.to)).collect();
    let connected = workers.iter().filter(|worker| worker.state == "connected").count();
    vec![
        format!(
            "ready      {}",
            reason.as_deref().map_or("yes".to_owned(), |reason| format!("no: {}", reason.trim()))
        ),
        format!("plan       {}", plan.as_ref().map_or("none".to_owned(), title)),
        format!("workers    {connected} of {} connected", workers.len()),
        format!(
            "links      {} of {} of the plan are up",
            used.iter().filter(|link| link.up).count(),
            used.len()
        ),
        format!("release    {release}"),
    ]
}
