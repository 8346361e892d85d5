//! `/readyz`: whether a request that comes now would be answered, and rightly.
//!
//! Ready means: the actors live, requests are admitted, and the canary, a request of our own through the live plan, came
//! back as it did before. The canary is asked for at most every two seconds and never waited for longer than a probe
//! waits for us; while one is under way, the last one's verdict stands. `?verbose` lists the checks, as Kubernetes does.

use std::fmt::Write as _;
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::web::{Data, Query};
use serde::Deserialize;

use super::AdminState;
use crate::gateway::messages::{AskCanary, CanaryFound};
use crate::gateway::{Admission, Verdict};

/// Less than the two seconds that a probe of the chart waits.
const PATIENCE: Duration = Duration::from_secs(1);

/// `?verbose`, with or without a value.
#[derive(Debug, Deserialize)]
pub struct Detail {
    verbose: Option<String>,
}

/// One check: its name, and what it found.
type Check = (&'static str, Result<String, String>);

/// `GET /readyz`.
pub async fn readyz(state: Data<AdminState>, detail: Query<Detail>) -> HttpResponse {
    let checks = look(&state).await;
    let failed = checks.iter().find_map(|(_, found)| found.as_ref().err());
    let mut answer = match failed {
        None => HttpResponse::Ok(),
        Some(_) => HttpResponse::ServiceUnavailable(),
    };
    answer.content_type("text/plain; charset=utf-8").insert_header(("cache-control", "no-store"));
    match (detail.verbose.is_some(), failed) {
        (true, _) => answer.body(list(&checks)),
        (false, None) => answer.body("ok\n"),
        (false, Some(reason)) => answer.body(format!("{reason}\n")),
    }
}

async fn look(state: &AdminState) -> Vec<Check> {
    let mut checks = vec![("actors", actors(state)), ("admission", admission(*state.admission.borrow()))];
    // Without a plan there is nothing that a canary could go through.
    if checks.iter().all(|(_, found)| found.is_ok()) {
        checks.push(("canary", canary(state).await));
    }
    checks
}

fn actors(state: &AdminState) -> Result<String, String> {
    if state.supervisor.connected() && state.gateway.connected() {
        Ok("supervisor and gateway run".to_owned())
    } else {
        Err("an essential actor is gone; the process is about to end".to_owned())
    }
}

fn admission(admission: Admission) -> Result<String, String> {
    match admission {
        Admission::Open => Ok("requests are admitted".to_owned()),
        Admission::NoPlan => Err("no plan is committed".to_owned()),
        Admission::Holding => Err("the plan has lost a worker; requests wait for the next one".to_owned()),
        Admission::Draining => Err("the process is shutting down".to_owned()),
    }
}

async fn canary(state: &AdminState) -> Result<String, String> {
    let asked = tokio::time::timeout(PATIENCE, state.gateway.send(AskCanary)).await;
    let Ok(Ok(CanaryFound { last, next })) = asked else {
        return Err("the gateway does not answer".to_owned());
    };
    let newest = match next {
        Some(next) => tokio::time::timeout(PATIENCE, next).await.ok().and_then(Result::ok).or(last),
        None => last,
    };
    match newest {
        Some(Verdict::Passed { took }) => Ok(format!("answered as before, in {took:.1?}")),
        Some(Verdict::Busy) => Ok("waits behind users, who are answered".to_owned()),
        Some(Verdict::Missing { reason }) => {
            Err(format!("a request through the live plan got no answer: {reason}"))
        }
        Some(Verdict::NotFinite) => {
            Err("a request through the live plan got logits that are no numbers; check the workers' weights"
                .to_owned())
        }
        Some(Verdict::Different) => {
            Err("a request through the live plan got other logits than at its beginning; check the workers"
                .to_owned())
        }
        None => Err("no request has gone through the live plan yet".to_owned()),
    }
}

fn list(checks: &[Check]) -> String {
    let mut text = String::new();
    for (name, found) in checks {
        // Writing to a string cannot fail.
        let _ = match found {
            Ok(what) => writeln!(text, "[+]{name} ok: {what}"),
            Err(why) => writeln!(text, "[-]{name} failed: {why}"),
        };
    }
    let ready = checks.iter().all(|(_, found)| found.is_ok());
    text + if ready { "readyz check passed\n" } else { "readyz check failed\n" }
}
