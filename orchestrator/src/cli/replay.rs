//! `weir replay`: runs a trace through planner and rules again, offline.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;

use crate::planner::snapshot::Placement;
use crate::replan::trace::{self, Replayed};
use crate::replan::{Decision, Model, Rules, model};
use crate::terminal::say;

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  weir replay trace.jsonl                       does this release decide the same?
  weir replay trace.jsonl --policy home.toml    what would have been decided under this policy?

Exit status: 0 all decisions are as recorded, or --policy is given; 1 one differs; 2 wrong arguments.")]
pub(super) struct Args {
    /// A trace of `weir record`.
    trace: PathBuf,
    /// Another policy than the recorded one.
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
}

/// Runs and prints; fails if a decision differs under the recorded policy.
///
/// # Errors
/// If trace or policy cannot be used.
pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let read = |path: &PathBuf| {
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
    };
    let named = || format!("the trace {}", args.trace.display());
    let (header, entries) = trace::parse(&read(&args.trace)?).with_context(named)?;
    let policy = args.policy.as_ref().map(read).transpose()?;
    let text = policy.as_deref().unwrap_or(&header.policy);
    let replayed = trace::replay(text, &entries, &read_policy).with_context(named)?;
    for one in &replayed {
        say(&line(one));
    }
    let equal = replayed.iter().filter(|one| one.agrees()).count();
    say(&format!("{equal} of {} decisions are as recorded", replayed.len()));
    let failed = policy.is_none() && equal < replayed.len();
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Rules and model of a policy's text.
///
/// # Errors
/// Says what is wrong in it.
pub fn read_policy(text: &str) -> Result<(Rules, Box<dyn Model>), String> {
    let (rules, model) = model::read(text)?;
    Ok((rules, Box::new(model)))
}

fn line(one: &Replayed) -> String {
    let seconds = one.at_ms as f64 / 1e3;
    let verdict = if one.agrees() { "same" } else { "DIFFERS" };
    let both = [("recorded", &one.recorded), ("again", &one.again)];
    let told = both.map(|(when, decision)| {
        format!("{when}: {}", decision.as_ref().map_or_else(|| "nothing".to_owned(), describe))
    });
    if one.agrees() {
        format!("{seconds:9.3} s  {verdict}  {}", one.again.as_ref().map(describe).unwrap_or_default())
    } else {
        format!("{seconds:9.3} s  {verdict}  {}", told.join("; "))
    }
}

fn describe(decision: &Decision) -> String {
    format!("{} to {}", decision.kind, place(&decision.new))
}

fn place(placement: &Placement) -> String {
    let workers = placement.workers.iter().map(ToString::to_string).collect::<Vec<_>>().join(" | ");
    let cuts = placement.cuts.iter().map(|cut| cut.0.to_string()).collect::<Vec<_>>().join(",");
    let off = placement.active.off().count();
    format!("{workers} (cuts {cuts}; {off} connections off; {} encodings)", placement.encodings.len())
}
