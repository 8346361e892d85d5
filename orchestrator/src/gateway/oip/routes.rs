//! Which path leads where. Unknown paths and wrong methods get an error of the protocol, too.

use std::rc::Rc;

use actix_web::dev::HttpServiceFactory;
use actix_web::web::{self, ServiceConfig, ThinData};
use actix_web::{FromRequest, Handler, HttpRequest, Responder, Route};

use super::backend::InferBackend;
use super::error::ApiError;
use super::handlers;

/// Mounts the protocol: `App::new().configure(oip::configure(backend))`.
///
/// It answers every path under the app or scope that no other service takes, so it comes last.
pub fn configure(backend: Rc<dyn InferBackend>) -> impl FnOnce(&mut ServiceConfig) {
    move |config| {
        config.app_data(ThinData(backend));
        config.service(readable("/v2", handlers::server_metadata));
        config.service(readable("/v2/health/live", handlers::server_live));
        config.service(readable("/v2/health/ready", handlers::server_ready));
        // Before the route of a network, whose name could not be "stats" therefore.
        config.service(readable("/v2/models/stats", handlers::statistics));
        for model in ["/v2/models/{model}", "/v2/models/{model}/versions/{version}"] {
            config.service(readable(model, handlers::model_metadata));
            config.service(readable(&format!("{model}/ready"), handlers::model_ready));
            config.service(readable(&format!("{model}/config"), handlers::model_config));
            config.service(readable(&format!("{model}/stats"), handlers::statistics));
            config.service(callable(&format!("{model}/infer"), handlers::infer));
        }
        config.service(callable("/v2/repository/index", handlers::repository_index));
        config.service(callable("/v2/repository/models/{model}/load", handlers::repository_control));
        config.service(callable("/v2/repository/models/{model}/unload", handlers::repository_control));
        config.default_service(web::to(unknown_route));
    }
}

fn readable<F, Args>(path: &str, handler: F) -> impl HttpServiceFactory + use<F, Args>
where
    F: Handler<Args>,
    Args: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    web::resource(path)
        .route(web::get().to(handler.clone()))
        .route(web::head().to(handler))
        .default_service(wrong_method("GET, HEAD"))
}

fn callable<F, Args>(path: &str, handler: F) -> impl HttpServiceFactory + use<F, Args>
where
    F: Handler<Args>,
    Args: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    web::resource(path).route(web::post().to(handler)).default_service(wrong_method("POST"))
}

fn wrong_method(allowed: &'static str) -> Route {
    web::to(move |request: HttpRequest| async move {
        let (method, path) = (request.method().to_string(), request.path().to_owned());
        Err::<String, _>(ApiError::Method { method, path, allowed })
    })
}

async fn unknown_route(request: HttpRequest) -> Result<String, ApiError> {
    Err(ApiError::UnknownRoute { path: request.path().to_owned() })
}
