//! Writing only what was read: ETags and `If-Match` (RFC 9110, sections 8.8.3 and 13.1.1; RFC 6585, section 3).

use actix_web::HttpRequest;
use actix_web::http::StatusCode;
use actix_web::http::header::IF_MATCH;

use super::problem::Problem;

/// What a client says that it has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// The very thing that is there.
    Current,
    /// It does not matter.
    Anything,
}

/// A strong ETag of a text.
pub fn etag(text: &str) -> String {
    let digest = weir_shared::digest::Digest::of(text.as_bytes()).to_string();
    format!("\"{}\"", digest.get(..16).unwrap_or(&digest))
}

/// Compares `If-Match` with the ETag of what is there.
pub fn if_match(request: &HttpRequest, current: Option<&str>) -> Result<Seen, Problem> {
    let said: Vec<&str> =
        request.headers().get_all(IF_MATCH).filter_map(|value| value.to_str().ok()).collect();
    let mut tags = said
        .iter()
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|tag| !tag.is_empty())
        .peekable();
    if tags.peek().is_none() {
        let detail = format!(
            "say what you have seen: If-Match with the ETag of GET {}, or If-Match: * to write whatever is there",
            request.path()
        );
        return Err(Problem::new(StatusCode::PRECONDITION_REQUIRED, "If-Match is missing", detail));
    }
    for tag in tags {
        if tag == "*" {
            return Ok(Seen::Anything);
        }
        if Some(tag) == current {
            return Ok(Seen::Current);
        }
    }
    Err(changed(current))
}

/// 412.
pub fn changed(current: Option<&str>) -> Problem {
    let now = current.map_or_else(String::new, |tag| format!("; its ETag is {tag} now"));
    let detail = format!("it has changed since it was read{now}: read it again");
    Problem::new(StatusCode::PRECONDITION_FAILED, "Changed meanwhile", detail)
}
