//! A set of metrics, registered once and written in Prometheus text format.

use prometheus::core::Collector;
use prometheus::{
    Encoder as _, Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec,
    IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
};

use crate::metric_names;

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
        let help = "Release of this binary; always 1.";
        set.gauges(metric_names::BUILD_INFO, help, &["version"])?.with_label_values(&[release]).set(1);
        Ok(set)
    }

    fn register<C: Collector + Clone + 'static>(&self, metric: C) -> Result<C, prometheus::Error> {
        self.registry.register(Box::new(metric.clone()))?;
        Ok(metric)
    }

    /// A counter.
    ///
    /// # Errors
    /// If the name is taken.
    pub fn counter(&self, name: &str, help: &str) -> Result<IntCounter, prometheus::Error> {
        self.register(IntCounter::new(name, help)?)
    }

    /// A counter for each value of its labels.
    ///
    /// # Errors
    /// If the name is taken.
    pub fn counters(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> Result<IntCounterVec, prometheus::Error> {
        self.register(IntCounterVec::new(Opts::new(name, help), labels)?)
    }

    /// A whole number that rises and falls.
    ///
    /// # Errors
    /// If the name is taken.
    pub fn gauge(&self, name: &str, help: &str) -> Result<IntGauge, prometheus::Error> {
        self.register(IntGauge::new(name, help)?)
    }

    /// A whole number for each value of its labels.
    ///
    /// # Errors
    /// If the name is taken.
    pub fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntGaugeVec, prometheus::Error> {
        self.register(IntGaugeVec::new(Opts::new(name, help), labels)?)
    }

    /// A real number that rises and falls.
    ///
    /// # Errors
    /// If the name is taken.
    pub fn real_gauge(&self, name: &str, help: &str) -> Result<Gauge, prometheus::Error> {
        self.register(Gauge::new(name, help)?)
    }

    /// A real number for each value of its labels.
    ///
    /// # Errors
    /// If the name is taken.
    pub fn real_gauges(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> Result<GaugeVec, prometheus::Error> {
        self.register(GaugeVec::new(Opts::new(name, help), labels)?)
    }

    /// A distribution with upper bounds of its buckets.
    ///
    /// # Errors
    /// If the name is taken.
    pub fn histogram(&self, name: &str, help: &str, buckets: &[f64]) -> Result<Histogram, prometheus::Error> {
        self.register(Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets.to_vec()))?)
    }

    /// A distribution for each value of its labels.
    ///
    /// # Errors
    /// If the name is taken.
    pub fn histograms(
        &self,
        name: &str,
        help: &str,
        buckets: &[f64],
        labels: &[&str],
    ) -> Result<HistogramVec, prometheus::Error> {
        self.register(HistogramVec::new(HistogramOpts::new(name, help).buckets(buckets.to_vec()), labels)?)
    }

    /// Everything as text.
    pub fn text(&self) -> String {
        let mut buffer = Vec::new();
        // Writing to memory fails only for metrics that are malformed, which registration rules out.
        let _ = TextEncoder::new().encode(&self.registry.gather(), &mut buffer);
        String::from_utf8_lossy(&buffer).into_owned()
    }
}
