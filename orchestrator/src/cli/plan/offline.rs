//! `weir plan --snapshot`: the planner offline, on a frozen input.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use weir_shared::arch::Network;

use crate::checker;
use crate::planner::snapshot::{Placement, Snapshot, Terms};
use crate::planner::{
    Effort, Evaluation, Infeasible, Policy, Solution, evaluate, least_overrun, pareto, solve,
};
use crate::replan::model;
use crate::terminal::say;
use crate::terminal::table::{self, Align, bytes};

/// What to plan for, from files.
#[derive(Debug, clap::Args)]
pub(super) struct OfflineArgs {
    /// Plan for this snapshot instead of asking a cluster; docs/snapshot.md shows its form.
    #[arg(long, value_name = "FILE")]
    pub(super) snapshot: Option<PathBuf>,
    /// Goals and bounds as TOML; docs/planner.md shows them. Without it, the default policy.
    #[arg(long, value_name = "FILE", requires = "snapshot")]
    policy: Option<PathBuf>,
    /// Print JSON.
    #[arg(long, requires = "snapshot")]
    json: bool,
    /// Show what each point of accuracy costs: the Pareto front of latency, accuracy and energy.
    #[arg(long, requires = "snapshot")]
    pareto: bool,
    /// Partial plans that may be looked at.
    #[arg(long, value_name = "COUNT", default_value_t = Effort::default().nodes, requires = "snapshot")]
    nodes: u64,
    /// Stop when the plan is proven to be within this share of the optimum.
    #[arg(long, value_name = "SHARE", default_value_t = Effort::default().gap, requires = "snapshot")]
    gap: f64,
}

/// Plans and prints.
///
/// # Errors
/// If a file cannot be read or makes no sense, or there is no plan.
pub(super) fn run(args: &OfflineArgs, file: &Path) -> anyhow::Result<ExitCode> {
    let name = || format!("the snapshot {}", file.display());
    let snapshot = Snapshot::parse(&std::fs::read(file).with_context(name)?).with_context(name)?;
    let policy = match &args.policy {
        None => Policy::default(),
        Some(file) => {
            let name = || format!("the policy {}", file.display());
            let text = std::fs::read_to_string(file).with_context(name)?;
            // As the orchestrator reads it: with the rules of re-planning, which do not matter here.
            let (_, model) = model::read(&text).map_err(anyhow::Error::msg).with_context(name)?;
            model.policy().clone()
        }
    };
    anyhow::ensure!(
        (0.0..1.0).contains(&args.gap),
        "--gap is {}, but it must be 0 or more, below 1",
        args.gap
    );
    let effort = Effort { nodes: args.nodes.max(1), gap: args.gap };
    let network = snapshot.network.network();
    if args.pareto {
        let front = pareto(&snapshot, &policy, &effort);
        // The plain search says why, where there is nothing.
        if front.is_empty() {
            solve(&snapshot, &policy, &effort)?;
        }
        print(args.json, &front, |front| front_lines(front, &network))?;
        return Ok(ExitCode::SUCCESS);
    }
    let solution = match solve(&snapshot, &policy, &effort) {
        Err(limits @ Infeasible::Limits(_)) => {
            let least =
                least_overrun(&snapshot, &policy, &effort).map(|overrun| format!("; {}", overrun.advice()));
            anyhow::bail!("{limits}{}", least.unwrap_or_default());
        }
        solved => solved?,
    };
    checker::check(&snapshot, &policy, &solution).context("the planner's own plan does not hold")?;
    let evaluation = evaluate(&snapshot, &solution.placement)?;
    let now = snapshot.current.as_ref().and_then(|now| evaluate(&snapshot, now).ok()).map(|now| now.terms);
    print(args.json, &solution, |solution| lines(solution, &evaluation, now.as_ref(), &network))?;
    Ok(ExitCode::SUCCESS)
}

fn print<T: serde::Serialize>(
    json: bool,
    found: &T,
    table: impl FnOnce(&T) -> Vec<String>,
) -> anyhow::Result<()> {
    if json {
        say(&serde_json::to_string_pretty(found)?);
    } else {
        table(found).iter().for_each(|line| say(line));
    }
    Ok(())
}

fn milliseconds(seconds: f64) -> String {
    format!("{:.2} ms", seconds * 1e3)
}

fn terms_line(terms: &Terms) -> String {
    format!(
        "latency {}, period {}, energy {:.3} J, accuracy loss {:.2} points",
        milliseconds(terms.latency_seconds),
        milliseconds(terms.period_seconds),
        terms.energy_joules,
        terms.accuracy_loss_points
    )
}

fn off(placement: &Placement, network: &Network) -> String {
    if placement.active.is_full() { "nothing".to_owned() } else { placement.active.describe(network) }
}

pub(super) fn lines(
    solution: &Solution,
    evaluation: &Evaluation,
    now: Option<&Terms>,
    network: &Network,
) -> Vec<String> {
    let mut lines = vec![
        terms_line(&solution.terms),
        format!(
            "objective {:.6}, no plan is below {:.6} (gap {:.3} %), {} partial plans",
            solution.objective,
            solution.bound,
            solution.gap * 100.0,
            solution.nodes
        ),
        format!("switched off: {}", off(&solution.placement, network)),
    ];
    if let Some(now) = now {
        lines.push(format!("what runs now: {}", terms_line(now)));
    }
    if !solution.binding.is_empty() {
        let names: Vec<String> = solution.binding.iter().map(ToString::to_string).collect();
        lines.push(format!("binding: {}", names.join(", ")));
    }
    lines.push(String::new());
    let columns = [
        ("worker", Align::Left),
        ("first layer", Align::Left),
        ("last layer", Align::Left),
        ("time", Align::Right),
        ("memory", Align::Right),
        ("energy", Align::Right),
        ("power", Align::Right),
    ];
    let layer = |index: u16| {
        network
            .layers()
            .get(usize::from(index))
            .map_or_else(String::new, |layer| network.layer_name(layer.kind))
    };
    let stages = evaluation.stages.iter().map(|stage| {
        vec![
            stage.worker.to_string(),
            layer(stage.layers.start),
            layer(stage.layers.end.saturating_sub(1)),
            milliseconds(stage.seconds),
            bytes(stage.weight_bytes + stage.activation_bytes),
            format!("{:.3} J", stage.joules),
            format!("{:.2} W", stage.watts),
        ]
    });
    lines.extend(table::lines(&columns, stages));
    lines.push(String::new());
    let columns = [
        ("from", Align::Left),
        ("to", Align::Left),
        ("encoding", Align::Left),
        ("size", Align::Right),
        ("time", Align::Right),
    ];
    let links = evaluation.links.iter().map(|link| {
        vec![
            link.from.short().to_owned(),
            link.to.short().to_owned(),
            link.encoding.to_string(),
            bytes(link.bytes),
            milliseconds(link.seconds),
        ]
    });
    lines.extend(table::lines(&columns, links));
    if !solution.runners_up.is_empty() {
        lines.push(String::new());
        lines.push("next best:".to_owned());
    }
    for other in &solution.runners_up {
        lines.push(format!(
            "  {:.6} ({:+.2} %): {} stages, off {}; {}",
            other.objective,
            (other.objective / solution.objective - 1.0) * 100.0,
            other.placement.workers.len(),
            off(&other.placement, network),
            terms_line(&other.terms)
        ));
    }
    lines
}

pub(super) fn front_lines(front: &[Solution], network: &Network) -> Vec<String> {
    let columns = [
        ("latency", Align::Right),
        ("accuracy loss", Align::Right),
        ("energy", Align::Right),
        ("workers", Align::Left),
        ("switched off", Align::Left),
    ];
    let row = |plan: &Solution| {
        let workers: Vec<&str> = plan.placement.workers.iter().map(|worker| worker.as_str()).collect();
        vec![
            milliseconds(plan.terms.latency_seconds),
            format!("{:.3}", plan.terms.accuracy_loss_points),
            format!("{:.3} J", plan.terms.energy_joules),
            workers.join(" "),
            off(&plan.placement, network),
        ]
    };
    table::lines(&columns, front.iter().map(row))
}
