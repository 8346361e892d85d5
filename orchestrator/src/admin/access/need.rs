//! What a request asks for, by method and path. Pure.

use actix_web::http::Method;

/// What a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Nothing: probes, metrics, the page and the description of the API.
    Public,
    /// To look, or to have something computed that changes nothing.
    View,
    /// To change something. Also what nobody has classified.
    Change,
}

/// Paths that anybody may read. Probes and scrapers have no token.
const PUBLIC: [&str; 8] = [
    "/",
    "/livez",
    "/readyz",
    "/metrics",
    "/favicon.ico",
    "/docs",
    "/api/v1/version",
    "/api/v1/openapi.json",
];

/// Folders of files that come with the program: the live page and the description of the API.
const PUBLIC_FOLDERS: [&str; 2] = ["/docs/", "/assets/"];

/// Paths that a viewer may read.
const VIEWED: [&str; 13] = [
    "/api/v1/state",
    "/api/v1/workers",
    "/api/v1/links",
    "/api/v1/plan",
    "/api/v1/plans",
    "/api/v1/pareto",
    "/api/v1/policy",
    "/api/v1/pins",
    "/api/v1/events",
    "/api/v1/events/stream",
    "/api/v1/log-level",
    "/api/v1/snapshot",
    "/api/v1/trace",
];

/// What `method` on `path` asks for, where `path` is as it was sent.
pub fn need(method: &Method, path: &str) -> Need {
    let reads = *method == Method::GET || *method == Method::HEAD;
    if reads && (PUBLIC.contains(&path) || is_file(path)) {
        Need::Public
    } else if reads && (VIEWED.contains(&path) || is_worker(path)) || is_question(method, path) {
        Need::View
    } else {
        Need::Change
    }
}

/// A plain path of one of the folders. What is escaped in it could mean another route to others than to us.
fn is_file(path: &str) -> bool {
    let plain = |rest: &str| !rest.contains(['%', '\\']) && rest.split('/').all(|part| part != "..");
    PUBLIC_FOLDERS.iter().any(|folder| path.strip_prefix(folder).is_some_and(plain))
}

/// `/api/v1/workers/{name}`, without what can be done to it.
fn is_worker(path: &str) -> bool {
    path.strip_prefix("/api/v1/workers/").is_some_and(|name| !name.is_empty() && !name.contains(['/', '%']))
}

/// A plan that is asked for and not rolled out.
fn is_question(method: &Method, path: &str) -> bool {
    *method == Method::POST && path == "/api/v1/plan/solve"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(method: &Method, path: &str, expected: Need) {
        assert_eq!(need(method, path), expected, "{method} {path}");
    }

    #[test]
    fn probes_metrics_and_files_ask_for_nothing() {
        for path in ["/", "/livez", "/readyz", "/metrics", "/api/v1/version", "/docs/", "/assets/page.js"] {
            check(&Method::GET, path, Need::Public);
            check(&Method::HEAD, path, Need::Public);
            check(&Method::POST, path, Need::Change);
        }
    }

    #[test]
    fn looking_asks_for_less_than_changing() {
        for path in ["/api/v1/workers/camera", "/api/v1/policy", "/api/v1/plan"] {
            check(&Method::GET, path, Need::View);
            check(&Method::PUT, path, Need::Change);
        }
        check(&Method::POST, "/api/v1/plan/solve", Need::View);
        check(&Method::POST, "/api/v1/workers/camera/drain", Need::Change);
    }

    #[test]
    fn what_nobody_classified_asks_for_everything() {
        for path in
            ["/api/v1/", "/api/v1/secrets", "/livez/", "/api/v1/workers/", "/api/v1/workers/a/b", "//"]
        {
            check(&Method::GET, path, Need::Change);
        }
    }

    #[test]
    fn no_detour_makes_a_route_public() {
        for path in
            ["/docs/../api/v1/plan", "/docs/%2e%2e/api/v1/plan", "/assets/..\\x", "/api/v1/workers/%2e"]
        {
            check(&Method::GET, path, Need::Change);
        }
        for method in [Method::OPTIONS, Method::TRACE, Method::CONNECT, Method::DELETE, Method::PATCH] {
            check(&method, "/livez", Need::Change);
        }
    }
}
