//! `weir workers`: who computes, and how busy it is.

use std::process::ExitCode;

use super::admin::AdminArgs;
use crate::admin::views::{WorkerDocument, WorkersDocument};
use crate::terminal::table::{self, Align, bytes, milliseconds};

/// Asks and prints.
///
/// # Errors
/// If the orchestrator does not answer.
pub(super) async fn run(args: &AdminArgs) -> anyhow::Result<ExitCode> {
    let found = args.client()?.workers().await?;
    args.print(&found, lines)
}

pub(super) fn lines(found: &WorkersDocument) -> Vec<String> {
    if found.workers.is_empty() {
        return vec!["no worker has come yet; start one with `weir-worker serve`".to_owned()];
    }
    let columns = [
        ("worker", Align::Left),
        ("state", Align::Left),
        ("stage", Align::Right),
        ("address", Align::Left),
        ("threads", Align::Right),
        ("runs", Align::Right),
        ("ms each", Align::Right),
        ("waiting", Align::Right),
        ("weights", Align::Right),
        ("memory", Align::Right),
        ("heard s ago", Align::Right),
        ("release", Align::Left),
    ];
    let row = |worker: &WorkerDocument| {
        let each = 1e3 * worker.compute_seconds / worker.executions.max(1) as f64;
        vec![
            worker.name.clone(),
            worker.state.clone(),
            worker.stage.map_or_else(|| "-".to_owned(), |stage| stage.to_string()),
            worker.address.to_string(),
            worker.threads.to_string(),
            worker.executions.to_string(),
            milliseconds(each),
            worker.queue_length.to_string(),
            bytes(worker.weight_bytes),
            bytes(worker.resident_bytes),
            worker.report_age_seconds.map_or_else(|| "-".to_owned(), |age| format!("{age:.1}")),
            worker.release.clone(),
        ]
    };
    table::lines(&columns, found.workers.iter().map(row))
}
