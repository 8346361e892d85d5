//! What people see of stages and links, as lines of text; live while images stream, and in the summary.

use super::report::{LinkReport, StageReport};
use crate::terminal::table::{self, Align, bytes, count, milliseconds, percent};

/// One line for each stage, under titles.
pub fn stages(stages: &[StageReport]) -> Vec<String> {
    let columns = [
        ("stage", Align::Right),
        ("worker", Align::Left),
        ("layers", Align::Left),
        ("MACs", Align::Right),
        ("weights", Align::Right),
        ("runs", Align::Right),
        ("ms each", Align::Right),
        ("busy", Align::Right),
        ("waiting", Align::Right),
    ];
    let row = |stage: &StageReport| {
        vec![
            stage.index.to_string(),
            stage.worker.clone(),
            stage.layers.clone(),
            count(stage.macs),
            bytes(stage.weight_bytes),
            stage.executions.to_string(),
            milliseconds(stage.compute_ms),
            percent(stage.busy),
            stage.queue_length.to_string(),
        ]
    };
    table::lines(&columns, stages.iter().map(row))
}

/// One line for each link of the plan, under titles.
pub fn links(links: &[LinkReport]) -> Vec<String> {
    let columns = [
        ("from", Align::Left),
        ("to", Align::Left),
        ("emulated as", Align::Left),
        ("RTT ms", Align::Right),
        ("activations", Align::Right),
        ("sent", Align::Right),
        ("packets", Align::Right),
        ("lost", Align::Right),
    ];
    let row = |link: &LinkReport| {
        vec![
            link.from.clone(),
            link.to.clone(),
            link.emulated.name.clone(),
            link.rtt_ms.map_or_else(|| "down".to_owned(), milliseconds),
            link.activations.to_string(),
            bytes(link.sent_bytes),
            link.packets_sent.to_string(),
            link.packets_lost.to_string(),
        ]
    };
    table::lines(&columns, links.iter().filter(|link| link.in_plan).map(row))
}

/// Every line moved to the right.
pub fn indented(lines: Vec<String>) -> impl Iterator<Item = String> {
    lines.into_iter().map(|line| format!("  {line}"))
}

#[cfg(test)]
mod tests {
    use super::super::report::EmulatedReport;
    use super::*;

    #[test]
    fn stages_and_links_read_as_tables() {
        let stage = StageReport {
            worker: "camera".to_owned(),
            layers: "stem..layer1.1.join".to_owned(),
            macs: 10_200_000,
            weight_bytes: 41_000,
            executions: 12,
            compute_ms: 1.25,
            busy: 0.5,
            ..StageReport::default()
        };
        let expect = [
            "stage  worker  layers                 MACs  weights  runs  ms each    busy  waiting",
            "    0  camera  stem..layer1.1.join  10.2 M  41.0 kB    12      1.2  50.0 %        0",
        ];
        assert_eq!(stages(&[stage]), expect);
        let emulated = EmulatedReport {
            name: "lan".to_owned(),
            rate_bits_per_second: None,
            delay_ms: 0.2,
            jitter_ms: 0.1,
            loss: 0.0,
            packets_passed: 0,
            packets_dropped: 0,
        };
        let link = LinkReport {
            from: "main".to_owned(),
            to: "camera".to_owned(),
            in_plan: true,
            emulated,
            rtt_ms: None,
            activations: 3,
            sent_bytes: 36_864,
            packets_sent: 30,
            packets_lost: 1,
        };
        let expect = [
            "from  to      emulated as  RTT ms  activations     sent  packets  lost",
            "main  camera  lan            down            3  36.9 kB       30     1",
        ];
        assert_eq!(links(&[link.clone(), LinkReport { in_plan: false, ..link }]), expect);
    }
}
