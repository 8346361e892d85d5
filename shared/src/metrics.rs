//! A set of metrics, registered once and written in Prometheus text format.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use prometheus::core::Collector;
use prometheus::{
    CounterVec, Encoder as _, Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter,
    IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
};

use crate::metric_names::{self as names, Metric};
use crate::telemetry::LinkReport;

/// What `/metrics` answers with: text format 0.0.4, which every scraper reads.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Makes and registers metrics. Every method fails only if two metrics have one name.
pub struct MetricSet {
    registry: Registry,
}

impl MetricSet {
    /// A set that states the release of the binary.
    ///
    /// # Errors
    /// If the name is not one that Prometheus allows.
    pub fn new(release: &str) -> Result<Self, prometheus::Error> {
        let set = Self { registry: Registry::new() };
        set.gauges(&names::BUILD_INFO)?.with_label_values(&[release]).set(1);
        Ok(set)
    }

    fn register<C: Collector + Clone + 'static>(&self, metric: C) -> Result<C, prometheus::Error> {
        self.registry.register(Box::new(metric.clone()))?;
        Ok(metric)
    }

    /// A counter without labels.
    ///
    /// # Errors
    /// If it is registered already.
    pub fn counter(&self, metric: &Metric) -> Result<IntCounter, prometheus::Error> {
        self.register(IntCounter::with_opts(opts(metric))?)
    }

    /// A counter for each value of its labels.
    ///
    /// # Errors
    /// If it is registered already.
    pub fn counters(&self, metric: &Metric) -> Result<IntCounterVec, prometheus::Error> {
        self.register(IntCounterVec::new(opts(metric), metric.labels)?)
    }

    /// A whole number that rises and falls.
    ///
    /// # Errors
    /// If it is registered already.
    pub fn gauge(&self, metric: &Metric) -> Result<IntGauge, prometheus::Error> {
        self.register(IntGauge::with_opts(opts(metric))?)
    }

    /// A whole number for each value of its labels.
    ///
    /// # Errors
    /// If it is registered already.
    pub fn gauges(&self, metric: &Metric) -> Result<IntGaugeVec, prometheus::Error> {
        self.register(IntGaugeVec::new(opts(metric), metric.labels)?)
    }

    /// A real number that rises and falls.
    ///
    /// # Errors
    /// If it is registered already.
    pub fn real_gauge(&self, metric: &Metric) -> Result<Gauge, prometheus::Error> {
        self.register(Gauge::with_opts(opts(metric))?)
    }

    /// Real numbers that are replaced as a whole: series that are no longer there are removed.
    ///
    /// # Errors
    /// If it is registered already.
    pub fn table(&self, metric: &Metric) -> Result<Table, prometheus::Error> {
        let vec = self.register(GaugeVec::new(opts(metric), metric.labels)?)?;
        Ok(Table { vec, known: Mutex::default() })
    }

    /// Totals that somebody else counts, replaced as a whole: series that are no longer there are removed.
    ///
    /// # Errors
    /// If it is registered already.
    pub fn totals(&self, metric: &Metric) -> Result<Totals, prometheus::Error> {
        let vec = self.register(CounterVec::new(opts(metric), metric.labels)?)?;
        Ok(Totals { vec, known: Mutex::default() })
    }

    /// A distribution with upper bounds of its buckets.
    ///
    /// # Errors
    /// If it is registered already.
    pub fn histogram(&self, metric: &Metric, buckets: &[f64]) -> Result<Histogram, prometheus::Error> {
        self.register(Histogram::with_opts(HistogramOpts::from(opts(metric)).buckets(buckets.to_vec()))?)
    }

    /// A distribution for each value of its labels.
    ///
    /// # Errors
    /// If it is registered already.
    pub fn histograms(&self, metric: &Metric, buckets: &[f64]) -> Result<HistogramVec, prometheus::Error> {
        let options = HistogramOpts::from(opts(metric)).buckets(buckets.to_vec());
        self.register(HistogramVec::new(options, metric.labels)?)
    }

    /// Everything as text.
    pub fn text(&self) -> String {
        let mut buffer = Vec::new();
        // Writing to memory fails only for metrics that are malformed, which registration rules out.
        let _ = TextEncoder::new().encode(&self.registry.gather(), &mut buffer);
        String::from_utf8_lossy(&buffer).into_owned()
    }
}

fn opts(metric: &Metric) -> Opts {
    Opts::new(metric.name, metric.help)
}

type Labels = Vec<String>;

/// Real numbers by labels.
pub struct Table {
    vec: GaugeVec,
    known: Mutex<BTreeSet<Labels>>,
}

/// Totals by labels.
pub struct Totals {
    vec: CounterVec,
    known: Mutex<BTreeSet<Labels>>,
}

/// Notes which labels there are now, and returns those that are no more.
fn turn<'a>(known: &Mutex<BTreeSet<Labels>>, now: impl Iterator<Item = &'a [&'a str]>) -> Vec<Labels> {
    let now: BTreeSet<Labels> = now.map(|labels| labels.iter().map(ToString::to_string).collect()).collect();
    let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
    let gone = known.difference(&now).cloned().collect();
    *known = now;
    gone
}

fn borrowed(labels: &Labels) -> Vec<&str> {
    labels.iter().map(String::as_str).collect()
}

impl Table {
    /// Says what there is now; whatever is not among `rows` is removed.
    pub fn replace<const N: usize>(&self, rows: &[([&str; N], f64)]) {
        for (labels, value) in rows {
            self.vec.with_label_values(labels).set(*value);
        }
        for labels in turn(&self.known, rows.iter().map(|(labels, _)| &labels[..])) {
            // It was there, so it can be removed.
            let _ = self.vec.remove_label_values(&borrowed(&labels));
        }
    }
}

impl Totals {
    /// Says what the totals are now; whatever is not among `rows` is removed. One that is smaller than before has begun anew.
    pub fn replace<const N: usize>(&self, rows: &[([&str; N], f64)]) {
        for (labels, total) in rows {
            let counter = self.vec.with_label_values(labels);
            let counted = counter.get();
            if *total < counted {
                counter.reset();
            }
            counter.inc_by(total - counter.get());
        }
        for labels in turn(&self.known, rows.iter().map(|(labels, _)| &labels[..])) {
            // It was there, so it can be removed.
            let _ = self.vec.remove_label_values(&borrowed(&labels));
        }
    }
}

/// Reads one counter off a report.
type Count = fn(&LinkReport) -> u64;

/// The metrics of links, which workers and the gateway export alike.
pub struct LinkMetrics {
    active: Table,
    rtt: Table,
    rtt_variation: Table,
    rtt_minimum: Table,
    goodput: Table,
    totals: [(Totals, Count); 7],
}

impl LinkMetrics {
    /// Registers them.
    ///
    /// # Errors
    /// If they are registered already.
    pub fn new(set: &MetricSet) -> Result<Self, prometheus::Error> {
        Ok(Self {
            active: set.table(&names::LINK_ACTIVE)?,
            rtt: set.table(&names::LINK_RTT_SECONDS)?,
            rtt_variation: set.table(&names::LINK_RTT_VARIATION_SECONDS)?,
            rtt_minimum: set.table(&names::LINK_MIN_RTT_SECONDS)?,
            goodput: set.table(&names::LINK_GOODPUT)?,
            totals: [
                (set.totals(&names::LINK_ACTIVATIONS)?, |link| link.activations),
                (set.totals(&names::LINK_SENT_BYTES)?, |link| link.sent_bytes),
                (set.totals(&names::LINK_PACKETS_SENT)?, |link| link.packets_sent),
                (set.totals(&names::LINK_PACKETS_LOST)?, |link| link.packets_lost),
                (set.totals(&names::LINK_CONGESTION_EVENTS)?, |link| link.congestion_events),
                (set.totals(&names::LINK_PROBES)?, |link| link.probes),
                (set.totals(&names::LINK_PROBE_FAILURES)?, |link| link.probe_failures),
            ],
        })
    }

    /// Takes the readings of all links on which `from` sends; series of links that are gone are removed.
    pub fn replace<'a>(&self, from: &'a str, links: &'a [LinkReport]) {
        let rows = |of: &dyn Fn(&LinkReport) -> Option<f64>| {
            let row = |link: &'a LinkReport| of(link).map(|value| ([from, link.to.short()], value));
            links.iter().filter_map(row).collect::<Vec<_>>()
        };
        self.active.replace(&rows(&|link| Some(f64::from(u8::from(link.open && link.up)))));
        self.rtt.replace(&rows(&|link| link.rtt.map(|rtt| rtt.seconds)));
        self.rtt_variation.replace(&rows(&|link| link.rtt.map(|rtt| rtt.variation_seconds)));
        self.rtt_minimum.replace(&rows(&|link| link.rtt.map(|rtt| rtt.minimum_seconds)));
        self.goodput.replace(&rows(&|link| link.goodput.map(|goodput| goodput.bytes_per_second)));
        for (totals, of) in &self.totals {
            totals.replace(&rows(&|link| Some(of(link) as f64)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_that_are_gone_are_removed_and_totals_begin_anew() {
        let set = MetricSet::new("1").unwrap();
        let table = set.table(&names::WORKER_TRUSTED).unwrap();
        let totals = set.totals(&names::WORKER_USED_JOULES).unwrap();
        table.replace(&[(["a"], 1.0), (["b"], 1.0)]);
        totals.replace(&[(["a", "model"], 5.0)]);
        totals.replace(&[(["a", "model"], 7.0)]);
        assert!(set.text().contains("weir_worker_used_joules_total{source=\"model\",worker=\"a\"} 7"));
        table.replace(&[(["b"], 0.0)]);
        totals.replace(&[(["a", "model"], 2.0)]);
        let text = set.text();
        assert!(!text.contains("weir_worker_trusted{worker=\"a\"}"), "{text}");
        assert!(text.contains("weir_worker_trusted{worker=\"b\"} 0"));
        assert!(text.contains("weir_worker_used_joules_total{source=\"model\",worker=\"a\"} 2"));
    }
}
