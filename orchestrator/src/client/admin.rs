//! Asks the orchestrator's admin API, once and with a time limit.

use std::time::Duration;

use reqwest::header::ETAG;
use reqwest::{RequestBuilder, Response, StatusCode, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::admin::views::{LinksDocument, PlanDocument, TraceDocument, WorkersDocument};
use crate::planner::snapshot::Snapshot;

/// The admin API answers from memory; one that takes longer than this is stuck or out of reach.
const TIMEOUT: Duration = Duration::from_secs(5);

/// More than any answer has: a plan of ResNet-152 is a few kilobytes.
const ANSWER_MAX_BYTES: usize = 4 << 20;

/// A client of one orchestrator.
#[derive(Debug, Clone)]
pub struct AdminClient {
    pub(super) base: Url,
    pub(super) http: reqwest::Client,
    token: Option<String>,
}

/// What came back.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) body: Vec<u8>,
    /// Names the state of what was asked for.
    pub(super) etag: Option<String>,
}

/// `GET /api/v1/version`, as far as it matters here.
#[derive(Debug, Deserialize)]
struct VersionAnswer {
    release: String,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The address is none that can be asked.
    #[error("{url:?} is not an address of an admin API; write it as http://host:port")]
    Address {
        /// As given.
        url: String,
    },
    /// No HTTP client could be made.
    #[error("cannot set up an HTTP client")]
    Client(#[source] reqwest::Error),
    /// Nobody answers there.
    #[error(
        "no orchestrator answers at {base}; start weir-orchestrator, or name its --admin address with --admin URL \
         (WEIR_ADMIN_URL)"
    )]
    Unreachable {
        /// Who was asked.
        base: Url,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// It wants a token, or another one.
    #[error(
        "the orchestrator does not let this through: {detail}; name a file with a token with --token-file \
         (WEIR_TOKEN_FILE)"
    )]
    Unauthorised {
        /// In the orchestrator's words.
        detail: String,
    },
    /// It answered that it cannot.
    #[error("{path}: {detail}")]
    Refused {
        /// What was asked for.
        path: String,
        /// The HTTP status.
        status: StatusCode,
        /// In the orchestrator's words.
        detail: String,
    },
    /// What it answered is not what its admin API answers.
    #[error(
        "{base} answered {path} with something else than this release of weir expects; is this the --admin address of a \
         weir-orchestrator, of the same release?"
    )]
    Answer {
        /// Who was asked.
        base: Url,
        /// What was asked for.
        path: String,
        /// What does not fit.
        #[source]
        source: serde_json::Error,
    },
    /// The answer is longer than any of its admin API.
    #[error(
        "{base} answered with more than {ANSWER_MAX_BYTES} bytes; is this the --admin address of a weir-orchestrator?"
    )]
    TooLong {
        /// Who was asked.
        base: Url,
    },
}

impl AdminClient {
    /// A client of the admin API at `base`, such as `http://127.0.0.1:7610`.
    ///
    /// # Errors
    /// If that is no HTTP address.
    pub fn new(base: &str) -> Result<Self, AdminError> {
        let bad = || AdminError::Address { url: base.to_owned() };
        let base = Url::parse(base).map_err(|_| bad())?;
        if base.scheme() != "http" || !base.has_host() {
            return Err(bad());
        }
        // The environment's proxy is for the internet, not for the machine next door.
        let http = reqwest::Client::builder().timeout(TIMEOUT).no_proxy().build();
        Ok(Self { base, http: http.map_err(AdminError::Client)?, token: None })
    }

    /// The same with a token for an orchestrator that asks for one.
    #[must_use]
    pub fn with_token(self, token: Option<String>) -> Self {
        Self { token, ..self }
    }

    /// The committed plan, or in the orchestrator's words why there is none.
    ///
    /// # Errors
    /// If there is no answer, or not one that is understood.
    pub async fn plan(&self) -> Result<Result<PlanDocument, String>, AdminError> {
        match self.get("/api/v1/plan").await {
            Err(AdminError::Refused { status: StatusCode::NOT_FOUND, detail, .. }) => Ok(Err(detail)),
            found => found.map(Ok),
        }
    }

    /// The planner's input as it is now.
    ///
    /// # Errors
    /// As [`plan`](Self::plan).
    pub async fn snapshot(&self) -> Result<Snapshot, AdminError> {
        self.get("/api/v1/snapshot").await
    }

    /// What the rules of re-planning were told and decided behind the entry of number `after`.
    ///
    /// # Errors
    /// As [`plan`](Self::plan).
    pub async fn trace(&self, after: Option<u64>) -> Result<TraceDocument, AdminError> {
        let query = after.map_or_else(String::new, |after| format!("?after={after}"));
        self.get(&format!("/api/v1/trace{query}")).await
    }

    /// All workers.
    ///
    /// # Errors
    /// As [`plan`](Self::plan).
    pub async fn workers(&self) -> Result<WorkersDocument, AdminError> {
        self.get("/api/v1/workers").await
    }

    /// All links.
    ///
    /// # Errors
    /// As [`plan`](Self::plan).
    pub async fn links(&self) -> Result<LinksDocument, AdminError> {
        self.get("/api/v1/links").await
    }

    /// Whether requests would be admitted now, and in the orchestrator's words why not.
    ///
    /// # Errors
    /// If there is no answer.
    pub async fn readiness(&self) -> Result<Result<(), String>, AdminError> {
        match self.body("/readyz").await {
            Ok(_) => Ok(Ok(())),
            Err(AdminError::Refused { status: StatusCode::SERVICE_UNAVAILABLE, detail, .. }) => {
                Ok(Err(detail))
            }
            Err(error) => Err(error),
        }
    }

    /// The orchestrator's release.
    ///
    /// # Errors
    /// As [`plan`](Self::plan).
    pub async fn release(&self) -> Result<String, AdminError> {
        let version: VersionAnswer = self.get("/api/v1/version").await?;
        Ok(version.release)
    }

    /// Whatever JSON is at `path`.
    ///
    /// # Errors
    /// As [`plan`](Self::plan).
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, AdminError> {
        self.json(path, &self.body(path).await?)
    }

    /// Puts a text at `path`, whatever is there, and returns the JSON that comes back.
    ///
    /// # Errors
    /// As [`plan`](Self::plan).
    pub async fn put<T: DeserializeOwned>(&self, path: &str, text: String) -> Result<T, AdminError> {
        let put = self.http.put(self.url(path)).header(reqwest::header::IF_MATCH, "*").body(text);
        let answer = self.exchange(path, put).await?;
        self.json(path, &answer.body)
    }

    pub(super) fn json<T: DeserializeOwned>(&self, path: &str, body: &[u8]) -> Result<T, AdminError> {
        let answer = |source| AdminError::Answer { base: self.base.clone(), path: path.to_owned(), source };
        serde_json::from_slice(body).map_err(answer)
    }

    /// Whatever text is at `path`.
    ///
    /// # Errors
    /// As [`plan`](Self::plan).
    pub async fn text(&self, path: &str) -> Result<String, AdminError> {
        Ok(String::from_utf8_lossy(&self.body(path).await?).into_owned())
    }

    async fn body(&self, path: &str) -> Result<Vec<u8>, AdminError> {
        Ok(self.exchange(path, self.http.get(self.url(path))).await?.body)
    }

    /// The address of `path`, which may have a query.
    pub(super) fn url(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
        url.set_path(path);
        url.set_query(query);
        url
    }

    /// Sends a request with the token, and returns what comes back at once: the head of the answer.
    pub(super) async fn send(&self, request: RequestBuilder) -> Result<Response, AdminError> {
        let request = match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        };
        request.send().await.map_err(|source| AdminError::Unreachable { base: self.base.clone(), source })
    }

    /// Sends a request and reads the whole answer.
    pub(super) async fn exchange(&self, path: &str, request: RequestBuilder) -> Result<Answer, AdminError> {
        let response = self.send(request).await?;
        self.read(path, response).await
    }

    /// The whole answer; an error if it is a refusal.
    pub(super) async fn read(&self, path: &str, mut response: Response) -> Result<Answer, AdminError> {
        let unreachable = |source| AdminError::Unreachable { base: self.base.clone(), source };
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            if body.len() + chunk.len() > ANSWER_MAX_BYTES {
                return Err(AdminError::TooLong { base: self.base.clone() });
            }
            body.extend_from_slice(&chunk);
        }
        let status = response.status();
        if status.is_success() {
            let etag = response.headers().get(ETAG).and_then(|etag| etag.to_str().ok());
            return Ok(Answer { body, etag: etag.map(str::to_owned) });
        }
        let detail = detail(status, &body);
        match status {
            StatusCode::UNAUTHORIZED => Err(AdminError::Unauthorised { detail }),
            _ => Err(AdminError::Refused { path: path.to_owned(), status, detail }),
        }
    }
}

/// The words for people in a refusal: RFC 9457, section 3.1, or the text itself.
fn detail(status: StatusCode, body: &[u8]) -> String {
    let problem: Option<serde_json::Value> = serde_json::from_slice(body).ok();
    let field = |name: &str| problem.as_ref()?.get(name)?.as_str().map(str::to_owned);
    let text = || {
        let text = String::from_utf8_lossy(body).trim().chars().take(200).collect::<String>();
        (!text.is_empty() && problem.is_none()).then_some(text)
    };
    field("detail")
        .or_else(|| field("title"))
        .or_else(text)
        .unwrap_or_else(|| format!("HTTP status {status}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_without_http_is_refused_with_the_form_to_write() {
        for url in ["127.0.0.1:7610", "https://weir", "main", ""] {
            let error = AdminClient::new(url).unwrap_err().to_string();
            assert!(error.contains("http://host:port"), "{url}: {error}");
        }
        assert!(AdminClient::new("http://127.0.0.1:7610").is_ok());
    }

    #[test]
    fn a_query_stays_a_query() {
        let client = AdminClient::new("http://127.0.0.1:7610").unwrap();
        assert_eq!(
            client.url("/api/v1/trace?after=3").as_str(),
            "http://127.0.0.1:7610/api/v1/trace?after=3"
        );
    }

    #[test]
    fn a_refusal_is_told_in_the_words_of_the_orchestrator() {
        let check =
            |body: &str, expect: &str| assert_eq!(detail(StatusCode::NOT_FOUND, body.as_bytes()), expect);
        check(r#"{"title":"No plan","detail":"no plan is committed yet"}"#, "no plan is committed yet");
        check(r#"{"title":"No plan"}"#, "No plan");
        check("gone fishing\n", "gone fishing");
        check("", "HTTP status 404 Not Found");
        check("{}", "HTTP status 404 Not Found");
    }
}
