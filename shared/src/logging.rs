//! Logs, set up the same way in every binary: levels from `WEIR_LOG`, text or JSON on standard error.
//!
//! The levels can be changed while the process runs, by [`set_filter`]. [`span`] has the spans of traced requests.

mod filter;
#[cfg(feature = "otlp")]
mod otlp;
pub mod span;

use std::io::IsTerminal as _;

use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

pub use filter::{FilterError, filter, set_filter};

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// The format is neither `text` nor `json`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown log format {0:?}; known are text and json")]
pub struct UnknownFormat(String);

impl std::str::FromStr for LogFormat {
    type Err = UnknownFormat;

    fn from_str(text: &str) -> Result<Self, UnknownFormat> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            other => Err(UnknownFormat(other.to_owned())),
        }
    }
}

/// Starts logging for this process. A second call changes nothing, so tests may call it freely.
pub fn start(format: LogFormat) {
    let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let lines = tracing_subscriber::fmt::layer().with_ansi(colours).with_writer(std::io::stderr);
    let (levels, refused) = filter::first();
    let started = match format {
        LogFormat::Text => tracing_subscriber::registry().with(levels).with(lines).try_init(),
        LogFormat::Json => {
            tracing_subscriber::registry().with(levels).with(lines.json().flatten_event(true)).try_init()
        }
    };
    if let (Ok(()), Some(error)) = (started, refused) {
        tracing::warn!(error = %crate::chain(&error), "WEIR_LOG is not used");
    }
}
