//! Every answer other than 200: its status, its headers, and the body `{"error": "..."}`.
//!
//! Clients show the text to a person, so each says what was wrong and what to do instead.

use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{ACCEPT_ENCODING, ALLOW, RETRY_AFTER};
use serde_json::json;

use super::backend::InferFailure;
use super::body::BodyError;
use super::request::RequestError;
use super::response::AnswerError;

/// Without a plan, a client that asks again every second notices one soon and costs nothing.
const RETRY_WITHOUT_PLAN: Duration = Duration::from_secs(1);

/// A process that ends lets its last requests finish first, and its successor needs a plan.
const RETRY_AFTER_RESTART: Duration = Duration::from_secs(5);

/// Why a request got no answer.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The body could not be read.
    #[error(transparent)]
    Body(#[from] BodyError),
    /// The body is not a request.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The network in the URL is not served.
    #[error("unknown model {name:?}: this server serves {served:?}")]
    UnknownModel {
        /// From the URL.
        name: String,
        /// What there is.
        served: String,
    },
    /// The version in the URL is not served.
    #[error("unknown version {version:?} of model {name:?}: this server serves version {served:?}")]
    UnknownVersion {
        /// From the URL.
        version: String,
        /// The network.
        name: String,
        /// What there is.
        served: String,
    },
    /// No such path.
    #[error("there is no {path:?} here: the Open Inference Protocol v2 is served under /v2, see GET /v2")]
    UnknownRoute {
        /// From the request.
        path: String,
    },
    /// The path is known, the method not.
    #[error("{method} is not allowed on {path:?}: use {allowed}")]
    Method {
        /// From the request.
        method: String,
        /// From the request.
        path: String,
        /// What there is.
        allowed: &'static str,
    },
    /// Part of the protocol that Weir has no use for.
    #[error("loading and unloading is not supported: which network is served is set when the cluster starts")]
    RepositoryControl,
    /// The gateway has no logits.
    #[error(transparent)]
    Infer(#[from] InferFailure),
    /// The logits could not be written.
    #[error(transparent)]
    Answer(#[from] AnswerError),
}

impl ApiError {
    /// The status of the answer.
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::Body(BodyError::TooLarge { .. }) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Body(BodyError::Encoding { .. }) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Body(BodyError::TooSlow { .. }) => StatusCode::REQUEST_TIMEOUT,
            Self::Body(BodyError::HeaderLength { .. } | BodyError::Broken { .. })
            | Self::Request(_)
            | Self::RepositoryControl => StatusCode::BAD_REQUEST,
            Self::UnknownModel { .. } | Self::UnknownVersion { .. } | Self::UnknownRoute { .. } => {
                StatusCode::NOT_FOUND
            }
            Self::Method { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Self::Infer(InferFailure::DeadlineExceeded { .. }) => StatusCode::GATEWAY_TIMEOUT,
            Self::Infer(InferFailure::Overloaded { .. } | InferFailure::NoPlan | InferFailure::Draining) => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::Infer(InferFailure::Failed { .. }) | Self::Answer(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// When the client should try again, where trying again helps.
    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Infer(InferFailure::Overloaded { retry_after }) => Some(*retry_after),
            Self::Infer(InferFailure::NoPlan) => Some(RETRY_WITHOUT_PLAN),
            Self::Infer(InferFailure::Draining) => Some(RETRY_AFTER_RESTART),
            _ => None,
        }
    }
}

impl actix_web::ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        self.status()
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status());
        if let Some(wait) = self.retry_after() {
            // RFC 9110, section 10.2.3: whole seconds. Rounded up, so that nobody comes too early.
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            response.insert_header((RETRY_AFTER, seconds.max(1).to_string()));
        }
        match self {
            Self::Method { allowed, .. } => drop(response.insert_header((ALLOW, *allowed))),
            // RFC 7694, section 3: a 415 because of the encoding lists what is accepted.
            Self::Body(BodyError::Encoding { .. }) => {
                response.insert_header((ACCEPT_ENCODING, "identity"));
            }
            _ => (),
        }
        response.json(json!({ "error": self.to_string() }))
    }
}
