//! A bar that says how far a long command is, on standard error and only on a terminal.

use std::io::IsTerminal as _;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar of `total` things called `what`; one that draws nothing where nobody watches.
pub fn bar(total: u64, what: &str) -> ProgressBar {
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    if dumb || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr());
    // The template is constant; were it ever wrong, indicatif's own bar is good enough.
    let style = ProgressStyle::with_template(&format!(
        "{{bar:30.cyan}} {{pos}}/{{len}} {what}  {{elapsed}}  {{msg}}"
    ));
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
