//! `weir plan history`: the latest changes of the plan, and why.

use std::process::ExitCode;

use serde_json::Value;

use super::super::admin::{AdminArgs, Output};
use crate::supervisor::{EventRecord, EventState};
use crate::terminal::moment::utc;
use crate::terminal::say;
use crate::terminal::table::{self, Align, milliseconds, percent};

/// A reason longer than this would push the table off the screen; JSON has all of it.
const REASON_MAX: usize = 100;

/// Arguments of `plan history`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  weir plan history
  weir plan history --limit 100 --output json | jq '.plans[] | select(.state == \"aborted\")'

The gain is what the model promised, in brackets what was measured on trial.")]
pub(super) struct Args {
    #[command(flatten)]
    admin: AdminArgs,
    /// The most changes to show.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    limit: u64,
}

/// Asks and prints.
///
/// # Errors
/// If the orchestrator does not answer.
pub(super) async fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let client = args.admin.client()?;
    let mut plans: Vec<Value> = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let missing = args.limit.saturating_sub(plans.len() as u64);
        let after = cursor.map_or_else(String::new, |cursor| format!("&cursor={cursor}"));
        let mut page: Value = client.get(&format!("/api/v1/plans?limit={}{after}", missing.min(100))).await?;
        let found = page["plans"].as_array_mut().map(std::mem::take).unwrap_or_default();
        let empty = found.is_empty();
        plans.extend(found);
        cursor = page["next"].as_str().map(str::to_owned);
        if cursor.is_none() || empty || plans.len() as u64 >= args.limit {
            break;
        }
    }
    let found = serde_json::json!({ "plans": plans });
    if args.admin.output() == Output::Json {
        say(&serde_json::to_string_pretty(&found)?);
        return Ok(ExitCode::SUCCESS);
    }
    let records = plans.into_iter().map(serde_json::from_value).collect::<Result<Vec<EventRecord>, _>>();
    lines(&records?).iter().for_each(|line| say(line));
    Ok(ExitCode::SUCCESS)
}

fn lines(records: &[EventRecord]) -> Vec<String> {
    if records.is_empty() {
        return vec!["the plan has not changed yet".to_owned()];
    }
    let columns = [
        ("when", Align::Left),
        ("plan", Align::Left),
        ("why", Align::Left),
        ("state", Align::Left),
        ("rollout ms", Align::Right),
        ("gain", Align::Right),
        ("because", Align::Left),
    ];
    let row = |record: &EventRecord| {
        let gain = record.decision.gain.map_or_else(String::new, percent);
        let measured = record.measured_gain.map_or_else(String::new, |gain| format!(" ({})", percent(gain)));
        let because = record.failure.as_ref().unwrap_or(&record.decision.because);
        vec![
            utc(record.unix_ms),
            record.plan.clone(),
            serde_json::to_value(record.decision.kind)
                .ok()
                .and_then(|kind| Some(kind.as_str()?.replace('_', " ")))
                .unwrap_or_default(),
            state(record),
            record.committed_after_ms.map_or_else(String::new, |ms| milliseconds(ms as f64)),
            gain + &measured,
            short(because),
        ]
    };
    table::lines(&columns, records.iter().map(row))
}

fn state(record: &EventRecord) -> String {
    let state = match record.state {
        EventState::RollingOut => "rolling out",
        EventState::Committed => "committed",
        EventState::Aborted => "aborted",
    };
    record.trial.as_ref().map_or_else(|| state.to_owned(), |trial| format!("{state}, {trial}"))
}

fn short(text: &str) -> String {
    if text.chars().count() <= REASON_MAX {
        return text.to_owned();
    }
    text.chars().take(REASON_MAX - 1).chain(['…']).collect()
}
