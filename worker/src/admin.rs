//! The worker's HTTP side: `/livez`, `/readyz` and `/metrics`. It changes nothing.

use std::net::SocketAddr;
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

/// The port cannot be had.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on TCP {address}; if the port is in use, stop the other program or choose another --admin")]
pub struct AdminError {
    address: SocketAddr,
    #[source]
    source: std::io::Error,
}

/// Serves the routes at `address`. Returns the server, which runs once it is awaited, and the bound address.
///
/// # Errors
/// If the port cannot be had.
pub fn serve(address: SocketAddr, state: AdminState) -> Result<(Server, SocketAddr), AdminError> {
    let failed = |source| AdminError { address, source };
    let app = move || {
        App::new()
            .app_data(web::Data::new(state.clone()))
            .route("/livez", web::get().to(livez))
            .route("/readyz", web::get().to(readyz))
            .route("/metrics", web::get().to(metrics))
    };
    // One thread is plenty for probes and a scraper, and keeps the cores for the network.
    let server = HttpServer::new(app).workers(1).disable_signals().bind(address).map_err(failed)?;
    let bound = server.addrs().first().copied().unwrap_or(address);
    Ok((server.run(), bound))
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
    HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body(state.metrics.text())
}
