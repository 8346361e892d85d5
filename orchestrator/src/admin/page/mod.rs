//! The live page at the root of the admin port.
//!
//! Its files lie in `orchestrator/page` and are part of the program, so that a page always fits the API that it asks.
//! Nobody needs a token to see them: they say nothing about a cluster. What the page may do in a browser is stated with every
//! file: scripts and styles from here only, no connection to anywhere else, in nobody's frame.

mod files;
#[cfg(test)]
mod tests;

use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderValue, IF_NONE_MATCH, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, Resource};

use weir_shared::digest::Digest;

use super::problem::refuse_method;
use files::{FILES, File};

/// What a browser lets the page do: nothing that is not named here.
const SECURITY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
                        connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// The methods of a file.
const ALLOWED: &str = "GET, HEAD";

/// Mounts the page's files.
pub fn configure(config: &mut ServiceConfig) {
    for file in FILES {
        config.service(resource(file));
    }
}

fn resource(file: &'static File) -> Resource {
    // Made once for each thread of the server, not once for each request.
    let tag = format!("\"{}\"", Digest::of(file.text.as_bytes()));
    let answer = move |request: HttpRequest| std::future::ready(answer(&request, file, &tag));
    let refused =
        |request: HttpRequest| async move { Err::<HttpResponse, _>(refuse_method(&request, ALLOWED)) };
    web::resource(file.path)
        .route(web::get().to(answer.clone()))
        .route(web::head().to(answer))
        .default_service(web::to(refused))
}

/// The file, or 304 where the browser has it: after an update it asks for what has changed only.
fn answer(request: &HttpRequest, file: &File, tag: &str) -> HttpResponse {
    let known = request.headers().get(IF_NONE_MATCH).is_some_and(|known| is_among(tag, known));
    let mut response = if known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    response
        .insert_header((ETAG, tag))
        .insert_header((CACHE_CONTROL, "no-cache"))
        .insert_header((CONTENT_SECURITY_POLICY, SECURITY))
        .insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((REFERRER_POLICY, "no-referrer"));
    if known {
        return response.finish();
    }
    response.insert_header((CONTENT_TYPE, file.kind)).body(file.text)
}

/// Whether `tag` is one of an `If-None-Match`, compared weakly (RFC 9110, section 13.1.2).
fn is_among(tag: &str, known: &HeaderValue) -> bool {
    let known = known.to_str().unwrap_or_default().split(',').map(str::trim);
    known.map(|known| known.trim_start_matches("W/")).any(|known| known == tag || known == "*")
}
