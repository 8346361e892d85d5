//! Reads the body of an inference request into memory, no further than the largest sound request goes.
//!
//! `Content-Type` is not looked at: Triton's clients send none.

use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, HeaderMap};
use actix_web::web::{Bytes, BytesMut, Payload};
use futures_util::StreamExt;
use tokio::time::timeout;

use super::backend::ModelInfo;
use super::request::HEADER_LENGTH;

/// For all of a request but its numbers: names, shape, parameters and an id of the client's choice.
const SLACK_BYTES: usize = 64 * 1024;

/// The longest number in JSON: a double takes up to 24 characters, Python writes a comma and a space behind.
const JSON_NUMBER_BYTES: usize = 26;

/// A body must arrive within this time. The largest one of ResNet-20 then still passes at 0.5 Mbit/s, and a
/// client that sends a byte now and then does not hold its buffer for ever.
const BODY_TIMEOUT: Duration = Duration::from_secs(60);

/// A body, and where its JSON ends.
#[derive(Debug)]
pub struct Body {
    /// Everything that was sent.
    pub bytes: Bytes,
    /// The header `Inference-Header-Content-Length`, if it was sent.
    pub json_length: Option<usize>,
}

/// Why a body could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// More bytes than any sound request has.
    #[error(
        "the body has more than the {limit} bytes of the largest request: send at most {max_batch} images"
    )]
    TooLarge {
        /// The limit for this form of request.
        limit: usize,
        /// The most images.
        max_batch: u16,
    },
    /// The body is compressed.
    #[error("Content-Encoding {encoding:?} is not supported: send the body uncompressed")]
    Encoding {
        /// As sent.
        encoding: String,
    },
    /// The header is not a number.
    #[error("{HEADER_LENGTH} is {value:?}: state the bytes of the JSON part as a decimal number")]
    HeaderLength {
        /// As sent.
        value: String,
    },
    /// It took too long.
    #[error("the body did not arrive within {} s: send it faster, or fewer images at once", limit.as_secs())]
    TooSlow {
        /// What is allowed.
        limit: Duration,
    },
    /// The connection ended within it.
    #[error("the body could not be read: {reason}")]
    Broken {
        /// From the HTTP layer.
        reason: String,
    },
}

/// Reads the body of `request`.
///
/// # Errors
/// If it is too large, compressed, too slow or cut off.
pub async fn read(request: &HttpRequest, payload: Payload, model: &ModelInfo) -> Result<Body, BodyError> {
    let headers = request.headers();
    refuse_encoding(headers)?;
    let json_length = json_length(headers)?;
    let limit = body_limit(json_length, model);
    let too_large = BodyError::TooLarge { limit, max_batch: model.max_batch };
    // The server has checked that this header is a number; chunked bodies have none.
    let announced: Option<usize> =
        headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()).and_then(|text| text.parse().ok());
    if announced.is_some_and(|length| length > limit) {
        return Err(too_large);
    }
    let collected = collect(payload, announced.unwrap_or(0), limit, too_large);
    let bytes =
        timeout(BODY_TIMEOUT, collected).await.unwrap_or(Err(BodyError::TooSlow { limit: BODY_TIMEOUT }))?;
    Ok(Body { bytes, json_length })
}

/// Bytes of the largest sound body in the form that the header announces.
fn body_limit(json_length: Option<usize>, model: &ModelInfo) -> usize {
    SLACK_BYTES
        + match json_length {
            Some(_) => usize::from(model.max_batch) * model.image_bytes(),
            None => model.max_elements() * JSON_NUMBER_BYTES,
        }
}

async fn collect(
    mut payload: Payload,
    announced: usize,
    limit: usize,
    too_large: BodyError,
) -> Result<Bytes, BodyError> {
    let mut body = BytesMut::with_capacity(announced);
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|error| BodyError::Broken { reason: error.to_string() })?;
        if chunk.len() > limit - body.len() {
            return Err(too_large);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

fn refuse_encoding(headers: &HeaderMap) -> Result<(), BodyError> {
    for value in headers.get_all(CONTENT_ENCODING) {
        if !value.as_bytes().eq_ignore_ascii_case(b"identity") {
            return Err(BodyError::Encoding { encoding: shown(value.as_bytes()) });
        }
    }
    Ok(())
}

fn json_length(headers: &HeaderMap) -> Result<Option<usize>, BodyError> {
    let Some(value) = headers.get(HEADER_LENGTH) else {
        return Ok(None);
    };
    let length = value.to_str().ok().and_then(|text| text.parse().ok());
    length.map(Some).ok_or_else(|| BodyError::HeaderLength { value: shown(value.as_bytes()) })
}

fn shown(value: &[u8]) -> String {
    String::from_utf8_lossy(value).into_owned()
}
