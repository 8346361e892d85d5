//! `docs/metrics.md` and `metric_names.rs` say the same.

#![allow(clippy::unwrap_used, reason = "tests")]

use weir_shared::metric_names::{ALL, Kind, Metric};

fn row(metric: &Metric) -> String {
    let labels: Vec<_> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
    let Metric { name, unit, help, .. } = metric;
    let (kind, by) = (metric.kind.name(), metric.by.name());
    format!("| `{name}` | {kind} | {} | {unit} | {by} | {help} |", labels.join(", "))
}

#[test]
fn the_page_lists_every_metric_as_it_is_declared() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/metrics.md");
    let page = std::fs::read_to_string(page).unwrap();
    let listed: Vec<_> = page.lines().filter(|line| line.starts_with("| `weir_")).collect();
    let declared: Vec<_> = ALL.iter().map(row).collect();
    assert_eq!(listed, declared, "write docs/metrics.md after shared/src/metric_names.rs");
}

#[test]
fn names_follow_the_conventions() {
    for metric in ALL {
        assert!(metric.name.starts_with("weir_"), "{}", metric.name);
        assert_eq!(metric.name.ends_with("_total"), metric.kind == Kind::Counter, "{}", metric.name);
    }
    let mut names: Vec<_> = ALL.iter().map(|metric| metric.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), ALL.len());
}
