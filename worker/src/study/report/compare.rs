//! Profiles beside each other, as a table in Markdown: what training for resilience brought, say.
//!
//! Sets are chosen on the validation split, and what is told of them is measured on the test split.

use std::fmt::Write as _;

use weir_shared::plan::{ActiveSet, Connection, Encoding};
use weir_shared::profile::{Document, Profile, SetResult};

use super::best_within;
use crate::study::train::resilience::Expendable;

/// Points that a set may lose on the validation split for the rows that tell how much can go.
const LIMITS: [f64; 3] = [0.3, 1.0, 3.0];

/// For a row of the table: what it says of a profile.
type Say = Box<dyn Fn(&Profile) -> String>;

/// The table of `profiles`, each with the name of its column.
pub fn markdown(profiles: &[(String, Profile)]) -> String {
    let mut out = String::from("| |");
    // Writing to a string never fails.
    profiles.iter().for_each(|(name, _)| {
        let _ = write!(out, " {} |", name.replace('|', "/"));
    });
    out.push_str("\n|---|");
    out.push_str(&"---|".repeat(profiles.len()));
    out.push('\n');
    for (name, say) in rows() {
        let _ = write!(out, "| {name} |");
        profiles.iter().for_each(|(_, profile)| {
            let _ = write!(out, " {} |", say(profile));
        });
        out.push('\n');
    }
    out
}

fn rows() -> Vec<(String, Say)> {
    let mut rows: Vec<(String, Say)> = vec![
        row("network, data", |p| format!("{} on {}", p.document().network.arch(), p.document().data.name)),
        row("test accuracy, everything active (95 %)", |p| {
            let (full, interval) = (p.document().full_test, p.document().full_test.interval());
            let [at, low, high] = [full.accuracy(), interval.low, interval.high].map(|share| 100.0 * share);
            format!("{at:.2} % ({low:.2} to {high:.2}), {} images", full.count())
        }),
        row("one residual branch off, points lost: worst, mean", |p| worst_and_mean(p, all_branches(p))),
        row("the same for the branches that resilient training drops", |p| {
            worst_and_mean(p, Expendable::of(&p.document().network.network()).branches)
        }),
        row("one shortcut off, points lost: worst, mean", |p| worst_and_mean(p, all_shortcuts(p))),
        row("the same for the shortcuts that resilient training drops", |p| {
            worst_and_mean(p, Expendable::of(&p.document().network.network()).shortcuts)
        }),
    ];
    for limit in LIMITS {
        rows.push(row(
            &format!("MACs dropped, ≤ {limit:.1} points lost on validation (on test)"),
            move |profile| {
                told(profile, best_within(profile, limit, |set| 1.0 - set.macs_kept), |set| {
                    format!("{:.1} %", 100.0 * (1.0 - set.macs_kept))
                })
            },
        ));
    }
    rows.push(row("shortcuts off together, ≤ 1.0 points lost on validation (on test)", |profile| {
        let blocks = profile.document().network.network().blocks.len();
        let only_shortcuts = |set: &SetResult| {
            let is_branch = |off| matches!(off, Connection::Branch(_));
            if set.active.off().any(is_branch) { 0.0 } else { set.active.off().count() as f64 }
        };
        told(profile, best_within(profile, 1.0, only_shortcuts), |set| {
            format!("{} of {blocks}", set.active.off().count())
        })
    }));
    for encoding in [Encoding::Int8, Encoding::F16] {
        rows.push(row(&format!("{encoding} at one cut, points lost: worst, mean"), move |profile| {
            summary(&encoded(profile.document(), encoding))
        }));
    }
    rows.push(row("prediction of sets that lose ≤ 3 points, off by: mean, 95 %", |profile| match profile
        .document()
        .surrogate
        .map(|errors| errors.small)
    {
        Some(small) if small.sets > 0 => {
            format!("{:.2}, {:.2} ({} sets)", small.mean, small.p95, small.sets)
        }
        _ => "no such set".to_owned(),
    }));
    rows
}

fn row(name: &str, say: impl Fn(&Profile) -> String + 'static) -> (String, Say) {
    (name.to_owned(), Box::new(say))
}

fn all_branches(profile: &Profile) -> Vec<Connection> {
    profile.document().network.network().blocks.iter().map(|block| Connection::Branch(block.id)).collect()
}

fn all_shortcuts(profile: &Profile) -> Vec<Connection> {
    profile.document().network.network().blocks.iter().map(|block| Connection::Shortcut(block.id)).collect()
}

fn worst_and_mean(profile: &Profile, connections: Vec<Connection>) -> String {
    let alone = |connection| {
        let set = ActiveSet::without([connection]).ok()?;
        profile.measured(&set).map(|set| profile.document().loss_of(set).0)
    };
    summary(&connections.into_iter().filter_map(alone).collect::<Vec<_>>())
}

fn encoded(document: &Document, encoding: Encoding) -> Vec<f64> {
    let of_it = document.encodings.iter().filter(|result| result.encoding == encoding);
    of_it.map(|result| result.test.points_below(document.full_test)).collect()
}

fn summary(losses: &[f64]) -> String {
    if losses.is_empty() {
        return "not measured".to_owned();
    }
    let worst = losses.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    format!("{worst:.2}, {:.2}", losses.iter().sum::<f64>() / losses.len() as f64)
}

fn told(profile: &Profile, set: Option<&SetResult>, say: impl Fn(&SetResult) -> String) -> String {
    set.map_or_else(
        || "none".to_owned(),
        |set| format!("{} ({:.2})", say(set), profile.document().loss_of(set).0),
    )
}
