//! `weir plan solve`: what the orchestrator's planner would choose now.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use serde_json::{Value, json};

use super::super::admin::{AdminArgs, Output, print};
use super::offline;
use crate::planner::snapshot::Snapshot;
use crate::planner::{Solution, evaluate};

/// Arguments of `plan solve`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  weir plan solve
  weir plan solve --policy home.toml
  weir plan solve --pareto --output json | jq '.[].terms.latency_seconds'

The orchestrator plans with what it knows now: pinned connections, cordoned workers. Nothing is changed.")]
pub(super) struct Args {
    #[command(flatten)]
    admin: AdminArgs,
    /// Goals and bounds as TOML instead of those in force; docs/planner.md shows them.
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Plan for this snapshot instead of what is now; docs/snapshot.md shows its form.
    #[arg(long, value_name = "FILE")]
    snapshot: Option<PathBuf>,
    /// Show what each point of accuracy costs: the Pareto front of latency, accuracy and energy.
    #[arg(long)]
    pareto: bool,
}

/// Asks and prints.
///
/// # Errors
/// If a file cannot be used, or there is no plan.
pub(super) async fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let client = args.admin.client()?;
    let read =
        |path: &PathBuf| std::fs::read(path).with_context(|| format!("cannot read {}", path.display()));
    let snapshot = match &args.snapshot {
        Some(path) => {
            Some(Snapshot::parse(&read(path)?).with_context(|| format!("the snapshot {}", path.display()))?)
        }
        None => None,
    };
    let mut question = json!({ "pareto": args.pareto });
    if let Some(path) = &args.policy {
        question["policy"] = String::from_utf8(read(path)?).context("the policy is no text")?.into();
    }
    if let Some(snapshot) = &snapshot {
        question["snapshot"] = serde_json::to_value(snapshot)?;
    }
    let answer = client.post("/api/v1/plan/solve", Some(&question)).await?;
    if args.admin.output() == Output::Json {
        print(Output::Json, &answer, |_| Vec::new())?;
        return Ok(ExitCode::SUCCESS);
    }
    // For the names of the layers, and for what each stage and link takes.
    let snapshot = match snapshot {
        Some(snapshot) => snapshot,
        None => client.snapshot().await?,
    };
    print(Output::Table, &answer, |answer| lines(answer, &snapshot))?;
    Ok(ExitCode::SUCCESS)
}

/// The table of an answer; the answer itself where it is of another release.
pub(in super::super) fn lines(answer: &Value, snapshot: &Snapshot) -> Vec<String> {
    let network = snapshot.network.network();
    if let Ok(front) = serde_json::from_value::<Vec<Solution>>(answer.clone()) {
        return offline::front_lines(&front, &network);
    }
    let solution = serde_json::from_value::<Solution>(answer.clone()).ok();
    let evaluated = solution.and_then(|solution| {
        let evaluation = evaluate(snapshot, &solution.placement).ok()?;
        Some((solution, evaluation))
    });
    let now = snapshot.current.as_ref().and_then(|now| evaluate(snapshot, now).ok()).map(|now| now.terms);
    match evaluated {
        Some((solution, evaluation)) => offline::lines(&solution, &evaluation, now.as_ref(), &network),
        None => vec![format!("{answer:#}")],
    }
}
