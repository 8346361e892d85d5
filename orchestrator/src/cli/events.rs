//! `weir events`: what happens in a cluster, as sentences.

use std::process::ExitCode;
use std::time::Duration;

use serde_json::Value;

use super::admin::{AdminArgs, Output};
use crate::client::{AdminClient, AdminError};
use crate::terminal::moment::utc;
use crate::terminal::say;

/// Between two attempts to reach an orchestrator that is gone; it may be restarting.
const AGAIN: Duration = Duration::from_secs(1);

/// Arguments of `events`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  weir events
  weir events --follow                                  until interrupted
  weir events --follow --kind worker_lost --kind plan_aborted
  weir events --output json | jq .message               one object on each line

When the connection breaks, --follow connects again and goes on behind the last event that was shown.
Kinds: worker_joined, worker_lost, worker_cordoned, worker_drained, worker_uncordoned, plan_decided, plan_committed, \
plan_aborted, plan_measured, policy_changed, replanning_paused, replanning_resumed, replanning_forced, pins_changed, \
log_level_changed.")]
pub(super) struct Args {
    #[command(flatten)]
    admin: AdminArgs,
    /// Go on with what happens from now on.
    #[arg(long)]
    follow: bool,
    /// The most past events to show, the latest.
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: usize,
    /// Only events behind this id.
    #[arg(long, value_name = "ID")]
    since: Option<String>,
    /// Only events of this kind. Can be given several times.
    #[arg(long, value_name = "KIND")]
    kind: Vec<String>,
}

/// Prints what happened, and with `--follow` what happens.
///
/// # Errors
/// If the orchestrator does not answer in the beginning, or refuses.
pub(super) async fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let client = args.admin.client()?;
    let past = past(&client, args.since.clone()).await?;
    let mut last = past.last().and_then(id).or_else(|| args.since.clone());
    let wanted: Vec<_> = past.iter().filter(|event| is_wanted(args, event)).collect();
    wanted[wanted.len().saturating_sub(args.limit)..].iter().for_each(|event| show(args, event));
    if !args.follow {
        if wanted.is_empty() && args.admin.output() == Output::Table {
            say("nothing has happened");
        }
        return Ok(ExitCode::SUCCESS);
    }
    let mut told = false;
    loop {
        match client.follow(last.as_deref()).await {
            Ok(mut stream) => {
                if std::mem::take(&mut told) {
                    eprintln!("connected again");
                }
                while let Some(event) = stream.next().await {
                    let Some(event) = (event.kind == "log").then_some(event.data) else {
                        continue;
                    };
                    let Ok(event) = serde_json::from_str::<Value>(&event) else {
                        continue;
                    };
                    last = id(&event).or(last);
                    if is_wanted(args, &event) {
                        show(args, &event);
                    }
                }
            }
            Err(AdminError::Unreachable { .. }) => {}
            Err(AdminError::Refused { status, .. }) if status.is_server_error() => {}
            Err(error) => return Err(error.into()),
        }
        if !std::mem::replace(&mut told, true) {
            eprintln!("the connection to the orchestrator is lost; trying again until interrupted");
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// All events that the orchestrator still has, behind `after`.
async fn past(client: &AdminClient, after: Option<String>) -> Result<Vec<Value>, AdminError> {
    let (mut events, mut cursor) = (Vec::new(), after);
    loop {
        let after = cursor.map_or_else(String::new, |cursor| format!("&cursor={cursor}"));
        let mut page: Value = client.get(&format!("/api/v1/events?limit=100{after}")).await?;
        let found = page["events"].as_array_mut().map(std::mem::take).unwrap_or_default();
        let empty = found.is_empty();
        events.extend(found);
        cursor = page["next"].as_str().map(str::to_owned);
        if cursor.is_none() || empty {
            return Ok(events);
        }
    }
}

fn id(event: &Value) -> Option<String> {
    event["id"].as_str().map(str::to_owned)
}

fn is_wanted(args: &Args, event: &Value) -> bool {
    args.kind.is_empty() || args.kind.iter().any(|kind| event["kind"] == **kind)
}

fn show(args: &Args, event: &Value) {
    if args.admin.output() == Output::Json {
        return say(&event.to_string());
    }
    let text = |name: &str| event[name].as_str().unwrap_or_default();
    let when = event["unix_ms"].as_u64().map_or_else(String::new, utc);
    say(&format!("{when}  {:<18} {}", text("kind"), text("message")));
}
