//! `weir plan`: which worker computes which layers, and how they reach one another.

use std::process::ExitCode;

use super::admin::AdminArgs;
use super::offline::{self, OfflineArgs};
use crate::admin::views::{PlanDocument, RouteDocument, StageDocument};
use crate::terminal::table::{self, Align, bytes, count};

/// Whom to ask, or what to plan for.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    admin: AdminArgs,
    #[command(flatten)]
    offline: OfflineArgs,
}

/// Asks and prints; with a snapshot, plans and prints.
///
/// # Errors
/// If the orchestrator does not answer, or has no plan; with a snapshot, if there is none for it.
pub(super) async fn run(args: &Args) -> anyhow::Result<ExitCode> {
    if let Some(file) = &args.offline.snapshot {
        return offline::run(&args.offline, file);
    }
    let args = &args.admin;
    let found = args.client()?.plan().await?;
    // The orchestrator's own words: they say what it waits for.
    args.print(&found.map_err(anyhow::Error::msg)?, lines)
}

/// The plan in one line.
pub(super) fn title(plan: &PlanDocument) -> String {
    let off = if plan.active_off.is_empty() { "nothing" } else { &plan.active_off };
    format!(
        "{}.{} of {}, hash {}, switched off: {off}",
        plan.term,
        plan.epoch,
        plan.network,
        short(&plan.hash)
    )
}

fn short(hash: &str) -> &str {
    hash.get(..8).unwrap_or(hash)
}

pub(super) fn lines(plan: &PlanDocument) -> Vec<String> {
    let mut lines = vec![format!("plan {}", title(plan)), String::new()];
    let stages = [
        ("stage", Align::Right),
        ("worker", Align::Left),
        ("first layer", Align::Left),
        ("last layer", Align::Left),
        ("MACs", Align::Right),
        ("weights", Align::Right),
    ];
    let stage = |stage: &StageDocument| {
        vec![
            stage.index.to_string(),
            stage.worker.clone(),
            stage.first.clone(),
            stage.last.clone(),
            count(stage.macs),
            bytes(stage.weight_bytes),
        ]
    };
    lines.extend(table::lines(&stages, plan.stages.iter().map(stage)));
    lines.push(String::new());
    let routes =
        [("from", Align::Left), ("to", Align::Left), ("dials", Align::Left), ("encoding", Align::Left)];
    let route = |route: &RouteDocument| {
        vec![route.from.clone(), route.to.clone(), route.address.to_string(), route.encoding.to_string()]
    };
    lines.extend(table::lines(&routes, plan.routes.iter().map(route)));
    lines
}
