//! What was promised, what was measured, and whether that is enough. Pure.
//!
//! The rows are those of the project's table of targets that a demonstration can measure. A row whose event did not
//! happen in the runs at hand says so rather than pass.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::decisions::{predicted_latency_ms, told};
use super::measure::{Basis, Figures, figures};
use super::recording::{AnswerRecord, PlanRecord, RequestRecord, RunRecording, StepRecord};
use crate::client::latency::LatencyMs;
use crate::demo::scenario::RunKind;

/// A switch is felt by requests that are due this long before it...
const BEFORE_SWITCH_SECONDS: f64 = 0.25;

/// ...and this long behind it. Farther away is steady state.
const AFTER_SWITCH_SECONDS: f64 = 0.5;

/// Fewer answers on a plan say little about its latency.
const ANSWERS_MIN: usize = 10;

/// A plan's latency is taken from here on: before, requests that waited for the switch are among them.
const SETTLE_SECONDS: f64 = 0.5;

/// Fewer answers than this say nothing about the slowest hundredth.
const P99_ANSWERS_MIN: usize = 100;

/// An answer that takes longer than this many times what was usual is not yet back to normal.
const NORMAL: f64 = 3.0;

/// Plan switches that the row on lost requests is about.
const SWITCHES: usize = 50;

/// One row of the table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// What is measured.
    pub what: String,
    /// The figure in words, or why there is none.
    pub measured: String,
    /// The figure; absent where nothing was measured.
    pub value: Option<f64>,
    /// The target, in the unit of `value`.
    pub target: f64,
    /// The stretch target.
    pub stretch: f64,
    /// The unit, for people.
    pub unit: String,
    /// How it came out.
    pub result: RowResult,
}

/// How a row came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RowResult {
    /// Better than the stretch target.
    Stretch,
    /// Good enough.
    Pass,
    /// Not good enough.
    Shortfall,
    /// It did not happen, or cannot be seen.
    Unmeasured,
}

/// The runs at hand: those of the story, one with many switches, one with noise.
#[derive(Debug, Clone, Copy, Default)]
pub struct Runs<'a> {
    /// The story's runs.
    pub story: &'a [RunRecording],
    /// Many forced switches under load.
    pub switches: Option<(&'a RunRecording, &'a Basis)>,
    /// Noise on every round trip, and nothing else.
    pub noise: Option<&'a RunRecording>,
    /// The loss of a worker whose blocks can be skipped.
    pub loss: Option<&'a RunRecording>,
}

/// The whole table.
pub fn rows(runs: Runs<'_>, basis: &Basis) -> Vec<Row> {
    let of = |kind: RunKind| runs.story.iter().find(|run| run.kind == kind);
    let Some(adaptive) = of(RunKind::Adaptive) else { return Vec::new() };
    let mine = figures(adaptive, basis);
    let fixed = of(RunKind::Static).map(|run| figures(run, basis));
    let none = "not measured: no such event in these runs";
    let against = |pick: fn(&Figures) -> f64| {
        let ratio = fixed.as_ref().map(|fixed| pick(&mine) / pick(fixed)).filter(|ratio| ratio.is_finite());
        ratio.ok_or("not measured: no static run".to_owned())
    };
    let hard = hard_replans(adaptive);
    let switched = runs.switches.map_or(adaptive, |(run, _)| run);
    let mut rows = vec![
        row(
            "link collapse or worker loss to new plan serving, slowest",
            "s",
            2.0,
            1.0,
            longest(&hard).ok_or(none.to_owned()),
        ),
        row(
            "policy changed to connection switch in effect, slowest",
            "ms",
            300.0,
            50.0,
            fast_switch_ms(switched).ok_or("not measured: no run with switches".to_owned()),
        ),
        row(
            "worker loss to first degraded answer",
            "s",
            1.2,
            0.6,
            first_degraded_seconds(runs.loss.unwrap_or(adaptive))
                .ok_or("not measured: no degraded answer".to_owned()),
        ),
        row(
            "longest wait at the gateway of a request due around a switch",
            "ms",
            1.0,
            0.0,
            runs.switches
                .and_then(|(run, _)| gap_ms(run))
                .ok_or("not measured: no run with switches".to_owned()),
        ),
    ];
    let lost = runs.switches.map(|(run, basis)| (figures(run, basis), switches(run).len()));
    rows.push(match lost {
        Some((found, count)) => {
            let wrong = found.failed + found.different + found.unchecked;
            let mut row = row(
                "requests lost, wrong or unchecked over the plan switches under load",
                "",
                0.0,
                0.0,
                Ok(wrong as f64),
            );
            row.measured = format!("{wrong} of {} over {count} switches", found.sent);
            if count < SWITCHES {
                row.result = RowResult::Shortfall;
                row.measured += &format!(" (fewer than {SWITCHES})");
            }
            row
        }
        None => row(
            "requests lost, wrong or unchecked over the plan switches under load",
            "",
            0.0,
            0.0,
            Err("not measured: no run with switches".to_owned()),
        ),
    });
    rows.push(row(
        "p99 during a switch against steady state",
        "x",
        1.5,
        1.1,
        runs.switches
            .and_then(|(run, _)| p99_ratio(run))
            .ok_or("not measured: no run with switches".to_owned()),
    ));
    rows.push(row(
        "adaptive against static: mean latency (a failed request counts as its deadline)",
        "x",
        0.6,
        0.4,
        against(|figures| figures.mean_with_failures_ms),
    ));
    rows.push(row(
        "adaptive against static: joules per inference",
        "x",
        0.7,
        0.5,
        against(|figures| figures.joules_per_inference),
    ));
    rows.push(row(
        "adaptive against static: bytes shared per inference",
        "x",
        0.5,
        0.25,
        against(|figures| figures.shared_bytes_per_inference),
    ));
    // Some hundred answers scatter by more than the target; the same plans on all images by less.
    let of_answers = 100.0 * (mine.full_accuracy - mine.accuracy);
    let points = mine.lost_points_of_all.unwrap_or(of_answers);
    let mut lost = row("accuracy lost over the scenario", "points", 1.0, 0.5, Ok(points));
    if mine.lost_points_of_all.is_some() {
        lost.measured +=
            &format!(" by plan on all images ({} by {} answers)", short(of_answers), mine.answered);
    }
    rows.push(lost);
    let known = predictions(adaptive);
    let error = prediction_error(&known).map(|error| 100.0 * error);
    let mut row_of_errors = row(
        "predicted against measured latency, median absolute error",
        "%",
        15.0,
        7.0,
        error.ok_or("not measured: no plan ran long enough undisturbed".to_owned()),
    );
    if error.is_some() {
        row_of_errors.measured += &format!(" ({} of {} plans)", known.len(), adaptive.plans.len());
    }
    rows.push(row_of_errors);
    rows.push(row(
        "re-plans under ±20 % RTT noise",
        "",
        0.0,
        0.0,
        runs.noise.map(|run| switches(run).len() as f64).ok_or("not measured: no run with noise".to_owned()),
    ));
    rows
}

fn row(what: &str, unit: &str, target: f64, stretch: f64, value: Result<f64, String>) -> Row {
    let result = match &value {
        Ok(value) if *value <= stretch => RowResult::Stretch,
        Ok(value) if *value <= target => RowResult::Pass,
        Ok(_) => RowResult::Shortfall,
        Err(_) => RowResult::Unmeasured,
    };
    let measured = match &value {
        Ok(value) => format!("{} {unit}", short(*value)).trim_end().to_owned(),
        Err(why) => why.clone(),
    };
    Row { what: what.to_owned(), measured, value: value.ok(), target, stretch, unit: unit.to_owned(), result }
}

/// Three digits or so.
pub fn short(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        v if v < 10.0 => format!("{value:.2}"),
        v if v < 100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

/// Plans that came while requests ran.
pub fn switches(run: &RunRecording) -> Vec<&PlanRecord> {
    run.plans.iter().skip(1).filter(|plan| (0.0..run.duration_seconds).contains(&plan.at_seconds)).collect()
}

/// For each collapse or loss that the plan in force had to do with: seconds until the first whole answer on another
/// plan that took no longer than [`NORMAL`] times the median before; until the next such event where there was none.
pub fn hard_replans(run: &RunRecording) -> Vec<(String, f64)> {
    let mut found = Vec::new();
    let is_hard = |step: &&StepRecord| ["link", "kill"].contains(&step.kind.as_str());
    for (index, step) in run.steps.iter().enumerate().filter(|(_, step)| is_hard(step)) {
        let next = run.steps.iter().skip(index + 1).find(is_hard);
        let until = next.map_or(run.duration_seconds, |next| next.at_seconds);
        let before = run.plans.iter().rev().find(|plan| plan.at_seconds <= step.at_seconds);
        // A plan that has nothing to do with it need not change.
        let concerned = before.zip(step.worker.as_ref()).is_some_and(|(plan, worker)| {
            plan.plan.stages.iter().any(|stage| stage.worker == *worker && !stage.bypassed)
        });
        if !concerned {
            continue;
        }
        let steady = run.answers().filter(|(request, answer)| {
            request.done_seconds() <= step.at_seconds && before.is_some_and(|plan| plan.id == answer.plan)
        });
        let normal = median(steady.map(|(request, _)| request.latency_ms).collect()).map(|ms| ms * NORMAL);
        let is_new = |request: &RequestRecord, answer: &AnswerRecord| {
            request.done_seconds() > step.at_seconds
                && !answer.degraded
                && normal.is_none_or(|normal| request.latency_ms <= normal)
                && before.is_some_and(|plan| plan.id != answer.plan)
        };
        let times = run
            .answers()
            .filter(|(request, answer)| is_new(request, answer))
            .map(|(request, _)| request.done_seconds());
        let first = times.min_by(f64::total_cmp).unwrap_or(until).min(until);
        found.push((step.title.clone(), first - step.at_seconds));
    }
    found
}

/// The middle one, or the mean of the two in the middle.
fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let (low, high) = (values.get(values.len().checked_sub(1)? / 2)?, values.get(values.len() / 2)?);
    Some(f64::midpoint(*low, *high))
}

fn longest(times: &[(String, f64)]) -> Option<f64> {
    times.iter().map(|(_, seconds)| *seconds).max_by(f64::total_cmp)
}

/// The slowest change of connections alone that a change of policy led to: from before the policy is sent to the plan in
/// effect.
fn fast_switch_ms(run: &RunRecording) -> Option<f64> {
    let stages = |plan: &PlanRecord| -> Vec<(String, u16)> {
        plan.plan.stages.iter().map(|stage| (stage.worker.clone(), stage.layers.start)).collect()
    };
    let pairs = run.plans.windows(2).filter(|pair| {
        stages(&pair[0]) == stages(&pair[1]) && pair[0].plan.active_off != pair[1].plan.active_off
    });
    let committed = |plan: &PlanRecord| {
        let events = run.decisions.iter().map(|decision| told(&decision.event));
        events.filter(|told| told.plan.as_ref() == Some(&plan.id)).find_map(|told| told.committed_unix_ms)
    };
    let took = pairs.filter_map(|pair| {
        let done = committed(&pair[1])?;
        let asked = run.steps.iter().rfind(|step| step.kind == "policy" && step.unix_ms <= done)?;
        Some((done - asked.unix_ms) as f64)
    });
    took.max_by(f64::total_cmp)
}

fn first_degraded_seconds(run: &RunRecording) -> Option<f64> {
    let of_step = |at: f64| {
        let degraded =
            run.answers().filter(|(request, answer)| answer.degraded && request.done_seconds() > at);
        degraded.map(|(request, _)| request.done_seconds() - at).min_by(f64::total_cmp)
    };
    let kills = run.steps.iter().filter(|step| step.kind == "kill");
    kills.filter_map(|step| of_step(step.at_seconds)).max_by(f64::total_cmp)
}

fn gap_ms(run: &RunRecording) -> Option<f64> {
    let near = run.answers().filter(|(request, _)| is_near_switch(run, request.at_seconds));
    near.filter_map(|(_, answer)| answer.queue_ms).max_by(f64::total_cmp)
}

fn is_near_switch(run: &RunRecording, at: f64) -> bool {
    let near = |plan: &&PlanRecord| {
        (plan.at_seconds - BEFORE_SWITCH_SECONDS..plan.at_seconds + AFTER_SWITCH_SECONDS).contains(&at)
    };
    switches(run).iter().any(near)
}

/// p99 of requests due around a switch, over p99 of the others that were answered at once.
fn p99_ratio(run: &RunRecording) -> Option<f64> {
    let (during, steady): (Vec<_>, Vec<_>) = run
        .answers()
        .map(|(request, _)| (request.at_seconds, Duration::from_secs_f64(request.latency_ms / 1e3)))
        .partition(|(at, _)| is_near_switch(run, *at));
    let p99 = |of: Vec<(f64, Duration)>| {
        let latencies: Vec<_> = of.into_iter().map(|(_, latency)| latency).collect();
        (latencies.len() >= P99_ANSWERS_MIN).then(|| LatencyMs::of(&latencies).p99)
    };
    Some(p99(during)? / p99(steady)?)
}

/// Median over plans of |measured - predicted| / measured, as a share.
fn prediction_error(known: &[Prediction]) -> Option<f64> {
    let error = |found: &Prediction| (found.measured_ms - found.predicted_ms).abs() / found.measured_ms;
    median(known.iter().map(error).collect())
}

/// What was predicted for a plan, and what it took.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Prediction {
    /// The plan.
    pub plan: String,
    /// By the planner.
    pub predicted_ms: f64,
    /// Median latency of its answers while nothing changed.
    pub measured_ms: f64,
    /// How many they are.
    pub answers: usize,
}

/// Every plan with a prediction and enough answers.
pub fn predictions(run: &RunRecording) -> Vec<Prediction> {
    let of_plan = |(index, plan): (usize, &PlanRecord)| {
        let predicted_ms = predicted_latency_ms(&run.decisions, &plan.id)?;
        let from = plan.at_seconds.max(0.0) + SETTLE_SECONDS;
        let next_plan = run.plans.get(index + 1).map_or(f64::INFINITY, |next| next.at_seconds);
        // What befalls a worker that the plan does without does not end it.
        let concerns = |step: &&StepRecord| {
            let worker = step.worker.as_ref();
            worker.is_none_or(|worker| plan.plan.stages.iter().any(|stage| stage.worker == *worker))
        };
        let mut after = run.steps.iter().filter(|step| step.at_seconds > plan.at_seconds);
        let next_step = after.find(concerns).map(|step| step.at_seconds);
        let to = next_plan.min(next_step.unwrap_or(f64::INFINITY));
        let latencies: Vec<_> = run
            .answers()
            .filter(|(request, answer)| answer.plan == plan.id && (from..to).contains(&request.at_seconds))
            .map(|(request, _)| Duration::from_secs_f64(request.latency_ms / 1e3))
            .collect();
        (latencies.len() >= ANSWERS_MIN).then(|| Prediction {
            plan: plan.id.clone(),
            predicted_ms,
            measured_ms: LatencyMs::of(&latencies).p50,
            answers: latencies.len(),
        })
    };
    run.plans.iter().enumerate().filter_map(of_plan).collect()
}

#[cfg(test)]
mod tests {
    use super::super::measure::tests::example;
    use super::super::recording::DecisionRecord;
    use super::*;
    use serde_json::json;

    fn find<'a>(rows: &'a [Row], what: &str) -> &'a Row {
        rows.iter().find(|row| row.what.contains(what)).unwrap()
    }

    #[test]
    fn a_loss_is_over_when_a_whole_answer_comes_on_a_new_plan() {
        let (run, basis) = example();
        // Killed at 4.5 s; the answer at 5.0 is degraded, so the one due at 5.1 counts, 40 ms later.
        assert!((hard_replans(&run)[0].1 - 0.64).abs() < 1e-9);
        let story = [run];
        let rows = rows(Runs { story: &story, ..Runs::default() }, &basis);
        assert_eq!(find(&rows, "new plan serving").result, RowResult::Stretch);
        assert_eq!(find(&rows, "first degraded").measured, "0.54 s");
        assert_eq!(find(&rows, "mean latency").result, RowResult::Unmeasured);
        assert_eq!(find(&rows, "RTT noise").result, RowResult::Unmeasured);
        assert_eq!(find(&rows, "accuracy lost").result, RowResult::Shortfall);
    }

    #[test]
    fn a_prediction_is_compared_with_the_answers_of_its_plan() {
        let (mut run, basis) = example();
        let event = |plan: &str, ms: f64| DecisionRecord {
            at_seconds: 0.0,
            event: json!({ "number": 1, "plan": plan, "decision": { "kind": "first", "predicted": { "latency_seconds": ms / 1e3 } } }),
        };
        run.decisions = vec![event("1.1", 22.0), event("1.2", 40.0)];
        assert_eq!(predictions(&run).len(), 2);
        let story = [run];
        let rows = rows(Runs { story: &story, ..Runs::default() }, &basis);
        let row = find(&rows, "predicted against measured");
        // One is a tenth off, the other right.
        assert!((row.value.unwrap() - 5.0).abs() < 1e-9, "{row:?}");
        assert_eq!(row.measured, "5.00 % (2 of 2 plans)");
    }

    #[test]
    fn too_few_switches_do_not_pass() {
        let (run, basis) = example();
        let story = [run];
        let rows = rows(
            Runs { story: &story, switches: Some((&story[0], &basis)), noise: Some(&story[0]), loss: None },
            &basis,
        );
        assert_eq!(find(&rows, "over the plan switches").result, RowResult::Shortfall);
        assert_eq!(find(&rows, "RTT noise").value, Some(1.0));
    }
}
