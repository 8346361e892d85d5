//! `weir workers`: who computes, how busy it is, and who should not.

use std::process::ExitCode;

use serde_json::Value;
use weir_shared::ids::{PeerName, Role};

use super::admin::AdminArgs;
use crate::admin::views::{WorkerDocument, WorkersDocument};
use crate::terminal::table::{self, Align, bytes, milliseconds, optional, percent};

/// Arguments of `workers`.
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:
  weir workers                       all of them
  weir workers show camera           everything that is known of one
  weir workers drain camera          before its machine is switched off: plans do without it
  weir workers uncordon camera       when it is back

Exit status: 0 done; 1 no such worker, or no plan could exist without it; 2 wrong arguments."
)]
pub(super) struct Args {
    #[command(flatten)]
    admin: AdminArgs,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Show all workers (as `weir workers` alone).
    List(AdminArgs),
    /// Show everything that is known of one worker.
    Show(Named),
    /// Give a worker no stage in new plans; what runs goes on.
    Cordon(Named),
    /// Take a worker out of the plan now, and give it no stage in new ones.
    Drain(Named),
    /// Let plans use a worker again.
    Uncordon(Named),
}

#[derive(Debug, clap::Args)]
struct Named {
    /// The worker's name.
    #[arg(value_name = "WORKER", value_parser = name)]
    name: String,
    #[command(flatten)]
    admin: AdminArgs,
}

/// What stands in a certificate, and so can stand in a path.
fn name(text: &str) -> Result<String, String> {
    let name = PeerName::new(Role::Worker, text).map_err(|error| weir_shared::chain(&error))?;
    Ok(name.short().to_owned())
}

/// Asks and prints.
///
/// # Errors
/// If the orchestrator does not answer, or refuses.
pub(super) async fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let (named, what) = match &args.command {
        None => return list(&args.admin).await,
        Some(Command::List(admin)) => return list(admin).await,
        Some(Command::Show(named)) => return show(named).await,
        Some(Command::Cordon(named)) => (named, "cordon"),
        Some(Command::Drain(named)) => (named, "drain"),
        Some(Command::Uncordon(named)) => (named, "uncordon"),
    };
    let name = &named.name;
    let answer = named.admin.client()?.post(&format!("/api/v1/workers/{name}/{what}"), None).await?;
    named.admin.print(&answer, |_| {
        vec![match what {
            "cordon" => format!("{name} gets no stage in new plans; what runs on it goes on"),
            "drain" => format!("{name} leaves the plan; `weir workers` shows when it has no stage any more"),
            _ => format!("plans may use {name} again"),
        }]
    })
}

async fn list(admin: &AdminArgs) -> anyhow::Result<ExitCode> {
    admin.show("/api/v1/workers", lines).await
}

async fn show(named: &Named) -> anyhow::Result<ExitCode> {
    named.admin.show(&format!("/api/v1/workers/{}", named.name), fields).await
}

/// One field on each line, as it is called in the document; what is not known is left out.
fn fields(found: &Value) -> Vec<String> {
    let known = found.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null());
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    known.map(|(name, value)| format!("{name:<22} {}", text(value))).collect()
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
        ("busy", Align::Right),
        ("runs", Align::Right),
        ("ms each", Align::Right),
        ("waiting", Align::Right),
        ("weights", Align::Right),
        ("memory", Align::Right),
        ("power", Align::Right),
        ("battery", Align::Right),
        ("heard s ago", Align::Right),
        ("release", Align::Left),
    ];
    let row = |worker: &WorkerDocument| {
        let each = 1e3 * worker.compute_seconds / worker.executions.max(1) as f64;
        vec![
            worker.name.clone(),
            condition(worker),
            worker.stage.map_or_else(|| "-".to_owned(), |stage| stage.to_string()),
            worker.address.to_string(),
            worker.threads.to_string(),
            optional(worker.utilisation_ratio, percent),
            worker.executions.to_string(),
            milliseconds(each),
            worker.queue_length.to_string(),
            bytes(worker.weight_bytes),
            bytes(worker.resident_bytes),
            optional(worker.power_watts, |watts| format!("{watts:.1} W")),
            optional(worker.battery_ratio, percent),
            optional(worker.report_age_seconds, |age| format!("{age:.1}")),
            worker.release.clone(),
        ]
    };
    table::lines(&columns, found.workers.iter().map(row))
}

/// Connected or lost, and what keeps plans from it.
pub(super) fn condition(worker: &WorkerDocument) -> String {
    let note = match worker {
        WorkerDocument { draining: true, .. } => ", draining",
        WorkerDocument { cordoned: true, .. } => ", cordoned",
        WorkerDocument { left_out: Some(_), .. } => ", left out",
        _ => "",
    };
    worker.state.clone() + note
}
