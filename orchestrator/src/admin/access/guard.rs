//! Stands in front of every route: lets through, or says what is missing.

use std::path::Path;
use std::sync::Arc;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{AUTHORIZATION, HOST, HeaderMap, HeaderValue, ORIGIN, WWW_AUTHENTICATE};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, HttpResponse, ResponseError as _};

use super::local::{is_local_host, is_local_peer, is_own_origin};
use super::need::{Need, need};
use super::tokens::{Role, TokenFile, TokenFileError};
use crate::admin::problem::Problem;

/// Who may do what. Without files, only this machine may do anything. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Access {
    viewers: Option<Arc<TokenFile>>,
    admins: Option<Arc<TokenFile>>,
}

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum Refusal {
    #[error("this route needs a token; send it as `Authorization: Bearer TOKEN` (weir --token-file FILE)")]
    NoToken,
    #[error("the token is not one of this server's; it may have been replaced")]
    WrongToken,
    #[error("the token is a viewer's, and this route needs an admin's")]
    ViewerOnly,
    #[error(
        "without a token, this is open to this machine only; start the orchestrator with --admin-token-file and \
         --viewer-token-file to open it to others"
    )]
    NotLocal,
    #[error(
        "without a token, `Host` must be localhost, 127.0.0.1 or [::1]; start the orchestrator with --admin-token-file and \
         --viewer-token-file to use another name"
    )]
    ForeignHost,
    #[error(
        "without a token, a page of another origin may change nothing; use this server's own page, or the command weir"
    )]
    ForeignOrigin,
}

impl Access {
    /// By the files of viewers' and of admins' tokens.
    ///
    /// # Errors
    /// If a file cannot be used.
    pub fn new(viewers: Option<&Path>, admins: Option<&Path>) -> Result<Self, TokenFileError> {
        let open = |path: Option<&Path>| path.map(TokenFile::open).transpose().map(|file| file.map(Arc::new));
        Ok(Self { viewers: open(viewers)?, admins: open(admins)? })
    }

    /// Whether tokens decide, rather than where a request comes from.
    pub const fn has_tokens(&self) -> bool {
        self.viewers.is_some() || self.admins.is_some()
    }

    /// The role in which the request may go on; none where it needs none.
    fn decide(&self, request: &ServiceRequest) -> Result<Option<Role>, Refusal> {
        let needed = match need(request.method(), request.path()) {
            Need::Public => return Ok(None),
            Need::View => Role::Viewer,
            Need::Change => Role::Admin,
        };
        if !self.has_tokens() {
            return local(request).map(|()| Some(Role::Admin));
        }
        let token = bearer(request.headers())?;
        // Both are asked, so that the time does not tell which of them has it.
        let has = |file: &Option<Arc<TokenFile>>| file.as_ref().is_some_and(|file| file.has(token));
        let role = match (has(&self.admins), has(&self.viewers)) {
            (true, _) => Role::Admin,
            (false, true) => Role::Viewer,
            (false, false) => return Err(Refusal::WrongToken),
        };
        if role < needed { Err(Refusal::ViewerOnly) } else { Ok(Some(role)) }
    }
}

/// Without tokens: this machine, by a name of its own, and no page of somebody else's.
fn local(request: &ServiceRequest) -> Result<(), Refusal> {
    // Not what proxies say in headers: anybody can write those.
    if !is_local_peer(request.peer_addr()) {
        return Err(Refusal::NotLocal);
    }
    let text = |name| request.headers().get(name).map(|value| value.to_str().unwrap_or_default());
    let host = text(HOST).unwrap_or_default();
    if !is_local_host(host) {
        return Err(Refusal::ForeignHost);
    }
    // A browser keeps what it reads from another origin's page by itself.
    let reads = [Method::GET, Method::HEAD].contains(request.method());
    match text(ORIGIN) {
        Some(origin) if !reads && !is_own_origin(origin, host) => Err(Refusal::ForeignOrigin),
        _ => Ok(()),
    }
}

/// RFC 6750, section 2.1. The scheme's case does not matter (RFC 9110, section 11.1).
fn bearer(headers: &HeaderMap) -> Result<&[u8], Refusal> {
    let mut sent = headers.get_all(AUTHORIZATION);
    let credentials = sent.next().ok_or(Refusal::NoToken)?.as_bytes();
    let (scheme, token) = credentials.split_at_checked(7).ok_or(Refusal::WrongToken)?;
    if sent.next().is_some() || !scheme.eq_ignore_ascii_case(b"Bearer ") {
        return Err(Refusal::WrongToken);
    }
    Ok(token.trim_ascii())
}

/// Middleware for all of the admin port: `App::new().app_data(Data::new(access)).wrap(from_fn(guard))`.
///
/// # Errors
/// Those of the routes behind it.
pub async fn guard(
    access: Data<Access>,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let role = match access.decide(&request) {
        Ok(role) => role,
        Err(refusal) => {
            let (method, path, peer) = (request.method(), request.path(), request.peer_addr());
            tracing::debug!(%method, path, ?peer, reason = ?refusal, "admin request refused");
            return Ok(request.into_response(refusal.response()));
        }
    };
    let changes = need(request.method(), request.path()) == Need::Change;
    let peer = request.peer_addr();
    let response = next.call(request).await?.map_into_boxed_body();
    if let Some(role) = role.filter(|_| changes) {
        let (asked, status) = (response.request(), response.status().as_u16());
        tracing::info!(method = %asked.method(), path = asked.path(), ?role, ?peer, status, "admin request");
    }
    Ok(response)
}

impl Refusal {
    /// RFC 9457, and for 401 RFC 6750, section 3.
    fn response(self) -> HttpResponse {
        let (status, title) = match self {
            Self::NoToken | Self::WrongToken => (StatusCode::UNAUTHORIZED, "Not authenticated"),
            _ => (StatusCode::FORBIDDEN, "Not allowed"),
        };
        let mut response = Problem::new(status, title, self.to_string()).error_response();
        let challenge = match self {
            Self::NoToken => "Bearer realm=\"weir\"",
            Self::WrongToken => "Bearer realm=\"weir\", error=\"invalid_token\"",
            _ => return response,
        };
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        response
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
