//! The description of the API, made from the code, and the page that shows it.

use actix_web::HttpResponse;
use actix_web::http::header::LOCATION;
use actix_web::web::{self, Data, ServiceConfig};
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{Content, Ref, ResponseBuilder};
use utoipa::{Modify, OpenApi};
use utoipa_swagger_ui::{Config, SwaggerUi};

use super::access::Access;
use super::problem::Problem;
use super::views::NumberedEntry;
use super::{health, history, log_level, operate, policy, read, solve, stream};

/// Where the description is.
pub const PATH: &str = "/api/v1/openapi.json";

/// The routes under `/api/v1`.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Weir's admin API",
        description = "What the cluster looks like and does, and what a person may tell it. Errors are RFC 9457 problem documents. \
                       Readings that are missing are null or absent, never 0."
    ),
    paths(
        health::version,
        log_level::get,
        log_level::put,
        read::state,
        read::plan,
        read::workers,
        read::worker,
        read::links,
        read::snapshot,
        history::plans,
        history::events,
        history::trace,
        stream::events,
        operate::apply_plan,
        solve::solve_plan,
        solve::front,
        policy::policy,
        policy::set_policy,
        policy::pins,
        policy::set_pins,
        operate::force,
        operate::pause,
        operate::resume,
        operate::cordon,
        operate::drain,
        operate::uncordon,
    ),
    components(schemas(Problem, NumberedEntry)),
    tags(
        (name = "look", description = "What the cluster looks like, now and before"),
        (name = "plan", description = "The plan, and what it is chosen by"),
        (name = "workers", description = "Keeping workers out of plans"),
    ),
    modifiers(&Common)
)]
struct Description;

/// What every route may answer besides, and how a client says who it is.
struct Common;

impl Modify for Common {
    fn modify(&self, api: &mut utoipa::openapi::OpenApi) {
        let bearer = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        api.components.get_or_insert_default().add_security_scheme("token", bearer);
        let token = utoipa::openapi::security::SecurityRequirement::new("token", Vec::<String>::new());
        for (path, item) in &mut api.paths.paths {
            let methods = [&mut item.get, &mut item.put, &mut item.post];
            for operation in methods.into_iter().flatten() {
                if path != "/api/v1/version" {
                    operation.security.get_or_insert_default().push(token.clone());
                    refuse(operation, "401", "A token is needed, or it is none of this server's");
                    refuse(operation, "403", "Not with this token, or not from there");
                }
                refuse(operation, "400", "The path, the query or the body cannot be read");
                if operation.request_body.is_some() {
                    refuse(operation, "413", "The body is too large");
                    refuse(operation, "415", "The body is of another type");
                }
                refuse(operation, "500", "A fault of the server");
                refuse(operation, "503", "Not now; try again");
            }
        }
    }
}

fn refuse(operation: &mut Operation, status: &str, description: &str) {
    let problem = Content::new(Some(Ref::from_schema_name("Problem")));
    let response = ResponseBuilder::new().description(description);
    let response = response.content("application/problem+json", problem).build();
    operation.responses.responses.entry(status.to_owned()).or_insert_with(|| response.into());
}

/// The description; where tokens decide, routes ask for one.
fn document(access: &Access) -> utoipa::openapi::OpenApi {
    let mut document = Description::openapi();
    if !access.has_tokens() {
        for item in document.paths.paths.values_mut() {
            let methods = [&mut item.get, &mut item.put, &mut item.post];
            methods.into_iter().flatten().for_each(|operation| operation.security = None);
        }
    }
    document
}

async fn description(access: Data<Access>) -> HttpResponse {
    HttpResponse::Ok().json(document(&access))
}

async fn to_page() -> HttpResponse {
    HttpResponse::PermanentRedirect().insert_header((LOCATION, "/docs/")).finish()
}

/// Mounts the description and its page; `at` makes a resource that refuses other methods.
pub fn configure(config: &mut ServiceConfig, at: fn(&str, &'static str) -> actix_web::Resource) {
    config
        .service(at(PATH, "GET").route(web::get().to(description)))
        .service(at("/docs", "GET").route(web::get().to(to_page)))
        .service(SwaggerUi::new("/docs/{_:.*}").config(Config::from(PATH)));
}
