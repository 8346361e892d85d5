//! `report.html`: one file with its drawings in it and nothing to download, for people who were not there.
//!
//! `chart` draws, `table` lists, `style` is how it looks on paper white and at night, on a wide screen and on a
//! phone. Pure: a report goes in, text comes out.

mod chart;
mod style;
mod table;

use chart::escape;

use super::report::StoryReport;
use crate::demo::scenario::RunKind;
use crate::terminal::table::milliseconds;

/// The whole page.
pub fn html(report: &StoryReport) -> String {
    let title = escape(&report.scenario.title);
    let kinds = report.runs.iter().map(|run| run.figures.kind);
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\">\
         <title>Weir: {title}</title>\n<style>{}</style></head>\n<body><main>\n<h1>{title}</h1>\n<p>{}</p>\n{}{}{}\
         <div class=\"charts\">\n{}</div>\n{}{}{}</main></body></html>\n",
        style::CSS,
        lead(report),
        table::problems(report),
        table::runs(report),
        chart::legend(kinds),
        chart::all(report),
        table::story(report),
        table::targets(report),
        table::details(report),
    )
}

/// What it comes to, in a few sentences.
fn lead(report: &StoryReport) -> String {
    let of = |kind: RunKind| report.runs.iter().map(|run| &run.figures).find(|figures| figures.kind == kind);
    let Some(adaptive) = of(RunKind::Adaptive) else { return String::new() };
    let mut text = format!(
        "{} over {} workers on emulated links, {:.0} s for each run. Adaptive: {} of {} requests answered, {} of them bit \
         for bit as the unsplit network under the same plan answers, {} ms on average.",
        escape(&report.scenario.network),
        report.scenario.workers.len(),
        report.scenario.duration_seconds,
        adaptive.answered,
        adaptive.sent,
        adaptive.equal,
        milliseconds(adaptive.latency_ms.mean),
    );
    for (kind, words) in
        [(RunKind::Static, "The plan that was best in the beginning"), (RunKind::Alone, "One worker alone")]
    {
        if let Some(other) = of(kind) {
            text += &format!(
                " {words}: {} of {} answered, {} ms.",
                other.answered,
                other.sent,
                milliseconds(other.latency_ms.mean)
            );
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::measure::tests::example;
    use super::super::report::StoryReport;
    use super::super::targets::Runs;
    use super::*;
    use crate::demo::scenario::Scenario;
    use std::path::Path;

    #[test]
    fn the_page_stands_alone_and_escapes_what_others_wrote() {
        let text = "version = 1\nname = \"t\"\ntitle = \"<b>links & lanes\"\nduration_seconds = 10\n[load]\nrequests_per_second = 10\n\
                    [[worker]]\nname = \"camera\"\n";
        let scenario = Scenario::parse(text, Path::new("t.toml")).unwrap();
        let (run, basis) = example();
        let report = StoryReport::new(&scenario, &basis, Runs { story: &[run], ..Runs::default() });
        let page = html(&report);
        assert!(page.contains("&lt;b&gt;links &amp; lanes") && !page.contains("<b>"));
        for outside in ["http:", "https:", "src=", "<script", "@import", "url("] {
            assert!(!page.contains(outside), "{outside}");
        }
        assert_eq!(page.matches("<figure>").count(), 7);
        assert!(!page.contains("NaN") && !page.contains(">inf"));
    }
}
