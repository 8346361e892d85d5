//! Lines on standard output, printed at once.

use std::io::Write as _;

/// Steps stand under one another up to here.
const STEP_WIDTH: usize = 20;

/// Prints a line now. A reader that has gone away is no reason to stop: the report is written all the same.
pub fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// Prints that a step is done, and what came of it.
pub fn step(name: &str, outcome: &str) {
    say(&format!("  {name:<STEP_WIDTH$} {outcome}"));
}
