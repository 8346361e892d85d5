//! Follows what happens in a cluster: server-sent events (HTML, section 9.2), again after every break.

use std::collections::VecDeque;
use std::time::Duration;

use reqwest::Response;

use super::admin::{AdminClient, AdminError};

const PATH: &str = "/api/v1/events/stream";

/// A stream is asked for without an end.
const FOREVER: Duration = Duration::from_secs(10 * 365 * 86_400);

/// The orchestrator says something each second. One that is silent for so long is gone.
const SILENCE: Duration = Duration::from_secs(20);

/// An event is a state of the cluster at most.
const EVENT_MAX_BYTES: usize = 16 << 20;

/// One event of the stream.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ServerEvent {
    /// `log`, `plan` or `state`.
    pub kind: String,
    /// Where to go on behind it; empty where it does not say.
    pub id: String,
    /// JSON.
    pub data: String,
}

/// A stream of events that is open.
#[derive(Debug)]
pub struct EventStream {
    response: Response,
    parser: Parser,
    ready: VecDeque<ServerEvent>,
}

impl AdminClient {
    /// Opens the stream behind the event `last_id`, or from now on.
    ///
    /// # Errors
    /// If the orchestrator does not answer, or refuses.
    pub async fn follow(&self, last_id: Option<&str>) -> Result<EventStream, AdminError> {
        let request = self.http.get(self.url(PATH)).timeout(FOREVER).header("accept", "text/event-stream");
        let request = match last_id {
            Some(id) => request.header("last-event-id", id),
            None => request,
        };
        let response = self.send(request).await?;
        if !response.status().is_success() {
            self.read(PATH, response).await?;
            return Err(AdminError::TooLong { base: self.base.clone() });
        }
        Ok(EventStream { response, parser: Parser::default(), ready: VecDeque::new() })
    }
}

impl EventStream {
    /// The next event; none when the stream has ended or is silent.
    pub async fn next(&mut self) -> Option<ServerEvent> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            let chunk = tokio::time::timeout(SILENCE, self.response.chunk()).await.ok()?.ok()??;
            self.ready.extend(self.parser.push(&chunk)?);
        }
    }
}

/// Bytes to events. Pure.
#[derive(Debug, Default)]
struct Parser {
    line: Vec<u8>,
    event: ServerEvent,
    has_data: bool,
}

impl Parser {
    /// The events that are complete with `bytes`; none if one is far too long.
    fn push(&mut self, bytes: &[u8]) -> Option<Vec<ServerEvent>> {
        let mut done = Vec::new();
        for byte in bytes {
            match byte {
                b'\n' => done.extend(self.end_line()),
                byte => self.line.push(*byte),
            }
            if self.line.len() + self.event.data.len() > EVENT_MAX_BYTES {
                return None;
            }
        }
        Some(done)
    }

    fn end_line(&mut self) -> Option<ServerEvent> {
        let line = std::mem::take(&mut self.line);
        let line = String::from_utf8_lossy(&line);
        let line = line.trim_end_matches('\r');
        if line.is_empty() {
            let event = std::mem::take(&mut self.event);
            return std::mem::take(&mut self.has_data).then_some(event);
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.event.kind),
            "id" => value.clone_into(&mut self.event.id),
            "data" => {
                if self.has_data {
                    self.event.data.push('\n');
                }
                self.event.data.push_str(value);
                self.has_data = true;
            }
            // A comment, or a time to wait that is ours to choose.
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_read_however_they_are_cut() {
        let text = "retry: 1000\n\n: still here\n\nevent: log\r\nid: 7-1\r\ndata: {\"a\":\ndata: 1}\n\nevent: state\ndata:{}\n\n";
        let event = |kind: &str, id: &str, data: &str| ServerEvent {
            kind: kind.to_owned(),
            id: id.to_owned(),
            data: data.to_owned(),
        };
        let expect = [event("log", "7-1", "{\"a\":\n1}"), event("state", "", "{}")];
        for size in [1, 7, text.len()] {
            let mut parser = Parser::default();
            let found: Vec<_> =
                text.as_bytes().chunks(size).flat_map(|chunk| parser.push(chunk).unwrap()).collect();
            assert_eq!(found, expect, "cut after {size} bytes");
        }
    }

    #[test]
    fn an_endless_event_ends_the_stream() {
        let mut parser = Parser::default();
        let chunk = vec![b'x'; EVENT_MAX_BYTES / 2];
        assert!(parser.push(&chunk).is_some());
        assert!(parser.push(&chunk).is_some());
        assert!(parser.push(b"x").is_none());
    }
}
