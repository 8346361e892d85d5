//! The routes of the admin port.

use std::sync::Arc;

use actix::Addr;
use actix_web::http::StatusCode;
use actix_web::web::{self, Data, Query, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::watch;
use weir_shared::ids::PeerName;
use weir_shared::wire::PROTOCOL_VERSION;

use super::views::{LinkDocument, LinksDocument, PlanDocument, TraceDocument, WorkersDocument};
use crate::clock::now;
use crate::gateway::messages::GetLinks;
use crate::gateway::{Admission, GatewayActor};
use crate::metrics::Metrics;
use crate::supervisor::{
    GetEvents, GetSnapshot, GetStatus, GetTrace, SetPolicy, Status, Supervisor, TraceLines,
};

/// What the handlers ask.
#[derive(Clone)]
pub struct AdminState {
    /// Decides.
    pub supervisor: Addr<Supervisor>,
    /// Has links of its own.
    pub gateway: Addr<GatewayActor>,
    /// This process's name.
    pub name: PeerName,
    /// Whether requests are admitted.
    pub admission: watch::Receiver<Admission>,
    /// Counts.
    pub metrics: Arc<Metrics>,
}

/// Mounts the routes.
pub fn configure(state: AdminState) -> impl FnOnce(&mut ServiceConfig) {
    move |config| {
        config
            .app_data(Data::new(state))
            .service(readable("/livez").route(web::get().to(livez)))
            .service(readable("/readyz").route(web::get().to(readyz)))
            .service(readable("/metrics").route(web::get().to(metrics)))
            .service(readable("/api/v1/version").route(web::get().to(version)))
            .service(readable("/api/v1/plan").route(web::get().to(plan)))
            .service(readable("/api/v1/workers").route(web::get().to(workers)))
            .service(readable("/api/v1/links").route(web::get().to(links)))
            .service(readable("/api/v1/snapshot").route(web::get().to(snapshot)))
            .service(readable("/api/v1/events").route(web::get().to(events)))
            .service(readable("/api/v1/trace").route(web::get().to(trace)))
            .service(web::resource("/api/v1/policy").route(web::put().to(set_policy)))
            .default_service(web::to(unknown));
    }
}

/// A path that can only be read; another method gets 405 and is told which one works.
fn readable(path: &str) -> actix_web::Resource {
    let refused = |request: HttpRequest| async move {
        let detail = format!("{} does not take {}; use GET", request.path(), request.method());
        let mut response = problem(StatusCode::METHOD_NOT_ALLOWED, "Method not allowed", &detail);
        let allow = actix_web::http::header::HeaderValue::from_static("GET");
        response.headers_mut().insert(actix_web::http::header::ALLOW, allow);
        response
    };
    web::resource(path).default_service(web::to(refused))
}

/// RFC 9457, section 3.
fn problem(status: StatusCode, title: &str, detail: &str) -> HttpResponse {
    let body = json!({ "type": "about:blank", "title": title, "status": status.as_u16(), "detail": detail });
    HttpResponse::build(status).content_type("application/problem+json").body(body.to_string())
}

async fn unknown(request: HttpRequest) -> HttpResponse {
    let detail = format!(
        "there is no {}; the routes are /livez, /readyz, /metrics and /api/v1/{{version,plan,workers,links,\
         snapshot,events,trace,policy}}",
        request.path()
    );
    problem(StatusCode::NOT_FOUND, "Unknown route", &detail)
}

async fn livez() -> HttpResponse {
    HttpResponse::Ok().body("ok\n")
}

async fn readyz(state: Data<AdminState>) -> HttpResponse {
    let unavailable = |why: &str| HttpResponse::ServiceUnavailable().body(format!("{why}\n"));
    if !state.supervisor.connected() || !state.gateway.connected() {
        return unavailable("an essential actor is gone; the process is about to end");
    }
    match *state.admission.borrow() {
        Admission::Open => HttpResponse::Ok().body("ok\n"),
        Admission::NoPlan => unavailable("no plan is committed"),
        Admission::Holding => unavailable("the plan has lost a worker; requests wait for the next one"),
        Admission::Draining => unavailable("the process is shutting down"),
    }
}

async fn metrics(state: Data<AdminState>) -> HttpResponse {
    HttpResponse::Ok().content_type(weir_shared::metrics::CONTENT_TYPE).body(state.metrics.text())
}

async fn version() -> HttpResponse {
    HttpResponse::Ok().json(json!({ "release": env!("CARGO_PKG_VERSION"), "protocol": PROTOCOL_VERSION }))
}

async fn plan(state: Data<AdminState>) -> HttpResponse {
    match status(&state).await {
        Ok(Status { plan: Some(plan), admitting, .. }) => {
            HttpResponse::Ok().json(PlanDocument::new(&plan, admitting))
        }
        Ok(Status { last_abort, .. }) => {
            let why =
                last_abort.map_or_else(String::new, |reason| format!(" The last attempt failed: {reason}"));
            problem(StatusCode::NOT_FOUND, "No plan", &format!("no plan is committed yet.{why}"))
        }
        Err(response) => response,
    }
}

async fn workers(state: Data<AdminState>) -> HttpResponse {
    match status(&state).await {
        Ok(status) => {
            let document = WorkersDocument::new(&status.cluster, status.plan.as_deref(), now());
            HttpResponse::Ok().json(document)
        }
        Err(response) => response,
    }
}

async fn links(state: Data<AdminState>) -> HttpResponse {
    let own = state.gateway.send(GetLinks).await.unwrap_or_default();
    match status(&state).await {
        Ok(status) => {
            let own = own.iter().filter(|link| link.open).map(|link| LinkDocument::new(&state.name, link));
            let others = status.cluster.links().filter(|(_, link)| link.open);
            let others = others.map(|(from, link)| LinkDocument::new(&from, link));
            HttpResponse::Ok().json(LinksDocument { links: own.chain(others).collect() })
        }
        Err(response) => response,
    }
}

async fn snapshot(state: Data<AdminState>) -> HttpResponse {
    match ask(&state, GetSnapshot).await {
        Ok(snapshot) => HttpResponse::Ok().json(&*snapshot),
        Err(response) => response,
    }
}

async fn events(state: Data<AdminState>) -> HttpResponse {
    match ask(&state, GetEvents).await {
        Ok(events) => HttpResponse::Ok().json(json!({ "events": events })),
        Err(response) => response,
    }
}

async fn set_policy(state: Data<AdminState>, text: String) -> HttpResponse {
    match ask(&state, SetPolicy(text)).await {
        Ok(Ok(())) => HttpResponse::Ok().json(json!({ "policy": "accepted" })),
        Ok(Err(reason)) => problem(StatusCode::BAD_REQUEST, "Unusable policy", &reason),
        Err(response) => response,
    }
}

#[derive(Deserialize)]
struct After {
    after: Option<u64>,
}

async fn trace(state: Data<AdminState>, query: Query<After>) -> HttpResponse {
    match ask(&state, GetTrace { after: query.after }).await {
        Ok(TraceLines { header, entries }) => HttpResponse::Ok()
            .json(TraceDocument { header, entries: entries.into_iter().map(Into::into).collect() }),
        Err(response) => response,
    }
}

async fn ask<M>(state: &AdminState, message: M) -> Result<M::Result, HttpResponse>
where
    M: actix::Message + Send + 'static,
    M::Result: Send,
    Supervisor: actix::Handler<M>,
{
    state.supervisor.send(message).await.map_err(|error| {
        let detail = format!("the supervisor does not answer: {error}");
        problem(StatusCode::SERVICE_UNAVAILABLE, "No supervisor", &detail)
    })
}

async fn status(state: &AdminState) -> Result<Status, HttpResponse> {
    ask(state, GetStatus).await
}
