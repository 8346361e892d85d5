//! What clients send, read with limits: every mistake becomes a problem document that names it.

use std::future::Future;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::error::{JsonPayloadError, PayloadError};
use actix_web::http::StatusCode;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::web::{Bytes, JsonConfig, PathConfig, PayloadConfig, QueryConfig, ServiceConfig};
use actix_web::{Error, FromRequest, HttpRequest};
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};

use super::problem::Problem;

/// A policy and a plan are some kilobytes.
const TEXT_MAX_BYTES: usize = 256 << 10;

/// A snapshot of a hundred workers is some megabytes.
const JSON_MAX_BYTES: usize = 8 << 20;

/// A TOML document in the body: `application/toml`, or text of no other kind.
#[derive(Debug)]
pub struct Toml(pub String);

/// A JSON object in the body. Lists are none, though serde would read a structure from one.
#[derive(Debug)]
pub struct Object<T>(pub T);

impl<'de, T: DeserializeOwned> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let object = serde_json::Map::deserialize(deserializer)?;
        serde_json::from_value(object.into()).map(Self).map_err(D::Error::custom)
    }
}

/// Has mistakes in paths, queries and JSON bodies answered as problems.
pub fn configure(config: &mut ServiceConfig) {
    let json = JsonConfig::default().limit(JSON_MAX_BYTES).error_handler(|error, _| of_json(&error).into());
    let query =
        QueryConfig::default().error_handler(|error, _| Problem::bad("Bad query", error.to_string()).into());
    let path =
        PathConfig::default().error_handler(|error, _| Problem::bad("Bad path", error.to_string()).into());
    config.app_data(json).app_data(query).app_data(path).app_data(PayloadConfig::new(TEXT_MAX_BYTES));
}

impl FromRequest for Toml {
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Error>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let kind = request.headers().get(CONTENT_TYPE).map(|value| value.to_str().unwrap_or("?").to_owned());
        let body = Bytes::from_request(request, payload);
        Box::pin(async move {
            let essence = kind.as_deref().map(|kind| kind.split(';').next().unwrap_or_default().trim());
            if let Some(wrong) = essence.filter(|kind| !["application/toml", "text/plain"].contains(kind)) {
                let detail =
                    format!("the body is said to be {wrong}; send it with Content-Type: application/toml");
                return Err(
                    Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "Wrong content type", detail).into()
                );
            }
            let bytes = body.await.map_err(|error| of_payload(error.as_error::<PayloadError>()))?;
            let text = String::from_utf8(bytes.to_vec())
                .map_err(|_| Problem::bad("Bad body", "the body is not UTF-8, as TOML must be"))?;
            if text.trim().is_empty() {
                return Err(Problem::bad(
                    "Bad body",
                    "the body is empty; send the file, as with curl --data-binary @FILE",
                )
                .into());
            }
            Ok(Self(text))
        })
    }
}

fn of_payload(error: Option<&PayloadError>) -> Problem {
    match error {
        Some(PayloadError::Overflow) => too_large(TEXT_MAX_BYTES),
        Some(error) => Problem::bad("Bad body", error.to_string()),
        None => too_large(TEXT_MAX_BYTES),
    }
}

fn of_json(error: &JsonPayloadError) -> Problem {
    match error {
        JsonPayloadError::OverflowKnownLength { .. } | JsonPayloadError::Overflow { .. } => {
            too_large(JSON_MAX_BYTES)
        }
        JsonPayloadError::ContentType => {
            let detail = "send the body with Content-Type: application/json";
            Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "Wrong content type", detail)
        }
        JsonPayloadError::Deserialize(error) if error.is_data() => {
            Problem::unusable("Unusable body", error.to_string())
        }
        error => Problem::bad("Bad body", error.to_string()),
    }
}

fn too_large(most: usize) -> Problem {
    let detail = format!("the body has more than {most} bytes, the most that is read here");
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "Too large", detail)
}
