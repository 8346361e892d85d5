//! The end of a demonstration in words: what was compared with what, how fast it was, and what to look at.

use super::render::{indented, links, stages};
use super::report::{Report, Weighed, WeightMemory};
use super::weight_memory::RATIO;
use crate::terminal::table::{bytes, milliseconds, percent};

/// Titles stand under one another up to here.
const TITLE_WIDTH: usize = 16;

/// The summary, line by line.
pub fn lines(report: &Report) -> Vec<String> {
    let Report { config, requests, equality, latency_ms, accuracy, plan, .. } = report;
    let mut lines = vec![
        String::new(),
        format!(
            "plan {}.{} ({}): {} over {} workers",
            plan.term,
            plan.epoch,
            plan.hash.get(..8).unwrap_or(&plan.hash),
            plan.network,
            plan.stages.len()
        ),
    ];
    lines.extend(indented(stages(&report.stages)));
    lines.push(String::new());
    lines.push(format!("links of the plan (conditions: {})", config.conditions));
    lines.extend(indented(links(&report.links)));
    lines.push(String::new());
    let mut row = |title: &str, text: String| lines.push(format!("{title:<TITLE_WIDTH$} {text}"));
    row(
        "answers",
        format!(
            "{} of {} equal the unsplit network's bit for bit ({} images in one process, batch size {})",
            equality.equal, equality.compared, config.images, equality.batch_size
        ),
    );
    row(
        "requests",
        format!(
            "{} sent, {} ok, {} failed, {} retried",
            requests.sent, requests.ok, requests.failed, requests.retried
        ),
    );
    let [p50, p90, p99, max] =
        [latency_ms.p50, latency_ms.p90, latency_ms.p99, latency_ms.max].map(milliseconds);
    row("latency", format!("p50 {p50} ms, p90 {p90} ms, p99 {p99} ms, slowest {max} ms"));
    row(
        "throughput",
        format!(
            "{:.1} images/s over {:.1} s, {} requests at once",
            report.throughput_per_second, report.duration_seconds, config.concurrency
        ),
    );
    row(
        "accuracy",
        format!(
            "{} ({} of {} right; unsplit {})",
            percent(accuracy.accuracy),
            accuracy.correct,
            accuracy.count,
            percent(accuracy.unsplit_accuracy)
        ),
    );
    let WeightMemory { network, whole, quarter, weight_ratio, resident_ratio } = &report.weight_memory;
    let weighed = |part: &Weighed| {
        let (weights, grown) = (bytes(part.weight_bytes), bytes(part.resident_bytes));
        format!("{weights} of weights, and the process grows by {grown}")
    };
    row("weight memory", format!("all of {network}: {}", weighed(whole)));
    row("", format!("{}: {} ({weight_ratio:.2} and {resident_ratio:.2})", quarter.layers, weighed(quarter)));
    lines.push(String::new());
    lines.extend(report.problems.iter().map(|problem| format!("PROBLEM: {problem}")));
    lines.push(if report.passed { "passed".to_owned() } else { "FAILED".to_owned() });
    lines
}

/// In words, what is not as it must be; `others` are what else went wrong.
pub fn problems(report: &Report, others: Vec<String>) -> Vec<String> {
    let Report { config, requests, equality, weight_memory, .. } = report;
    let mut problems = Vec::new();
    if equality.different > 0 {
        problems.push(format!(
            "{} of {} answers differ from the unsplit network's, first for images {:?}",
            equality.different, equality.compared, equality.different_images
        ));
    }
    if requests.failed > 0 {
        let first = requests.failures.first().map_or("", String::as_str);
        problems.push(format!("{} of {} requests failed, first: {first}", requests.failed, requests.sent));
    }
    if equality.compared < config.images && requests.failed == 0 {
        problems.push(format!("only {} of {} images were answered", equality.compared, config.images));
    }
    let ratios = [("weights", weight_memory.weight_ratio), ("resident memory", weight_memory.resident_ratio)];
    for (what, ratio) in ratios.into_iter().filter(|(_, ratio)| !RATIO.contains(ratio)) {
        problems.push(format!(
            "a quarter of {} takes {ratio:.2} of its {what}; {} to {} is expected",
            weight_memory.network,
            RATIO.start(),
            RATIO.end()
        ));
    }
    problems.extend(others);
    problems
}

#[cfg(test)]
mod tests {
    use super::super::report::*;
    use super::*;
    use crate::admin::views::PlanDocument;
    use crate::client::latency::LatencyMs;
    use std::collections::BTreeMap;
    use weir_shared::plan::plan::BatchNorm;

    fn report() -> Report {
        let weighed = |layers: &str, bytes| Weighed {
            layers: layers.to_owned(),
            weight_bytes: bytes,
            resident_bytes: bytes + bytes / 10,
        };
        let equality = Equality { compared: 1000, equal: 1000, batch_size: 1, ..Equality::default() };
        let plan = PlanDocument {
            term: 1,
            epoch: 2,
            hash: "ab12cd34ef".to_owned(),
            network: "resnet20".to_owned(),
            active_off: String::new(),
            batch_norm: BatchNorm::Folded,
            admitting: true,
            max_batch: 8,
            stages: Vec::new(),
            routes: Vec::new(),
        };
        Report {
            report_version: VERSION,
            passed: true,
            problems: Vec::new(),
            versions: Versions {
                weir: "0.1.0".to_owned(),
                orchestrator: "0.1.0".to_owned(),
                workers: BTreeMap::new(),
                platform: "linux-x86_64".to_owned(),
                cores: 4,
            },
            config: ConfigReport {
                arch: "resnet20".to_owned(),
                weights: "w".into(),
                dataset: "shapes".to_owned(),
                images: 1000,
                workers: Vec::new(),
                conditions: "home".to_owned(),
                concurrency: 4,
                batch_size: 1,
            },
            requests: Requests { sent: 1000, ok: 1000, ..Requests::default() },
            equality,
            latency_ms: LatencyMs::default(),
            duration_seconds: 20.0,
            throughput_per_second: 50.0,
            accuracy: Accuracy { correct: 900, count: 1000, accuracy: 0.9, unsplit_accuracy: 0.9 },
            plan,
            stages: Vec::new(),
            links: Vec::new(),
            weight_memory: WeightMemory {
                network: "resnet50".to_owned(),
                whole: weighed("stem..head", 100_000_000),
                quarter: weighed("layer4.0.join..layer4.2.conv1", 25_000_000),
                weight_ratio: 0.25,
                resident_ratio: 0.25,
            },
        }
    }

    #[test]
    fn the_summary_says_what_was_compared_with_what() {
        let text = lines(&report()).join("\n");
        assert!(text.contains("1000 of 1000 equal the unsplit network's bit for bit"), "{text}");
        assert!(text.contains("plan 1.2 (ab12cd34): resnet20"), "{text}");
        assert!(
            text.contains("25.0 MB of weights, and the process grows by 27.5 MB (0.25 and 0.25)"),
            "{text}"
        );
        assert!(text.ends_with("passed"), "{text}");
    }

    fn check(change: impl FnOnce(&mut Report), expect: &str) {
        let mut report = report();
        assert_eq!(problems(&report, Vec::new()), [""; 0]);
        change(&mut report);
        let problems = problems(&report, Vec::new());
        assert!(problems.len() == 1 && problems[0].contains(expect), "{problems:?}");
    }

    #[test]
    fn whatever_is_not_as_it_must_be_is_a_problem() {
        check(|report| report.equality.different = 1, "1 of 1000 answers differ");
        check(|report| report.requests.failed = 2, "2 of 1000 requests failed");
        check(|report| report.equality.compared = 999, "only 999 of 1000");
        check(|report| report.weight_memory.resident_ratio = 0.31, "0.31 of its resident memory");
        check(|report| report.weight_memory.weight_ratio = f64::NAN, "of its weights");
        assert_eq!(problems(&report(), vec!["attic died".to_owned()]), ["attic died"]);
    }

    #[test]
    fn a_report_survives_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.json");
        report().save(&path).unwrap();
        let read: Report = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        assert_eq!(read, report());
    }
}
