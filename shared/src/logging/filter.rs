//! What is logged: the levels, checked and changeable.
//!
//! A filter is a list of directives with commas between: a level for everything (`info`), or one for a part of the program
//! (`weir_worker::stage=debug`). The library behind it takes nearly any word for the name of a part, so a misspelt
//! level would silence everything; here it is refused.

use std::sync::{Mutex, OnceLock, PoisonError};

use tracing_subscriber::filter::Directive;
use tracing_subscriber::{EnvFilter, Registry, reload};

/// What is logged when `WEIR_LOG` is not set. The HTTP server tells of every thread and socket at INFO.
const DEFAULT: &str = "info,actix_server=warn";

/// The most characters of a filter: some dozens of directives.
const LENGTH_MAX: usize = 2048;

const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

static RUNNING: OnceLock<Running> = OnceLock::new();

struct Running {
    text: Mutex<String>,
    handle: reload::Handle<EnvFilter, Registry>,
}

/// Why a filter is not used. Nothing has changed then.
#[derive(Debug, thiserror::Error)]
pub enum FilterError {
    /// Nothing would be logged, and nobody said so.
    #[error("the filter is empty; write a level such as info, or off")]
    Empty,
    /// Too long.
    #[error("the filter has {0} characters; at most {LENGTH_MAX} are read")]
    Length(usize),
    /// A word that is no level.
    #[error(
        "{0:?} is no level; known are off, error, warn, info, debug and trace, and for one part of the program part=level"
    )]
    NoLevel(String),
    /// No part of a program is called like that.
    #[error("{0:?} is no part of a program, such as actix_server::worker; write level or part=level")]
    NoPart(String),
    /// Something else is wrong with a directive.
    #[error("{directive:?} is no directive; write level or part=level")]
    Directive {
        /// As given.
        directive: String,
        /// What the library says.
        #[source]
        source: tracing_subscriber::filter::ParseError,
    },
    /// Nothing is logged in this process.
    #[error("this process keeps no log")]
    NoLog,
}

/// The filter of `WEIR_LOG`, or the default with the reason why.
pub(super) fn first() -> (reload::Layer<EnvFilter, Registry>, Option<FilterError>) {
    let wanted = std::env::var("WEIR_LOG").unwrap_or_else(|_| DEFAULT.to_owned());
    let (text, refused) = match check(&wanted) {
        Ok(()) => (wanted, None),
        Err(error) => (DEFAULT.to_owned(), Some(error)),
    };
    let (layer, handle) = reload::Layer::new(EnvFilter::new(&text));
    // A second start is not used, and its handle neither.
    let _ = RUNNING.set(Running { text: Mutex::new(text), handle });
    (layer, refused)
}

/// What is logged now; none in a process without a log.
pub fn filter() -> Option<String> {
    RUNNING.get().map(|running| running.text.lock().unwrap_or_else(PoisonError::into_inner).clone())
}

/// Logs by another filter from now on.
///
/// # Errors
/// Names the directive that cannot be meant; nothing has changed then.
pub fn set_filter(text: &str) -> Result<(), FilterError> {
    check(text)?;
    let running = RUNNING.get().ok_or(FilterError::NoLog)?;
    let mut current = running.text.lock().unwrap_or_else(PoisonError::into_inner);
    running.handle.reload(EnvFilter::new(text)).map_err(|_| FilterError::NoLog)?;
    text.clone_into(&mut current);
    Ok(())
}

fn check(text: &str) -> Result<(), FilterError> {
    if text.len() > LENGTH_MAX {
        return Err(FilterError::Length(text.len()));
    }
    if text.trim().is_empty() {
        return Err(FilterError::Empty);
    }
    for directive in text.split(',').map(str::trim) {
        let level = directive.rsplit_once('=').map_or(directive, |(_, level)| level);
        // A directive about the fields of a span ends with a bracket and may have no level.
        if !directive.ends_with(']') && !LEVELS.iter().any(|known| level.eq_ignore_ascii_case(known)) {
            return Err(FilterError::NoLevel(level.to_owned()));
        }
        let part = directive.rsplit_once('=').map_or("", |(part, _)| part);
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_:-".contains(&byte);
        if !directive.contains('[') && !part.bytes().all(plain) {
            return Err(FilterError::NoPart(part.to_owned()));
        }
        let parsed = directive.parse::<Directive>();
        parsed.map_err(|source| FilterError::Directive { directive: directive.to_owned(), source })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_for_all_and_for_parts_are_taken() {
        for text in
            ["info", "OFF", "info,weir_worker::stage=debug", "warn, quinn=off", "info,[request]=trace"]
        {
            assert!(check(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_meant_is_named() {
        let long = "info,".repeat(500);
        for (text, expect) in [
            ("", "is empty"),
            ("inof", "\"inof\" is no level"),
            ("info,weir_worker", "\"weir_worker\" is no level"),
            ("info,weir_worker=loud", "\"loud\" is no level"),
            ("info,,debug", "\"\" is no level"),
            ("info,a b=debug", "\"a b\" is no part"),
            (&long, "at most 2048"),
        ] {
            let found = check(text).map_err(|error| error.to_string());
            assert!(found.as_ref().is_err_and(|error| error.contains(expect)), "{text}: {found:?}");
        }
    }
}
