//! What a terminal shows of a scenario: each step and each plan as it comes, then the tables. Pure.

use super::decisions::{predicted_latency_ms, told};
use super::measure::{Basis, Figures, encodings};
use super::recording::{DecisionRecord, PlanRecord, StepRecord};
use super::report::StoryReport;
use super::targets::{Row, RowResult};
use crate::admin::views::PlanDocument;
use crate::terminal::table::{self, Align, bytes, milliseconds, percent};

/// Times stand under one another.
const TIME_WIDTH: usize = 8;

/// A step of the scenario.
pub fn step(step: &StepRecord) -> Vec<String> {
    let detail = if step.title == step.detail { String::new() } else { format!(" ({})", step.detail) };
    vec![String::new(), format!("{} ▸ {}{detail}", time(step.at_seconds), step.title)]
}

/// A plan that was chosen, with what the supervisor said about it.
pub fn plan(record: &PlanRecord, decisions: &[DecisionRecord], basis: &Basis) -> Vec<String> {
    let mut lines = Vec::new();
    let of_plan = decisions
        .iter()
        .rev()
        .map(|decision| told(&decision.event))
        .find(|told| told.plan.as_deref() == Some(&record.id));
    if let Some(reason) = of_plan.map(|told| told.reason).filter(|reason| !reason.is_empty()) {
        lines.push(format!("{}   saw    {reason}", " ".repeat(TIME_WIDTH)));
    }
    let predicted = predicted_latency_ms(decisions, &record.id);
    let predicted = predicted.map_or_else(String::new, |ms| format!("; predicted {} ms", milliseconds(ms)));
    lines.push(format!(
        "{}   chose  plan {}: {}",
        time(record.at_seconds),
        epoch(&record.id),
        partition(&record.plan)
    ));
    lines.push(format!(
        "{}          {}{predicted}",
        " ".repeat(TIME_WIDTH),
        connections(&record.plan, basis)
    ));
    lines
}

/// The time in seconds, right-aligned.
fn time(seconds: f64) -> String {
    format!("{:>width$}", format!("{:.2} s", seconds.max(0.0)), width = TIME_WIDTH)
}

/// The term is the millisecond of the start, which nobody wants to read in every line.
fn epoch(id: &str) -> &str {
    id.rsplit('.').next().unwrap_or(id)
}

/// `camera stem..layer1.2.join → router layer2.0.conv1..head`.
pub fn partition(plan: &PlanDocument) -> String {
    let stages = plan.stages.iter().filter(|stage| !stage.bypassed);
    let stages: Vec<_> =
        stages.map(|stage| format!("{} {}..{}", stage.worker, stage.first, stage.last)).collect();
    stages.join(" → ")
}

/// What is off, what that saves, and how activations are written.
fn connections(plan: &PlanDocument, basis: &Basis) -> String {
    let macs: u64 = plan.stages.iter().map(|stage| stage.macs).sum();
    let kept = percent(macs as f64 / basis.network_macs.max(1) as f64);
    let off = if plan.active_off.is_empty() {
        "all connections active".to_owned()
    } else {
        format!("off {} ({kept} of the operations left)", plan.active_off)
    };
    let encodings: Vec<_> = encodings(plan).into_iter().collect();
    let encodings = if encodings.is_empty() { "f32".to_owned() } else { encodings.join(", ") };
    format!("{off}; activations {encodings}")
}

/// The runs side by side.
pub fn comparison(runs: &[&Figures]) -> Vec<String> {
    let columns = [
        ("run", Align::Left),
        ("answered", Align::Right),
        ("wrong", Align::Right),
        ("degraded", Align::Right),
        ("mean ms", Align::Right),
        ("with failed", Align::Right),
        ("p50 ms", Align::Right),
        ("p99 ms", Align::Right),
        ("per s", Align::Right),
        ("accuracy", Align::Right),
        ("shared each", Align::Right),
        ("J each", Align::Right),
        ("plans", Align::Right),
    ];
    let row = |figures: &&Figures| {
        let latency = figures.latency_ms;
        vec![
            figures.kind.name().to_owned(),
            format!("{} of {}", figures.answered, figures.sent),
            (figures.different + figures.unchecked).to_string(),
            figures.degraded.to_string(),
            milliseconds(latency.mean),
            milliseconds(figures.mean_with_failures_ms),
            milliseconds(latency.p50),
            milliseconds(latency.p99),
            format!("{:.1}", figures.throughput_per_second),
            percent(figures.accuracy),
            bytes(figures.shared_bytes_per_inference as u64),
            format!("{:.3}", figures.joules_per_inference),
            figures.plans.to_string(),
        ]
    };
    table::lines(&columns, runs.iter().map(row))
}

/// The table of targets.
pub fn targets(rows: &[Row]) -> Vec<String> {
    let columns = [
        ("target", Align::Left),
        ("wanted", Align::Right),
        ("stretch", Align::Right),
        ("measured", Align::Right),
        ("", Align::Left),
    ];
    let limit = |limit: f64, unit: &str| format!("≤ {limit} {unit}").trim_end().to_owned();
    let cells = |row: &Row| {
        let result = match row.result {
            RowResult::Stretch => "pass (stretch)",
            RowResult::Pass => "pass",
            RowResult::Shortfall => "SHORTFALL",
            RowResult::Unmeasured => "-",
        };
        let measured = if row.value.is_some() { row.measured.clone() } else { "-".to_owned() };
        vec![
            row.what.clone(),
            limit(row.target, &row.unit),
            limit(row.stretch, &row.unit),
            measured,
            result.to_owned(),
        ]
    };
    let mut lines = table::lines(&columns, rows.iter().map(cells));
    let unmeasured = rows.iter().filter(|row| row.value.is_none());
    lines.extend(unmeasured.map(|row| format!("- {}: {}", row.what, row.measured)));
    lines
}

/// Everything behind the last run.
pub fn summary(report: &StoryReport) -> Vec<String> {
    let mut lines = vec![String::new()];
    let figures: Vec<_> = report.runs.iter().map(|run| &run.figures).collect();
    lines.extend(comparison(&figures));
    lines.push(String::new());
    for figures in &figures {
        let compared = figures.equal + figures.different + figures.unchecked;
        lines.push(format!(
            "{:<9} {} of {compared} answers equal the unsplit network's under the same plan bit for bit; {} requests failed, {} retried",
            figures.kind.name(), figures.equal, figures.failed, figures.retried
        ));
    }
    lines.push(String::new());
    lines.extend(targets(&report.targets));
    lines.push(String::new());
    lines.extend(report.problems.iter().map(|problem| format!("problem: {problem}")));
    lines.push(if report.passed { "passed" } else { "FAILED" }.to_owned());
    lines
}
