//! `weir plan show`: which worker computes which layers, and how they reach one another.

use std::process::ExitCode;

use super::super::admin::AdminArgs;
use crate::admin::views::{PlanDocument, RouteDocument, StageDocument};
use crate::terminal::table::{self, Align, bytes, count};

/// Asks and prints.
///
/// # Errors
/// If the orchestrator does not answer, or has no plan.
pub(super) async fn run(args: &AdminArgs) -> anyhow::Result<ExitCode> {
    let found = args.client()?.plan().await?;
    // The orchestrator's own words: they say what it waits for.
    args.print(&found.map_err(anyhow::Error::msg)?, lines)
}

/// The plan in one line.
pub(in super::super) fn title(plan: &PlanDocument) -> String {
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
