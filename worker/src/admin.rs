//! The worker's HTTP side: `/livez`, `/readyz` and `/metrics`. It changes nothing.

use std::net::TcpListener;
use std::sync::Arc;

use actix_web::dev::Server;
use actix_web::{App, HttpResponse, HttpServer, web};
use tokio::sync::watch;

use crate::control::SessionState;
use crate::metrics::Metrics;
use crate::plans::LivePlans;

/// What the handlers read.
#[derive(Clone)]
pub struct AdminState {
    /// Counts.
    pub metrics: Arc<Metrics>,
    /// Whether there is a session.
    pub session: SessionState,
    /// The plans that are alive.
    pub plans: watch::Receiver<Arc<LivePlans>>,
}

/// Serves the routes on a port that was taken before.
///
/// # Errors
/// If the system gives no thread.
pub fn serve(listener: TcpListener, state: AdminState) -> std::io::Result<Server> {
    let app = move || {
        App::new()
            .app_data(web::Data::new(state.clone()))
            .route("/livez", web::get().to(livez))
            .route("/readyz", web::get().to(readyz))
            .route("/metrics", web::get().to(metrics))
    };
    // One thread is plenty for probes and a scraper, and keeps the cores for the network.
    Ok(HttpServer::new(app).workers(1).disable_signals().listen(listener)?.run())
}

/// The process answers. It says nothing of peers: restarting this process would not mend them.
async fn livez() -> HttpResponse {
    HttpResponse::Ok().body("ok\n")
}

/// There is a session with the orchestrator. A worker without a plan is ready: it waits for one.
async fn readyz(state: web::Data<AdminState>) -> HttpResponse {
    let plans = state.plans.borrow().iter().count();
    if *state.session.borrow() {
        HttpResponse::Ok().body(format!("ok: {plans} live plans\n"))
    } else {
        HttpResponse::ServiceUnavailable().body("no session with the orchestrator\n")
    }
}

async fn metrics(state: web::Data<AdminState>) -> HttpResponse {
    HttpResponse::Ok().content_type(weir_shared::metrics::CONTENT_TYPE).body(state.metrics.text())
}
