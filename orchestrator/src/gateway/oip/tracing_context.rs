//! The trace that a client's request belongs to, and the span in which it is answered.

use actix_web::HttpResponse;
use actix_web::http::header::HeaderMap;
use weir_shared::logging::span::{Outcome, Span, Value};
use weir_shared::wire::TraceContext;

use super::error::ApiError;
use super::handlers::{ATTEMPTS_HEADER, PLAN_HEADER};

/// What the client says of its trace; none if it says nothing, or nothing that can be used.
pub(super) fn of_client(headers: &HeaderMap) -> Option<TraceContext> {
    let mut parents = headers.get_all("traceparent");
    let parent = parents.next()?.to_str().ok()?;
    // Two of them are none: nobody can say which one is meant.
    if parents.next().is_some() {
        return None;
    }
    let states: Vec<_> = headers.get_all("tracestate").filter_map(|value| value.to_str().ok()).collect();
    TraceContext::from_headers(parent, &states.join(","))
}

/// The request is answered.
pub(super) fn end(span: Span, model: &str, answered: &Result<HttpResponse, ApiError>) {
    let mut attributes = vec![("weir.network", Value::Text(model.to_owned()))];
    match answered {
        Ok(response) => {
            let text = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
            let plan = text(PLAN_HEADER).unwrap_or_default();
            let attempts = text(ATTEMPTS_HEADER).and_then(|text| text.parse().ok()).unwrap_or(1);
            tracing::debug!(parent: span.log(), plan, attempts, "request answered");
            attributes.push(("http.response.status_code", Value::Whole(200)));
            attributes.push(("weir.plan", Value::Text(plan.to_owned())));
            attributes.push(("weir.attempts", Value::Whole(attempts)));
            span.end(Outcome::Done, attributes);
        }
        Err(error) => {
            let status = error.status().as_u16();
            tracing::debug!(parent: span.log(), status, %error, "request not answered");
            attributes.push(("http.response.status_code", Value::Whole(status.into())));
            span.end(Outcome::Failed(&error.to_string()), attributes);
        }
    }
}
