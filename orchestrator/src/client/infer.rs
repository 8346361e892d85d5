//! Sends images to the gateway over the Open Inference Protocol v2, in binary form, on connections kept alive.

use std::time::Duration;

use bytes::Bytes;
use reqwest::header::HeaderMap;
use reqwest::{Method, Url};
use serde::Deserialize;
use serde_json::json;
use weir_shared::arch::Shape;

use crate::gateway::oip::handlers::TIMING_HEADER;
use crate::gateway::oip::request::{HEADER_LENGTH, RequestError};
use crate::gateway::oip::tensor;

/// A client of one network. Clones share their connections.
#[derive(Debug, Clone)]
pub struct InferClient {
    url: Url,
    http: reqwest::Client,
    /// The JSON before the tensor: the same for every image.
    json: Bytes,
    image: Shape,
}

/// The answer to one image.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// One number for each class, image by image.
    pub logits: Vec<f32>,
    /// The plan on which the request ran, as `term.epoch`.
    pub plan: String,
    /// How often it was sent into the pipeline, from 1.
    pub attempts: u8,
    /// How long it waited at the gateway, milliseconds; none where the gateway does not say.
    pub queue_ms: Option<f64>,
    /// Whether a part of the network was left out because a worker is lost.
    pub degraded: bool,
    /// The accuracy to expect of a degraded answer, where the gateway says so.
    pub expected_accuracy: Option<f64>,
}

/// The answer's JSON, as far as it is read here.
#[derive(Debug, Default, Deserialize)]
struct AnswerJson {
    #[serde(default)]
    parameters: AnswerParameters,
}

#[derive(Debug, Default, Deserialize)]
struct AnswerParameters {
    #[serde(default)]
    degraded: bool,
    expected_accuracy: Option<f64>,
}

/// Why there are no logits.
#[derive(Debug, thiserror::Error)]
pub enum InferError {
    /// No HTTP client could be made.
    #[error("cannot set up an HTTP client")]
    Client(#[source] reqwest::Error),
    /// The address is no URL.
    #[error("{address:?} is not the address of a gateway; write it as http://host:port")]
    Address {
        /// As given.
        address: String,
    },
    /// The image is of another size.
    #[error("an image has {found} numbers, but the network takes {expected}; take another data set")]
    Image {
        /// Numbers of the image.
        found: usize,
        /// Numbers that the network takes.
        expected: usize,
    },
    /// Nobody answers at the address.
    #[error(
        "no gateway answers at {address}; start weir-orchestrator, or name its --http address with --http URL \
         (WEIR_HTTP_URL)"
    )]
    Silent {
        /// Who was asked.
        address: String,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// Somebody else answers there.
    #[error(
        "what answers at {address} is no gateway of Weir; name the --http address of a weir-orchestrator"
    )]
    Stranger {
        /// Who was asked.
        address: String,
    },
    /// The gateway is out of reach, or too slow.
    #[error("the gateway does not answer")]
    Unreachable(#[from] reqwest::Error),
    /// The gateway said no.
    #[error("the gateway answered {status}: {reason}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// In the gateway's words.
        reason: String,
    },
    /// A header that every answer carries is not there.
    #[error(
        "the answer has no usable header {name}; is a weir-orchestrator of this release behind the address?"
    )]
    Header {
        /// Which.
        name: &'static str,
    },
    /// The part before the tensor is not JSON.
    #[error("the answer's JSON cannot be read; is a weir-orchestrator of this release behind the address?")]
    Json(#[source] serde_json::Error),
    /// The tensor is not numbers.
    #[error("the answer's tensor cannot be read")]
    Tensor(#[from] RequestError),
}

impl InferClient {
    /// A client for `model` at the gateway's `address` (`host:port`), one image of shape `image` at a time, each
    /// within `timeout`.
    ///
    /// # Errors
    /// If the address is no address.
    pub fn new(address: &str, model: &str, image: Shape, timeout: Duration) -> Result<Self, InferError> {
        let bad = |_| InferError::Address { address: address.to_owned() };
        let url = Url::parse(&format!("http://{address}/v2/models/{model}/infer")).map_err(bad)?;
        let http = reqwest::Client::builder().timeout(timeout).no_proxy().tcp_nodelay(true).build();
        Ok(Self { url, http: http.map_err(InferError::Client)?, json: request_json(image, 1), image })
    }

    /// The logits of images of `[channels, height, width]` in one request, image by image.
    ///
    /// # Errors
    /// If the gateway does not answer in time, refuses, or answers with something else.
    pub async fn infer(&self, images: &[f32]) -> Result<Answer, InferError> {
        let expected = self.image.elements();
        if images.is_empty() || !images.len().is_multiple_of(expected) {
            return Err(InferError::Image { found: images.len(), expected });
        }
        let json = match images.len() / expected {
            1 => self.json.clone(),
            batch => request_json(self.image, batch),
        };
        let mut body = Vec::with_capacity(json.len() + size_of_val(images));
        body.extend_from_slice(&json);
        tensor::fp32_to_le(images, &mut body);
        let request = self.http.request(Method::POST, self.url.clone());
        let response = request.header(HEADER_LENGTH, json.len()).body(body).send().await?;
        let status = response.status();
        let headers = response.headers().clone();
        let body = response.bytes().await?;
        if !status.is_success() {
            return Err(InferError::Refused { status: status.as_u16(), reason: reason(&body) });
        }
        let json_length: usize = header(&headers, HEADER_LENGTH)?;
        let (json, raw) =
            body.split_at_checked(json_length).ok_or(InferError::Header { name: HEADER_LENGTH })?;
        let told: AnswerJson = serde_json::from_slice(json).map_err(InferError::Json)?;
        Ok(Answer {
            logits: tensor::fp32_from_le(raw)?,
            plan: header(&headers, "weir-plan")?,
            attempts: header(&headers, "weir-attempts")?,
            queue_ms: queue_ms(&header::<String>(&headers, TIMING_HEADER)?),
            degraded: told.parameters.degraded,
            expected_accuracy: told.parameters.expected_accuracy,
        })
    }
}

fn request_json(image: Shape, batch: usize) -> Bytes {
    let request = json!({
        "inputs": [{
            "name": "input",
            "datatype": "FP32",
            "shape": [batch, image.channels as usize, image.height as usize, image.width as usize],
            "parameters": { "binary_data_size": batch * image.elements() * tensor::FP32_BYTES },
        }],
        "outputs": [{ "name": "logits", "parameters": { "binary_data": true } }],
    });
    request.to_string().into()
}

fn header<T: std::str::FromStr>(headers: &HeaderMap, name: &'static str) -> Result<T, InferError> {
    let value = headers.get(name).and_then(|value| value.to_str().ok());
    value.and_then(|text| text.parse().ok()).ok_or(InferError::Header { name })
}

/// Of `queue;dur=0.123, compute;dur=20.5`.
fn queue_ms(timing: &str) -> Option<f64> {
    timing.split(", ").find_map(|one| one.strip_prefix("queue;dur=")?.parse().ok())
}

/// The protocol's error bodies are `{"error": "..."}`.
fn reason(body: &[u8]) -> String {
    let json: Option<serde_json::Value> = serde_json::from_slice(body).ok();
    let told = json.as_ref().and_then(|json| json.get("error")?.as_str()).map(str::to_owned);
    told.unwrap_or_else(|| String::from_utf8_lossy(body).chars().take(200).collect())
}
