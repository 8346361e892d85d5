//! What a person watches: steps as they are done, then the stream. On a terminal a table that changes in place,
//! elsewhere a line every two seconds.
//!
//! Colours and cursor movements are indicatif's, which heeds `NO_COLOR`; a file or a pipe sees plain lines only.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::observe::Observed;
use super::render::{indented, links, stages};
use super::stream::Look;
use crate::terminal::say;
use crate::terminal::table::milliseconds;

/// How often a line is printed where nothing can be changed in place.
const LINE_PERIOD: Duration = Duration::from_secs(2);

/// As often as the stream is looked at.
const REDRAWS_PER_SECOND: u8 = 8;

/// The stream as it is watched.
#[derive(Debug)]
pub enum Display {
    /// In place, on a terminal.
    Live(Live),
    /// Line by line, elsewhere.
    Lines {
        /// When the last line was printed.
        last: Option<Instant>,
    },
}

/// The table on the terminal: a bar, and below it lines that are replaced.
#[derive(Debug)]
pub struct Live {
    screen: MultiProgress,
    bar: ProgressBar,
    lines: Vec<ProgressBar>,
}

impl Display {
    /// For whatever standard output is.
    pub fn new(total: usize) -> Self {
        let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        if !std::io::stdout().is_terminal() || is_dumb {
            return Self::Lines { last: None };
        }
        let screen = MultiProgress::with_draw_target(ProgressDrawTarget::stdout_with_hz(REDRAWS_PER_SECOND));
        let bar = screen.add(ProgressBar::new(total as u64));
        // The template is constant; were it ever wrong, indicatif's own bar is good enough.
        let style = ProgressStyle::with_template("  {bar:30.cyan} {pos}/{len}  {elapsed}  {msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self::Live(Live { screen, bar, lines: Vec::new() })
    }

    /// Shows the stream as it is now.
    pub fn show(&mut self, look: &Look<'_>, observed: &Observed) {
        match self {
            Self::Live(live) => live.show(look, observed),
            Self::Lines { last } => {
                if last.is_none_or(|last| last.elapsed() >= LINE_PERIOD) {
                    *last = Some(Instant::now());
                    say(&format!("  {}", line(look)));
                }
            }
        }
    }

    /// Leaves the terminal as it was before the stream.
    pub fn finish(self) {
        if let Self::Live(live) = self {
            // A terminal that is gone needs no clearing.
            let _ = live.screen.clear();
        }
    }
}

impl Live {
    fn show(&mut self, look: &Look<'_>, observed: &Observed) {
        self.bar.set_position(look.tally.sent() as u64);
        self.bar.set_message(figures(look));
        let mut texts = vec![String::new()];
        texts.extend(indented(stages(&observed.stages)));
        texts.push(String::new());
        texts.extend(indented(links(&observed.links)));
        while self.lines.len() < texts.len() {
            let line = self.screen.add(ProgressBar::new(0));
            // Cut off at the terminal's edge: a line that wraps would tear the table.
            line.set_style(
                ProgressStyle::with_template("{wide_msg}").unwrap_or_else(|_| ProgressStyle::default_bar()),
            );
            self.lines.push(line);
        }
        for (line, text) in self.lines.iter().zip(texts.into_iter().chain(std::iter::repeat(String::new()))) {
            line.set_message(text);
        }
    }
}

/// `312/1000 images  34.1/s  latency ms p50 110 p90 140 p99 190  0 different  0 failed`
fn line(look: &Look<'_>) -> String {
    format!("{:>5}/{} images  {}", look.tally.sent(), look.total, figures(look))
}

fn figures(look: &Look<'_>) -> String {
    let (tally, latency) = (look.tally, look.tally.latency_ms());
    let per_second = tally.ok() as f64 / look.elapsed.as_secs_f64().max(1e-3);
    let [p50, p90, p99] = [latency.p50, latency.p90, latency.p99].map(milliseconds);
    let (different, failed) = (tally.different(), tally.failed());
    format!(
        "{per_second:.1}/s  latency ms p50 {p50} p90 {p90} p99 {p99}  {different} different  {failed} failed"
    )
}

#[cfg(test)]
mod tests {
    use super::super::tally::Tally;
    use super::*;

    #[test]
    fn a_line_tells_how_far_and_how_well() {
        let look =
            Look { total: 10, elapsed: Duration::from_secs(1), tally: &Tally::default(), reading: None };
        let expect = "    0/10 images  0.0/s  latency ms p50 0.00 p90 0.00 p99 0.00  0 different  0 failed";
        assert_eq!(line(&look), expect);
    }
}
