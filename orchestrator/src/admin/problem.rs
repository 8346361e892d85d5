//! Errors as RFC 9457 problem documents: what is wrong, and what to do.

use std::fmt;

use actix_web::body::BoxBody;
use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, ResponseError};
use serde::Serialize;
use utoipa::ToSchema;

/// RFC 9457, section 3.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Problem {
    /// Always `about:blank`: the status says what kind of problem it is.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The same for all problems of a kind.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// What is wrong here, and what to do.
    detail: String,
    /// Sent with it.
    #[serde(skip)]
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Problem {
    /// A problem with `detail` about this very request.
    pub fn new(status: StatusCode, title: &'static str, detail: impl Into<String>) -> Self {
        Self {
            kind: "about:blank",
            title,
            status: status.as_u16(),
            detail: detail.into(),
            headers: Vec::new(),
        }
    }

    /// The same, sent with a header.
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// 400.
    pub fn bad(title: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, title, detail)
    }

    /// 422: it can be read, but not used.
    pub fn unusable(title: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, title, detail)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.title, self.detail)
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn error_response(&self) -> HttpResponse<BoxBody> {
        // Four plain fields can always be written.
        let body = serde_json::to_string(self).unwrap_or_default();
        let mut response = HttpResponse::build(self.status_code());
        for (name, value) in &self.headers {
            response.insert_header((name.clone(), value.clone()));
        }
        response.content_type("application/problem+json").body(body)
    }
}

/// 405, with the methods that work.
pub fn refuse_method(request: &HttpRequest, allowed: &'static str) -> Problem {
    let detail = format!("{} does not take {}; use {allowed}", request.path(), request.method());
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "Method not allowed", detail)
        .with_header(ALLOW, HeaderValue::from_static(allowed))
}

/// 404 for a path that is none.
pub async fn unknown(request: HttpRequest) -> Result<HttpResponse, Problem> {
    let detail = format!(
        "there is no {}; /api/v1/openapi.json lists the routes, and /livez, /readyz and /metrics are beside them",
        request.path()
    );
    Err(Problem::new(StatusCode::NOT_FOUND, "Unknown route", detail))
}
