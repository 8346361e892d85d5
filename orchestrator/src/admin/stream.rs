//! What happens, as it happens: server-sent events (HTML, section 9.2).
//!
//! A follower that is slow is not waited for and costs no memory: each asks for what is new when its connection takes
//! more. Streams end when the process is told to stop, so that they do not hold it up.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use actix_web::web::{Bytes, Data, Query};
use actix_web::{HttpRequest, HttpResponse};
use futures_util::stream::{self, Stream};
use serde::{Deserialize, Serialize};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep_until};
use utoipa::IntoParams;

use super::problem::Problem;
use super::state::{AdminState, FOLLOWERS_MAX, ask, document};
use crate::gateway::Admission;
use crate::supervisor::{Cursor, GetNews};

/// How often the state is sent.
const STATE: Duration = Duration::from_secs(1);

/// How often a comment is sent, so that both ends notice a connection that is gone.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// What a browser is told to wait before it connects again.
const RETRY_MS: u64 = 1_000;

/// `?cursor=ID`: as the header `Last-Event-ID`, for the first connection of a browser, which cannot send one.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct From {
    /// Where to begin: an event's id.
    cursor: Option<String>,
}

struct Follower {
    state: AdminState,
    after: Option<Cursor>,
    revision: Option<u64>,
    next_state: Instant,
    next_heartbeat: Instant,
    _place: OwnedSemaphorePermit,
}

/// What happens, as it happens: server-sent events `log`, `plan`, and each second `state`.
#[utoipa::path(
    get, path = "/api/v1/events/stream", tag = "look", operation_id = "events_stream_get",
    params(From, ("Last-Event-ID" = Option<String>, Header, description = "The last event that was seen")),
    responses(
        (status = 200, description = "Until either end closes", body = String, content_type = "text/event-stream"),
    )
)]
pub async fn events(
    request: HttpRequest,
    state: Data<AdminState>,
    query: Query<From>,
) -> Result<HttpResponse, Problem> {
    let Ok(place) = state.followers.clone().try_acquire_owned() else {
        let detail = format!("{FOLLOWERS_MAX} clients follow already; close one, or ask /api/v1/events");
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "Too many followers", detail));
    };
    let header = request.headers().get("last-event-id").and_then(|value| value.to_str().ok());
    let seen = header.or(query.cursor.as_deref()).filter(|id| !id.is_empty());
    // An id of no known form is of some other start: all that is kept is told.
    let unknown = || Cursor::parse("0-0");
    let follower = Follower {
        after: seen.and_then(|id| Cursor::parse(id).or_else(unknown)),
        revision: None,
        next_state: Instant::now(),
        next_heartbeat: Instant::now() + HEARTBEAT,
        state: (**state).clone(),
        _place: place,
    };
    let greeting = Bytes::from(format!("retry: {RETRY_MS}\n\n"));
    let greeted = stream::once(std::future::ready(Ok::<_, actix_web::Error>(greeting)));
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/event-stream"))
        .insert_header((CACHE_CONTROL, "no-cache, no-transform"))
        .insert_header(("x-accel-buffering", "no"))
        .streaming(futures_util::StreamExt::chain(greeted, follow(follower))))
}

fn follow(follower: Follower) -> impl Stream<Item = Result<Bytes, actix_web::Error>> {
    stream::unfold(follower, |mut follower| async move {
        loop {
            let text = follower.next().await?;
            if !text.is_empty() {
                return Some((Ok(Bytes::from(text)), follower));
            }
        }
    })
}

impl Follower {
    /// What to send next, perhaps nothing; none at the end.
    async fn next(&mut self) -> Option<String> {
        let first = self.revision.is_none();
        if !first {
            let (news, admission) = (&mut self.state.news, &mut self.state.admission);
            tokio::select! {
                changed = news.changed() => changed.ok()?,
                changed = admission.changed() => changed.ok()?,
                () = sleep_until(self.next_state.min(self.next_heartbeat)) => {}
            }
        }
        if *self.state.admission.borrow() == Admission::Draining {
            return None;
        }
        let mut text = self.news().await?;
        let now = Instant::now();
        if now >= self.next_state {
            self.next_state = now + STATE;
            text += &event("state", None, &document(&self.state).await.ok()?);
        }
        if now >= self.next_heartbeat {
            self.next_heartbeat = now + HEARTBEAT;
            text += ": still here\n\n";
        }
        Some(text)
    }

    async fn news(&mut self) -> Option<String> {
        let asked = GetNews { after: self.after.take(), revision: self.revision };
        let news = ask(&self.state, asked).await.ok()?;
        let events = news.events.iter().map(|found| event("log", Some(&found.id), found));
        let plans = news.plans.iter().map(|record| event("plan", None, record));
        let text = events.chain(plans).collect();
        (self.after, self.revision) = (Some(news.after), Some(news.revision));
        Some(text)
    }
}

/// One event; JSON has no line ends outside its strings, where they are escaped.
fn event(kind: &str, id: Option<&str>, data: &impl Serialize) -> String {
    let id = id.map_or_else(String::new, |id| format!("id: {id}\n"));
    let data = serde_json::to_string(data).unwrap_or_default();
    format!("event: {kind}\n{id}data: {data}\n\n")
}
