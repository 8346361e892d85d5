//! The drawings: one metric each over the same seconds, with the same numbered events. Pure text.

use std::fmt::Write as _;

use crate::demo::scenario::RunKind;
use crate::demo::story::measure::{Bucket, Stretch};
use crate::demo::story::recording::StepRecord;
use crate::demo::story::report::StoryReport;
use crate::demo::story::targets::short;

/// Units of a drawing. About as many as a phone has pixels, so that letters stay legible there.
const WIDTH: f64 = 400.0;
const HEIGHT: f64 = 190.0;
const LEFT: f64 = 54.0;
const RIGHT: f64 = WIDTH - 8.0;
const TOP: f64 = 22.0;
const BOTTOM: f64 = HEIGHT - 22.0;

/// With more events their numbers would lie on each other.
const EVENTS_MAX: usize = 12;

/// One line of a drawing: its class, and the points that are known.
struct Line {
    class: &'static str,
    points: Vec<(f64, Option<f64>)>,
}

/// A vertical axis.
struct Axis {
    low: f64,
    high: f64,
    log: bool,
}

impl Axis {
    /// From 0 to the largest.
    fn linear(lines: &[Line]) -> Self {
        let most = values(lines).fold(0.0, f64::max);
        let step = nice(most.max(1e-9) / 4.0);
        Self { low: 0.0, high: (most / step).ceil().max(1.0) * step, log: false }
    }

    /// Between `low` and 1, for shares.
    fn share(lines: &[Line]) -> Self {
        let least = values(lines).fold(1.0, f64::min);
        Self { low: ((least - 0.01) * 10.0).floor().max(0.0) / 10.0, high: 1.0, log: false }
    }

    /// From a round number below the smallest to one above the largest.
    fn log(lines: &[Line]) -> Self {
        let least = values(lines).filter(|value| *value > 0.0).fold(f64::INFINITY, f64::min);
        let most = values(lines).fold(1.0, f64::max);
        if !least.is_finite() {
            return Self { low: 1.0, high: 10.0, log: true };
        }
        Self {
            low: 10f64.powf(least.log10().floor()),
            high: 10f64.powf(most.log10().ceil().max(least.log10().floor() + 1.0)),
            log: true,
        }
    }

    fn y(&self, value: f64) -> f64 {
        let place = if self.log {
            (value.max(self.low) / self.low).log10() / (self.high / self.low).log10()
        } else {
            (value - self.low) / (self.high - self.low).max(1e-12)
        };
        BOTTOM - (BOTTOM - TOP) * place.clamp(0.0, 1.0)
    }

    fn ticks(&self) -> Vec<f64> {
        if self.log {
            let (from, to) = (self.low.log10().round() as i32, self.high.log10().round() as i32);
            return (from..=to).map(|power| 10f64.powi(power)).collect();
        }
        let step = nice((self.high - self.low) / 4.0);
        let count = ((self.high - self.low) / step).round() as usize;
        (0..=count).map(|index| self.low + index as f64 * step).collect()
    }
}

fn values(lines: &[Line]) -> impl Iterator<Item = f64> + '_ {
    lines
        .iter()
        .flat_map(|line| line.points.iter().filter_map(|(_, value)| *value))
        .filter(|value| value.is_finite())
}

/// 1, 2 or 5 times a power of ten, not below `value`.
fn nice(value: f64) -> f64 {
    let power = 10f64.powf(value.log10().floor());
    [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|factor| factor * power)
        .find(|step| *step >= value * 0.999)
        .unwrap_or(value)
}

/// All drawings.
pub fn all(report: &StoryReport) -> String {
    let unit = |bytes: &f64| bytes / 1e3;
    [
        metric(
            report,
            "Latency",
            "ms, median of each second; logarithmic",
            Axis::log,
            |b| b.latency_p50_ms,
            Extra::None,
        ),
        metric(
            report,
            "Throughput",
            "answers per second; thin: offered",
            Axis::linear,
            |b| Some(b.answered_per_second),
            Extra::Offered,
        ),
        lanes(report),
        kept(report),
        metric(
            report,
            "Accuracy",
            "share of right answers over five seconds",
            Axis::share,
            |b| b.accuracy,
            Extra::None,
        ),
        metric(
            report,
            "Bytes shared",
            "kB between workers for each answer",
            Axis::linear,
            |b| b.shared_bytes_per_inference.as_ref().map(unit),
            Extra::None,
        ),
        metric(
            report,
            "Energy",
            "joules above idling for each answer, by the stated model",
            Axis::linear,
            |b| b.joules_per_inference,
            Extra::None,
        ),
    ]
    .concat()
}

#[derive(Clone, Copy, PartialEq)]
enum Extra {
    None,
    Offered,
}

fn metric(
    report: &StoryReport,
    title: &str,
    note: &str,
    axis: fn(&[Line]) -> Axis,
    pick: impl Fn(&Bucket) -> Option<f64>,
    extra: Extra,
) -> String {
    let middle = |bucket: &Bucket| bucket.at_seconds + 0.5;
    let mut lines: Vec<_> = report
        .runs
        .iter()
        .map(|run| Line {
            class: run.figures.kind.name(),
            points: run.timeline.iter().map(|bucket| (middle(bucket), pick(bucket))).collect(),
        })
        .collect();
    if let (Extra::Offered, Some(run)) = (extra, report.runs.first()) {
        let points =
            run.timeline.iter().map(|bucket| (middle(bucket), Some(bucket.offered_per_second))).collect();
        lines.insert(0, Line { class: "offered", points });
    }
    let axis = axis(&lines);
    figure(report, title, note, &axis, &lines)
}

/// Share of the operations that each plan computes.
fn kept(report: &StoryReport) -> String {
    let step = |stretch: &Stretch| {
        [(stretch.from_seconds, Some(stretch.macs_kept)), (stretch.to_seconds, Some(stretch.macs_kept))]
    };
    let lines: Vec<_> = report
        .runs
        .iter()
        .map(|run| Line {
            class: run.figures.kind.name(),
            points: run.stretches.iter().flat_map(step).collect(),
        })
        .collect();
    let axis = Axis::share(&lines);
    figure(report, "Active connections", "share of the network's operations that is computed", &axis, &lines)
}

fn figure(report: &StoryReport, title: &str, note: &str, axis: &Axis, lines: &[Line]) -> String {
    let seconds = report.scenario.duration_seconds;
    let mut body = frame(report);
    for tick in axis.ticks() {
        let y = axis.y(tick);
        let _ = write!(
            body,
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{RIGHT}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
             <text class=\"soft\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            LEFT - 5.0,
            y + 4.0,
            label(tick)
        );
    }
    for line in lines.iter().rev() {
        let mut path = String::new();
        let mut pen = 'M';
        for (at, value) in &line.points {
            match value.filter(|value| value.is_finite()) {
                Some(value) => {
                    let _ = write!(path, "{pen}{:.1} {:.1}", x(*at, seconds), axis.y(value));
                    pen = 'L';
                }
                None => pen = 'M',
            }
        }
        let _ = write!(body, "<path class=\"run {}\" d=\"{path}\"/>", line.class);
    }
    panel(title, note, HEIGHT, &body)
}

/// Which worker computes which share, over time, in the adaptive run.
fn lanes(report: &StoryReport) -> String {
    let Some(run) = report.runs.iter().find(|run| run.figures.kind == RunKind::Adaptive) else {
        return String::new();
    };
    let seconds = report.scenario.duration_seconds;
    let workers = &report.scenario.workers;
    let height = (BOTTOM - TOP) / workers.len().max(1) as f64;
    let mut body = frame(report);
    for (index, worker) in workers.iter().enumerate() {
        let top = TOP + index as f64 * height;
        let name: String = worker.name.chars().take(8).collect();
        let _ = write!(
            body,
            "<text class=\"soft\" x=\"0\" y=\"{:.1}\">{}</text>",
            top + height / 2.0 + 4.0,
            escape(&name)
        );
        for stretch in &run.stretches {
            let Some(place) = stretch.stages.iter().position(|(name, _)| *name == worker.name) else {
                continue;
            };
            let share = stretch.stages[place].1;
            let (from, to) = (x(stretch.from_seconds, seconds), x(stretch.to_seconds, seconds));
            let bar = (height - 4.0).clamp(2.0, 40.0) * share.sqrt().clamp(0.12, 1.0);
            let middle = top + height / 2.0;
            let _ = write!(
                body,
                "<rect class=\"lane\" x=\"{from:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{bar:.1}\"><title>plan {}: stage {place}, {:.0} % of the operations</title></rect>",
                middle - bar / 2.0,
                (to - from).max(1.0),
                escape(stretch.plan.rsplit('.').next().unwrap_or_default()),
                100.0 * share
            );
        }
    }
    panel("Partition, adaptive", "who computes; the taller the bar, the more of the network", HEIGHT, &body)
}

/// Time axis and events.
fn frame(report: &StoryReport) -> String {
    let seconds = report.scenario.duration_seconds;
    let mut body = format!("<path class=\"axis\" d=\"M{LEFT} {TOP}V{BOTTOM}H{RIGHT}\"/>");
    let step = nice(seconds / 5.0);
    let mut at = 0.0;
    while at <= seconds {
        let anchor = if at == 0.0 { "start" } else { "middle" };
        let _ = write!(
            body,
            "<text class=\"soft\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\">{at:.0} s</text>",
            x(at, seconds).min(RIGHT - 8.0),
            HEIGHT - 6.0
        );
        at += step;
    }
    // More would hide what is drawn.
    let numbered = steps(report).iter().enumerate().filter(|_| steps(report).len() <= EVENTS_MAX);
    for (index, step) in numbered {
        let x = x(step.at_seconds, seconds);
        let _ = write!(
            body,
            "<line class=\"event\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{TOP}\" y2=\"{BOTTOM}\"/>\
             <circle class=\"event\" cx=\"{x:.1}\" cy=\"10\" r=\"8\"/><text class=\"number\" x=\"{x:.1}\" y=\"13.5\">{}</text>",
            index + 1
        );
    }
    body
}

/// The steps that are numbered: those of the first run.
pub fn steps(report: &StoryReport) -> &[StepRecord] {
    report.runs.first().map(|run| run.steps.as_slice()).unwrap_or_default()
}

fn panel(title: &str, note: &str, height: f64, body: &str) -> String {
    format!(
        "<figure><h2>{title}</h2><svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{title}: {note}\">{body}</svg>\
         <figcaption>{note}</figcaption></figure>\n"
    )
}

fn x(at: f64, seconds: f64) -> f64 {
    LEFT + (RIGHT - LEFT) * (at / seconds.max(1e-9)).clamp(0.0, 1.0)
}

/// A tick without digits that say nothing.
fn label(value: f64) -> String {
    let text = short(value);
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// Which line is which.
pub fn legend(kinds: impl Iterator<Item = RunKind>) -> String {
    let key = |kind: RunKind| {
        let (class, words) = match kind {
            RunKind::Adaptive => ("adaptive", "adaptive"),
            RunKind::Static => ("static", "static: the first plan, whatever happens"),
            RunKind::Alone => ("alone", "one worker alone"),
        };
        format!(
            "<span><svg viewBox=\"0 0 26 10\"><path class=\"run {class}\" d=\"M0 5H26\"/></svg>{words}</span>"
        )
    };
    format!("<div class=\"legend\">{}</div>\n", kinds.map(key).collect::<String>())
}

/// For text between tags and in attributes.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round() {
        let line = |values: &[f64]| {
            vec![Line { class: "adaptive", points: values.iter().map(|v| (0.0, Some(*v))).collect() }]
        };
        let axis = Axis::linear(&line(&[3.0, 17.0]));
        assert_eq!(axis.ticks(), [0.0, 5.0, 10.0, 15.0, 20.0]);
        let axis = Axis::log(&line(&[12.0, 430.0]));
        assert_eq!(axis.ticks(), [10.0, 100.0, 1000.0]);
        assert!(axis.y(10.0) > axis.y(100.0) && axis.y(0.0) <= BOTTOM);
        assert_eq!(Axis::log(&line(&[])).ticks().len(), 2);
        assert_eq!([0.0, 0.25, 10.0, 1000.0, 0.5].map(label), ["0", "0.25", "10", "1000", "0.5"]);
    }
}
