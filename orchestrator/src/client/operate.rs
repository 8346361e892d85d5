//! Changes a cluster through the admin API: workers, plan, policy, pins.

use std::time::Duration;

use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, IF_MATCH};
use serde_json::Value;

use super::admin::{AdminClient, AdminError};

/// Planning may take some seconds on a large cluster.
const PLANNING: Duration = Duration::from_secs(120);

/// A text with the tag that names its state, for a change that is refused if somebody else was faster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tagged<T> {
    /// The content.
    pub content: T,
    /// Its ETag, with quotes.
    pub etag: Option<String>,
}

/// Content types of what is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A policy or a plan file.
    Toml,
    /// Everything else.
    Json,
}

impl Form {
    const fn media_type(self) -> &'static str {
        match self {
            Self::Toml => "application/toml",
            Self::Json => "application/json",
        }
    }
}

impl AdminClient {
    /// Asks for something to be done, and returns what is answered.
    ///
    /// # Errors
    /// If the orchestrator does not answer, or refuses.
    pub async fn post(&self, path: &str, body: Option<&Value>) -> Result<Value, AdminError> {
        let request = self.http.request(Method::POST, self.url(path)).timeout(PLANNING);
        let request = match body {
            Some(body) => request.header(CONTENT_TYPE, Form::Json.media_type()).body(body.to_string()),
            None => request,
        };
        let answer = self.exchange(path, request).await?;
        self.json(path, &answer.body)
    }

    /// The text at `path` and its tag.
    ///
    /// # Errors
    /// As [`post`](Self::post).
    pub async fn tagged(&self, path: &str) -> Result<Tagged<String>, AdminError> {
        let answer = self.exchange(path, self.http.get(self.url(path))).await?;
        let content = String::from_utf8_lossy(&answer.body).into_owned();
        Ok(Tagged { content, etag: answer.etag })
    }

    /// Puts `text` at `path`; only if what is there still has the tag `if_match`, where one is given.
    ///
    /// # Errors
    /// As [`post`](Self::post).
    pub async fn replace(
        &self,
        path: &str,
        form: Form,
        text: String,
        if_match: Option<&str>,
    ) -> Result<Tagged<Value>, AdminError> {
        let request = self.http.put(self.url(path)).timeout(PLANNING);
        let request = request.header(CONTENT_TYPE, form.media_type()).body(text);
        let request = match if_match {
            Some(etag) => request.header(IF_MATCH, etag),
            None => request,
        };
        let answer = self.exchange(path, request).await?;
        Ok(Tagged { content: self.json(path, &answer.body)?, etag: answer.etag })
    }
}
