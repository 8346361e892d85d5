//! The profile as a page for people: one HTML file with its drawings in it and nothing to download.
//!
//! [`html`] puts the page together, `chart` draws, `table` lists, [`compare`] sets profiles beside each other as
//! Markdown.

mod chart;
pub mod compare;
mod table;

use weir_shared::profile::schema::Among;
use weir_shared::profile::{Profile, SetResult};

use super::drawing::{page, svg};

/// Losses on the validation split, in points, for which the best sets are told.
pub const LIMITS: [f64; 5] = [0.3, 1.0, 3.0, 5.0, 10.0];

/// The best set within a limit.
#[derive(Debug, Clone, Copy)]
pub struct Best<'a> {
    /// The most that it may lose on the validation split, in points.
    pub limit: f64,
    /// The set.
    pub set: &'a SetResult,
}

/// For each limit the set that saves most: operations (`Branches`), bytes at cuts (`Shortcuts`), or both (`Joint`).
///
/// Limits that no set keeps are absent.
pub fn best(profile: &Profile, saving: Among) -> Vec<Best<'_>> {
    let saved = |set: &SetResult| match saving {
        Among::Branches => 1.0 - set.macs_kept,
        Among::Shortcuts => 1.0 - set.bytes_kept,
        Among::Joint => 2.0 - set.macs_kept - set.bytes_kept,
    };
    let of_limit = |limit: f64| best_within(profile, limit, saved).map(|set| Best { limit, set });
    LIMITS.into_iter().filter_map(of_limit).collect()
}

/// The set that saves most of those that lose at most `limit` points; of several the one that is right most often.
///
/// Chosen on the validation split alone, so that the test figure is not flattered.
pub fn best_within(profile: &Profile, limit: f64, saved: impl Fn(&SetResult) -> f64) -> Option<&SetResult> {
    let document = profile.document();
    let is_within = |set: &&SetResult| {
        set.test.is_some()
            && set.validation.points_below(document.full_validation) <= limit
            && saved(set) > 0.0
    };
    let accuracy = |set: &SetResult| set.validation.accuracy();
    let better = |a: &&SetResult, b: &&SetResult| {
        saved(a).total_cmp(&saved(b)).then(accuracy(a).total_cmp(&accuracy(b)))
    };
    document.sets.iter().filter(is_within).max_by(better)
}

/// The whole page.
pub fn html(profile: &Profile) -> String {
    let document = profile.document();
    let (full, interval) = (document.full_test, document.full_test.interval());
    let arch = document.network.arch();
    let data = &document.data;
    let title = format!("{arch} on {}: what each connection is worth", svg::escape(&data.name));
    let lead = format!(
        "With everything active the network has {:.2} % of {} test images right (95 % interval {:.2} to {:.2} %), and \
         {:.2} % of {} validation images. Sets were chosen on the validation split; drawings and figures are of the \
         test split unless they say otherwise. One point is one percentage point of accuracy.",
        100.0 * full.accuracy(),
        full.count(),
        100.0 * interval.low,
        100.0 * interval.high,
        100.0 * document.full_validation.accuracy(),
        document.full_validation.count(),
    );
    let charts = [
        chart::lesion(profile),
        chart::macs(profile, chart::Zoom::Whole),
        chart::macs(profile, chart::Zoom::Small),
        chart::bytes(profile),
        chart::encodings(profile),
    ];
    let tables = [
        table::best(profile),
        table::orders(profile),
        table::surrogate(profile),
        table::encodings(profile),
        table::sets(profile),
        table::provenance(profile),
    ];
    page(&title, &lead, &charts, &tables.join("\n"))
}
