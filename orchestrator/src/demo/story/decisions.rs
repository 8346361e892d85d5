//! The supervisor's own decisions (`GET /api/v1/plans`), as far as the demonstration reads them.
//!
//! The one place that knows their form: fields that are absent are simply not shown, so an orchestrator that says
//! less is still watched. Pure.

use serde_json::Value;

use super::recording::DecisionRecord;

/// What the table and the report show of an event.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Told {
    /// Its number, which only grows.
    pub number: Option<u64>,
    /// Why the plan changes, in one word.
    pub kind: String,
    /// Why, in words, with what shifted most.
    pub reason: String,
    /// The plan that it led to.
    pub plan: Option<String>,
    /// What the planner predicts for that plan.
    pub predicted_latency_ms: Option<f64>,
    /// When the plan was in effect, in milliseconds since 1970.
    pub committed_unix_ms: Option<u64>,
    /// How its trial ended.
    pub trial: Option<String>,
}

/// Shifts that the table names.
const SHIFTS: usize = 2;

/// Reads an event.
pub fn told(event: &Value) -> Told {
    let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    let number = |pointer: &str| event.pointer(pointer).and_then(Value::as_f64);
    let whole = |pointer: &str| event.pointer(pointer).and_then(Value::as_u64);
    let kind = text("/decision/kind").unwrap_or_default();
    let because = text("/decision/because").unwrap_or_default();
    let shifts = event.pointer("/decision/shifted").and_then(Value::as_array);
    let shifts: Vec<_> = shifts.into_iter().flatten().take(SHIFTS).filter_map(shift).collect();
    let said = [kind.replace('_', " "), because].into_iter().filter(|words| !words.is_empty());
    let mut reason = said.collect::<Vec<_>>().join(": ");
    if !shifts.is_empty() {
        reason += &format!(" ({})", shifts.join("; "));
    }
    Told {
        number: event.get("number").and_then(Value::as_u64),
        kind,
        reason,
        plan: text("/plan"),
        predicted_latency_ms: number("/decision/predicted/latency_seconds").map(|seconds| seconds * 1e3),
        committed_unix_ms: whole("/unix_ms").zip(whole("/committed_after_ms")).map(|(at, after)| at + after),
        trial: text("/trial"),
    }
}

/// `goodput in bytes/s of camera -> router 5.8e6 to 7.1e4`.
fn shift(shift: &Value) -> Option<String> {
    let figure = |name: &str| match shift.get(name).and_then(Value::as_f64) {
        Some(figure) if figure.abs() >= 1e4 => format!("{figure:.1e}"),
        Some(figure) => format!("{figure:.3}"),
        None => "nothing".to_owned(),
    };
    Some(format!("{} {} to {}", shift.get("what")?.as_str()?, figure("before"), figure("after")))
}

/// What the planner predicted for `plan`, from the newest event that says so.
pub fn predicted_latency_ms(decisions: &[DecisionRecord], plan: &str) -> Option<f64> {
    let of_plan = decisions
        .iter()
        .rev()
        .map(|decision| told(&decision.event))
        .filter(|told| told.plan.as_deref() == Some(plan));
    of_plan.into_iter().find_map(|told| told.predicted_latency_ms)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_event_is_told_with_its_largest_shifts() {
        let event = json!({
            "number": 4, "unix_ms": 1, "plan": "7.3", "state": "committed", "committed_after_ms": 12, "trial": null,
            "decision": {
                "kind": "worker_lost", "because": "attic is gone", "predicted": { "latency_seconds": 0.05 },
                "shifted": [{ "what": "goodput in bytes/s of a -> b", "before": 5_800_000.0, "after": null }],
            },
        });
        let told = told(&event);
        assert_eq!(told.reason, "worker lost: attic is gone (goodput in bytes/s of a -> b 5.8e6 to nothing)");
        assert_eq!(
            (told.number, told.committed_unix_ms, told.plan.as_deref()),
            (Some(4), Some(13), Some("7.3"))
        );
        let decisions = [DecisionRecord { at_seconds: 0.0, event }];
        assert_eq!(predicted_latency_ms(&decisions, "7.3"), Some(50.0));
        assert_eq!(predicted_latency_ms(&decisions, "7.2"), None);
        assert_eq!(super::told(&json!({})), Told::default());
    }
}
