//! The routes of the admin port.

use actix_web::web::{self, Data, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, Resource};

use super::problem::{refuse_method, unknown};
use super::state::AdminState;
use super::{
    health, history, input, log_level, openapi, operate, page, policy, read, readiness, solve, stream,
};

/// Mounts the routes.
pub fn configure(state: AdminState) -> impl FnOnce(&mut ServiceConfig) {
    move |config| {
        config
            .app_data(Data::new(state))
            .service(at("/livez", "GET").route(web::get().to(health::livez)))
            .service(at("/readyz", "GET").route(web::get().to(readiness::readyz)))
            .service(at("/metrics", "GET").route(web::get().to(health::metrics)))
            .configure(input::configure)
            .configure(reading)
            .configure(steering)
            .configure(|config| openapi::configure(config, at))
            .configure(page::configure)
            .default_service(web::to(unknown));
    }
}

/// What only looks.
fn reading(config: &mut ServiceConfig) {
    config
        .service(at("/api/v1/version", "GET").route(web::get().to(health::version)))
        .service(at("/api/v1/state", "GET").route(web::get().to(read::state)))
        .service(at("/api/v1/workers", "GET").route(web::get().to(read::workers)))
        .service(at("/api/v1/workers/{name}", "GET").route(web::get().to(read::worker)))
        .service(at("/api/v1/links", "GET").route(web::get().to(read::links)))
        .service(at("/api/v1/snapshot", "GET").route(web::get().to(read::snapshot)))
        .service(at("/api/v1/plans", "GET").route(web::get().to(history::plans)))
        .service(at("/api/v1/events", "GET").route(web::get().to(history::events)))
        .service(at("/api/v1/events/stream", "GET").route(web::get().to(stream::events)))
        .service(at("/api/v1/trace", "GET").route(web::get().to(history::trace)));
}

/// What changes something, beside what reads the same thing.
fn steering(config: &mut ServiceConfig) {
    config
        .service(
            at("/api/v1/log-level", "GET, PUT")
                .route(web::get().to(log_level::get))
                .route(web::put().to(log_level::put)),
        )
        .service(
            at("/api/v1/plan", "GET, PUT")
                .route(web::get().to(read::plan))
                .route(web::put().to(operate::apply_plan)),
        )
        .service(at("/api/v1/plan/solve", "POST").route(web::post().to(solve::solve_plan)))
        .service(at("/api/v1/pareto", "GET").route(web::get().to(solve::front)))
        .service(
            at("/api/v1/policy", "GET, PUT")
                .route(web::get().to(policy::policy))
                .route(web::put().to(policy::set_policy)),
        )
        .service(
            at("/api/v1/pins", "GET, PUT")
                .route(web::get().to(policy::pins))
                .route(web::put().to(policy::set_pins)),
        )
        .service(at("/api/v1/replanning/force", "POST").route(web::post().to(operate::force)))
        .service(at("/api/v1/replanning/pause", "POST").route(web::post().to(operate::pause)))
        .service(at("/api/v1/replanning/resume", "POST").route(web::post().to(operate::resume)))
        .service(at("/api/v1/workers/{name}/cordon", "POST").route(web::post().to(operate::cordon)))
        .service(at("/api/v1/workers/{name}/drain", "POST").route(web::post().to(operate::drain)))
        .service(at("/api/v1/workers/{name}/uncordon", "POST").route(web::post().to(operate::uncordon)));
}

/// A path; a method that is not `allowed` gets 405 and is told which ones are.
fn at(path: &str, allowed: &'static str) -> Resource {
    let refused =
        move |request: HttpRequest| async move { Err::<HttpResponse, _>(refuse_method(&request, allowed)) };
    web::resource(path).default_service(web::to(refused))
}
