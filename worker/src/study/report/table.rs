//! The tables of a report.

use std::fmt::Write as _;

use weir_shared::plan::{ActiveSet, Encoding};
use weir_shared::profile::schema::Among;
use weir_shared::profile::{ErrorSummary, Profile, Score, SetResult};

use crate::study::drawing::svg::escape;

/// A table with headings; the column of names is the first.
fn table(headings: &[&str], rows: &[Vec<String>]) -> String {
    let mut out = String::from("<div class=\"wide\"><table><thead><tr>");
    let class = |column: usize| if column == 0 { " class=\"name\"" } else { "" };
    // Writing to a string never fails.
    for (column, heading) in headings.iter().enumerate() {
        let _ = write!(out, "<th scope=\"col\"{}>{heading}</th>", class(column));
    }
    out.push_str("</tr></thead><tbody>");
    for row in rows {
        out.push_str("<tr>");
        for (column, cell) in row.iter().enumerate() {
            let _ = write!(out, "<td{}>{cell}</td>", class(column));
        }
        out.push_str("</tr>");
    }
    out.push_str("</tbody></table></div>");
    out
}

fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

fn score(score: Score) -> String {
    let interval = score.interval();
    let [value, low, high] = [score.accuracy(), interval.low, interval.high].map(|share| 100.0 * share);
    format!("{value:.2} % ({low:.2} to {high:.2})")
}

const SET_HEADINGS: [&str; 6] = [
    "off",
    "operations dropped",
    "bytes saved",
    "validation accuracy (95 %)",
    "test accuracy (95 %)",
    "points lost on test",
];

fn set_row(profile: &Profile, set: &SetResult) -> Vec<String> {
    let document = profile.document();
    let given_up = || format!("given up after {} validation images", set.validation.count());
    vec![
        format!("<code>{}</code>", escape(&set.off).replace(',', ",<wbr>")),
        percent(1.0 - set.macs_kept),
        percent(1.0 - set.bytes_kept),
        score(set.validation),
        set.test.map_or_else(given_up, score),
        set.test.map_or_else(String::new, |test| format!("{:.2}", test.points_below(document.full_test))),
    ]
}

/// The most that can go within a loss, by what is saved.
pub fn best(profile: &Profile) -> String {
    let goals = [
        (Among::Branches, "Most operations dropped"),
        (Among::Shortcuts, "Most bytes saved"),
        (Among::Joint, "Most of both"),
    ];
    let mut out = String::from(
        "<section><h2>Best sets</h2><p class=\"note\">For each loss on the validation split, the set that saves most. \
         Chosen there; the test figures are not flattered by the choice.</p>",
    );
    for (saving, title) in goals {
        let row = |best: &super::Best<'_>| {
            let mut row = set_row(profile, best.set);
            row[0] = format!("at most {} points: {}", best.limit, row[0]);
            row
        };
        let rows: Vec<_> = super::best(profile, saving).iter().map(row).collect();
        let _ = write!(out, "<h3>{title}</h3>");
        if rows.is_empty() {
            out.push_str("<p class=\"note\">No measured set loses 10 points or fewer.</p>");
        } else {
            out.push_str(&table(&SET_HEADINGS, &rows));
        }
    }
    out + "</section>"
}

/// The orders of dropping, step by step.
pub fn orders(profile: &Profile) -> String {
    let network = profile.document().network.network();
    let mut out = String::new();
    for order in &profile.document().orders {
        let title = match order.among {
            Among::Branches => "Order of residual branches",
            Among::Shortcuts => "Order of shortcuts",
            Among::Joint => "Order of both, by what is lost for what is saved",
        };
        let row = |k: usize| {
            let set = ActiveSet::parse(&order.connections[..k].join(","), &network).ok()?;
            let mut row = set_row(profile, profile.measured(&set)?);
            row[0] = format!("{k}. <code>{}</code>", escape(&order.connections[k - 1]));
            Some(row)
        };
        let rows: Vec<_> = (1..=order.connections.len()).filter_map(row).collect();
        let _ = write!(out, "<details><summary>{title} ({} steps)</summary>", rows.len());
        let _ = write!(out, "{}</details>", table(&SET_HEADINGS, &rows));
    }
    out
}

/// How far predictions for unmeasured sets are off.
pub fn surrogate(profile: &Profile) -> String {
    let text = match profile.document().surrogate {
        Some(errors) => {
            let row = |name: &str, summary: ErrorSummary| {
                vec![
                    name.to_owned(),
                    summary.sets.to_string(),
                    format!("{:.2}", summary.mean),
                    format!("{:.2}", summary.p95),
                    format!("{:.2}", summary.bound),
                ]
            };
            let rows = [
                row("all", errors.all),
                row("that lose 3 points or fewer", errors.small),
                row("that are predicted to lose 3 points or fewer", errors.promised),
            ];
            table(
                &[
                    "sets held out",
                    "number",
                    "mean absolute error, points",
                    "95 % are within, points",
                    "margin, points",
                ],
                &rows,
            )
        }
        None => "<p>Too few sets were measured to predict others.</p>".to_owned(),
    };
    format!(
        "<section><h2>Predicting sets that were not measured</h2>{text}<p class=\"note\">Five folds; no set was predicted \
         from itself. Planners add the margin to a prediction.</p></section>"
    )
}

/// Every encoding at every cut.
pub fn encodings(profile: &Profile) -> String {
    let document = profile.document();
    let row = |result: &weir_shared::profile::EncodingResult| {
        vec![
            format!("{} before <code>{}</code>", result.encoding, escape(&result.before)),
            result.bytes.to_string(),
            score(result.validation),
            score(result.test),
            format!("{:.2}", result.test.points_below(document.full_test)),
        ]
    };
    let rows: Vec<_> = document.encodings.iter().map(row).collect();
    let worst = |encoding: Encoding| {
        let of_it = document.encodings.iter().filter(|result| result.encoding == encoding);
        of_it.map(|result| result.test.points_below(document.full_test)).fold(f64::NEG_INFINITY, f64::max)
    };
    let summary = format!(
        "Encodings at every cut (greatest loss: f16 {:.2}, int8 {:.2} points)",
        worst(Encoding::F16),
        worst(Encoding::Int8)
    );
    let headings = [
        "cut",
        "bytes for one image",
        "validation accuracy (95 %)",
        "test accuracy (95 %)",
        "points lost on test",
    ];
    format!("<details><summary>{summary}</summary>{}</details>", table(&headings, &rows))
}

/// Every measured set.
pub fn sets(profile: &Profile) -> String {
    let rows: Vec<_> = profile.document().sets.iter().map(|set| set_row(profile, set)).collect();
    format!(
        "<details><summary>Every measured set ({})</summary>{}</details>",
        rows.len(),
        table(&SET_HEADINGS, &rows)
    )
}

/// What was measured on what, and how to do it again.
pub fn provenance(profile: &Profile) -> String {
    let document = profile.document();
    let (data, by) = (&document.data, &document.provenance);
    let row = |name: &str, value: String| vec![name.to_owned(), value];
    let digest = |digest: weir_shared::digest::Digest| format!("<code>{digest}</code>");
    let rows = [
        row("made by", format!("{}, batch {}, seed {}", escape(&by.release), by.batch, by.seed)),
        row("weights, SHA-256", digest(document.weights)),
        row(
            &format!("{} validation images, SHA-256", data.validation.images),
            digest(data.validation.sha256),
        ),
        row(&format!("{} test images, SHA-256", data.test.images), digest(data.test.sha256)),
    ];
    format!(
        "<section class=\"provenance\"><h2>Provenance</h2>{}<p><code>{}</code></p></section>",
        table(&["what", "which"], &rows),
        escape(&by.command)
    )
}
