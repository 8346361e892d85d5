//! The tables of the page. Pure text.

use std::fmt::Write as _;

use super::chart::{escape, steps};
use crate::demo::story::decisions::told;
use crate::demo::story::report::{RunReport, StoryReport};
use crate::demo::story::targets::RowResult;
use crate::terminal::table::{bytes, milliseconds, percent};

/// What was not as it must be.
pub fn problems(report: &StoryReport) -> String {
    if report.problems.is_empty() {
        return String::new();
    }
    let items: String =
        report.problems.iter().map(|problem| format!("<li>{}</li>", escape(problem))).collect();
    format!("<section><h2 class=\"shortfall\">Problems</h2><ul>{items}</ul></section>\n")
}

/// The runs side by side.
pub fn runs(report: &StoryReport) -> String {
    let row = |run: &RunReport| {
        let figures = &run.figures;
        let latency = figures.latency_ms;
        cells(
            figures.kind.name(),
            &[
                format!("{} of {}", figures.answered, figures.sent),
                figures.failed.to_string(),
                (figures.different + figures.unchecked).to_string(),
                milliseconds(latency.mean),
                milliseconds(figures.mean_with_failures_ms),
                milliseconds(latency.p50),
                milliseconds(latency.p99),
                format!("{:.1}", figures.throughput_per_second),
                percent(figures.accuracy),
                percent(figures.full_accuracy),
                bytes(figures.shared_bytes_per_inference as u64),
                format!("{:.3}", figures.joules_per_inference),
                figures.degraded.to_string(),
                figures.plans.to_string(),
            ],
        )
    };
    let head = [
        "<run",
        "answered",
        "failed",
        "wrong",
        "mean ms",
        "mean with failed",
        "p50 ms",
        "p99 ms",
        "per s",
        "accuracy",
        "whole network",
        "shared each",
        "J each",
        "degraded",
        "plans",
    ];
    section(
        "Three ways, the same conditions",
        &table(&head, report.runs.iter().map(row)),
        "Latency counts from the moment a request was due. Failed requests have none, which flatters a run with many; in the mean with failed ones each counts as its whole deadline.",
    )
}

/// What happened and what the supervisor made of it.
pub fn story(report: &StoryReport) -> String {
    let Some(run) = report.runs.first() else { return String::new() };
    let steps = steps(report);
    let starts = std::iter::once(0.0).chain(steps.iter().map(|step| step.at_seconds));
    let mut rows = Vec::new();
    for (index, from) in starts.enumerate() {
        let to = steps.get(index).map_or(f64::INFINITY, |next| next.at_seconds);
        let (number, what) = match index.checked_sub(1).and_then(|index| steps.get(index)) {
            Some(step) if step.title == step.detail => (index.to_string(), step.title.clone()),
            Some(step) => (index.to_string(), format!("{} ({})", step.title, step.detail)),
            None => (String::new(), "steady state".to_owned()),
        };
        let within = |at: f64| (from..to).contains(&at) || (index == 0 && at <= 0.0);
        let chose: Vec<_> = run
            .stretches
            .iter()
            .filter(|stretch| within(stretch.from_seconds))
            .map(|stretch| {
                let stages: Vec<_> = stretch
                    .stages
                    .iter()
                    .filter(|(_, share)| *share > 0.0)
                    .map(|(worker, share)| format!("{worker} {:.0} %", 100.0 * share))
                    .collect();
                let off = if stretch.off.is_empty() {
                    "all active".to_owned()
                } else {
                    format!("off {}", stretch.off)
                };
                let encodings: Vec<_> = stretch.encodings.iter().cloned().collect();
                let encodings =
                    if encodings.is_empty() { String::new() } else { format!("; {}", encodings.join(", ")) };
                format!("{:.1} s: {}; {off}{encodings}", stretch.from_seconds, stages.join(" → "))
            })
            .collect();
        let mut saw: Vec<_> = run
            .decisions
            .iter()
            .filter(|decision| within(decision.at_seconds))
            .map(|decision| told(&decision.event).reason)
            .collect();
        saw.dedup();
        let recovery = run
            .recoveries
            .iter()
            .find(|(title, _)| steps.get(index.wrapping_sub(1)).is_some_and(|step| step.title == *title));
        let recovery = recovery.map_or_else(String::new, |(_, seconds)| format!("{seconds:.2} s"));
        rows.push(format!(
            "<tr><td>{number}</td><td>{from:.1}</td><td class=\"words\">{}</td><td class=\"words\">{}</td><td class=\"words\">{}</td><td>{recovery}</td></tr>",
            escape(&what),
            lines(&saw),
            if chose.is_empty() { "kept its plan".to_owned() } else { lines(&chose) },
        ));
    }
    let head = ["", "s", "<what happened", "<what the supervisor saw", "<what it chose", "new plan after"];
    section(
        "What happened, adaptive",
        &table(&head, rows.into_iter()),
        "Shares are of the whole network's operations.",
    )
}

/// What was promised and what was measured.
pub fn targets(report: &StoryReport) -> String {
    let row = |row: &crate::demo::story::targets::Row| {
        let (class, result) = match row.result {
            RowResult::Stretch => ("pass", "pass (stretch)"),
            RowResult::Pass => ("pass", "pass"),
            RowResult::Shortfall => ("shortfall", "shortfall"),
            RowResult::Unmeasured => ("", "not measured"),
        };
        let measured = if row.value.is_some() { row.measured.as_str() } else { "" };
        format!(
            "<tr><td class=\"name\">{}</td><td>≤ {} {}</td><td>≤ {}</td><td>{}</td><td class=\"{class}\">{result}</td></tr>",
            escape(&row.what),
            row.target,
            row.unit,
            row.stretch,
            escape(measured)
        )
    };
    section(
        "Targets",
        &table(&["<what", "target", "stretch", "measured", ""], report.targets.iter().map(row)),
        "",
    )
}

/// Everything else, folded away.
pub fn details(report: &StoryReport) -> String {
    let scenario = &report.scenario;
    let worker = |worker: &crate::demo::story::report::WorkerReport| {
        let speed = worker
            .gmacs_per_second
            .map_or_else(|| "this machine's".to_owned(), |gmacs| format!("{gmacs} GMAC/s"));
        let limit = worker.memory_limit_bytes.map_or_else(|| "none".to_owned(), bytes);
        let budget = worker.budget_watts.map_or_else(|| "none".to_owned(), |watts| format!("{watts} W"));
        cells(
            &worker.name,
            &[
                worker.attachment.clone(),
                speed,
                limit,
                format!("{} to {} W", worker.power_watts.0, worker.power_watts.1),
                budget,
            ],
        )
    };
    let mut text = format!(
        "<details><summary>The cluster</summary><div class=\"wide\">{}</div><p class=\"note\">Scenario {}, seed {}, images of {}, \
         {} alone; Weir {} on {} cores.</p></details>\n",
        table(
            &["<worker", "attached by", "speed", "memory", "power", "budget"],
            scenario.workers.iter().map(worker)
        ),
        escape(&scenario.name),
        scenario.seed,
        escape(&scenario.dataset),
        escape(&scenario.alone),
        escape(&scenario.release),
        scenario.cores,
    );
    for run in &report.runs {
        let failures = run.failures.iter().map(|(reason, count)| {
            format!("<tr><td>{count}</td><td class=\"words\">{}</td></tr>", escape(reason))
        });
        if !run.failures.is_empty() {
            let _ = writeln!(
                text,
                "<details><summary>Requests that failed, {}</summary><div class=\"wide\">{}</div></details>",
                run.figures.kind.name(),
                table(&["requests", "<why"], failures)
            );
        }
        if !run.predictions.is_empty() {
            let rows = run.predictions.iter().map(|found| {
                cells(
                    &found.plan,
                    &[
                        milliseconds(found.predicted_ms),
                        milliseconds(found.measured_ms),
                        found.answers.to_string(),
                    ],
                )
            });
            let _ = writeln!(
                text,
                "<details><summary>Predicted and measured, {}</summary><div class=\"wide\">{}</div></details>",
                run.figures.kind.name(),
                table(&["<plan", "predicted ms", "measured ms", "answers"], rows)
            );
        }
    }
    text
}

fn section(title: &str, table: &str, note: &str) -> String {
    let note = if note.is_empty() { String::new() } else { format!("<p class=\"note\">{note}</p>") };
    format!("<section><h2>{title}</h2><div class=\"wide\">{table}</div>{note}</section>\n")
}

/// A title that begins with `<` stands on the left, over words.
fn table(head: &[&str], rows: impl Iterator<Item = String>) -> String {
    let head: String = head
        .iter()
        .map(|title| match title.strip_prefix('<') {
            Some(left) => format!("<th class=\"name\">{left}</th>"),
            None => format!("<th>{title}</th>"),
        })
        .collect();
    format!("<table><thead><tr>{head}</tr></thead><tbody>{}</tbody></table>", rows.collect::<String>())
}

fn cells(name: &str, cells: &[String]) -> String {
    let cells: String = cells.iter().map(|cell| format!("<td>{}</td>", escape(cell))).collect();
    format!("<tr><td class=\"name\">{}</td>{cells}</tr>", escape(name))
}

fn lines(texts: &[String]) -> String {
    let texts: Vec<_> = texts.iter().filter(|text| !text.is_empty()).map(|text| escape(text)).collect();
    texts.join("<br>")
}
