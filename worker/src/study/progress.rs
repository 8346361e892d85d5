//! Progress on standard error: a bar with the time left where a person watches, nothing elsewhere.
//!
//! Standard output stays free for results, and logs stay free of half-drawn bars.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar of `length` steps; invisible unless standard error is a terminal.
pub fn bar(length: u64, title: &str) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(length), ProgressDrawTarget::stderr_with_hz(4));
    let template = "{prefix} [{bar:30}] {pos}/{len}, {eta} left {msg}";
    // The template is constant; were it ever wrong, the plain bar is good enough.
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    bar.set_style(style.progress_chars("=> "));
    bar.set_prefix(title.to_owned());
    bar
}
