//! What a stage tells of its execution of a traced request.

use weir_shared::ids::WorkerId;
use weir_shared::logging::span::{Attribute, Outcome as Ended, Span, Value};
use weir_shared::wire::Header;

use super::compute::{ComputeFailed, Outcome};

/// The stage was computed, or it was tried; what comes of it goes on from here.
pub(super) fn computed(
    span: Option<Span>,
    outcome: &Outcome,
    failed: Option<&ComputeFailed>,
    worker: &WorkerId,
) {
    let Some(span) = span else { return };
    let (stage, seconds) = (outcome.live.stage.0, outcome.elapsed.as_secs_f64());
    let plan = outcome.header.plan;
    tracing::debug!(parent: span.log(), %worker, %plan, stage, compute_seconds = seconds, "stage computed");
    let mut told = attributes(&outcome.header, worker);
    told.push(("weir.stage", Value::Whole(stage.into())));
    told.push(("weir.compute_seconds", Value::Real(seconds)));
    let reason = failed.map(ToString::to_string);
    span.end(reason.as_deref().map_or(Ended::Done, Ended::Failed), told);
}

/// The request does not go on here.
pub(super) fn refused(span: Option<Span>, header: &Header, worker: &WorkerId, reason: &str) {
    let Some(span) = span else { return };
    tracing::debug!(parent: span.log(), %worker, plan = %header.plan, reason, "stage not computed");
    span.end(Ended::Failed(reason), attributes(header, worker));
}

fn attributes(header: &Header, worker: &WorkerId) -> Vec<Attribute> {
    vec![
        ("weir.worker", Value::Text(worker.to_string())),
        ("weir.plan", Value::Text(header.plan.to_string())),
        ("weir.request", Value::Text(header.request.to_string())),
        ("weir.attempt", Value::Whole(header.attempt.0.into())),
        ("weir.batch", Value::Whole(header.batch.into())),
    ]
}
