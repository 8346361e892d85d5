//! Estimates of one worker, from its introduction and its reports.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use weir_shared::arch::{LayerId, Network};
use weir_shared::ids::PeerName;
use weir_shared::telemetry::{Absurdity, Calibration, LayerReading, Report, StartId};
use weir_shared::wire::control::Hello;

use super::link::{LinkEstimate, LinkEstimator};
use super::power::{PowerEstimate, PowerEstimator};

/// So many report periods may pass in silence. A worker on a busy machine is late, and is not to be left out for it.
const PERIODS: u32 = 8;

/// And never less than this, the time after which QUIC gives a silent peer up, with some room.
const SILENCE_MIN: Duration = Duration::from_secs(2);

/// A layer's time is weighted towards the newest by this much at each report: with four a second, half of the way takes
/// half a second.
const LAYER_WEIGHT: f64 = 0.3;

/// A layer that was not run for so long may take another time now.
const LAYER_STALE: Duration = Duration::from_secs(60);

/// A worker of which nothing at all was measured computes this much: a slow board, so that others are tried first.
const MACS_PER_SECOND_UNKNOWN: f64 = 1e9;

/// Folds what one worker says.
#[derive(Debug, Clone)]
pub struct WorkerEstimator {
    start: StartId,
    period: Duration,
    calibration: Option<Calibration>,
    joined: Instant,
    /// The last report that was believed, and when it came.
    report: Option<(Report, Instant)>,
    absurd: Option<Absurdity>,
    layers: BTreeMap<LayerId, Layer>,
    links: BTreeMap<PeerName, LinkEstimator>,
    power: PowerEstimator,
    utilisation: f64,
}

#[derive(Debug, Clone, Copy)]
struct Layer {
    runs: u64,
    /// For one sample.
    seconds: f64,
    at: Instant,
}

/// Whether a worker's estimates may be planned with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// They may.
    Fresh,
    /// Nothing was heard for too long.
    Stale,
    /// The last report could not be true.
    Absurd(Absurdity),
}

/// The time of one layer, and how it is known.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum LayerEstimate {
    /// Measured while requests were computed, not long ago.
    InOperation(f64),
    /// Measured at the worker's start, and scaled by what its other layers take now.
    Calibrated(f64),
    /// Not measured.
    Unknown,
}

/// What is believed about one worker.
#[derive(Debug, Clone, PartialEq)]
pub struct WorkerEstimate {
    /// Whether it may be planned with.
    pub trust: Trust,
    /// Seconds since it was last heard.
    pub age_seconds: f64,
    /// Each layer for one sample, everything active, in order of layers.
    pub layers: Vec<LayerEstimate>,
    /// Multiply-accumulate operations per second.
    pub macs_per_second: f64,
    /// Bytes that it has for weights and activations.
    pub memory_bytes: Option<u64>,
    /// Its power.
    pub power: PowerEstimate,
    /// The most that may be drawn.
    pub budget_watts: Option<f64>,
    /// For each byte sent and received.
    pub joules_per_byte: (f64, f64),
    /// Share of the last report period in which it computed.
    pub utilisation: f64,
}

impl LayerEstimate {
    /// The seconds, if they are known.
    pub const fn seconds(self) -> Option<f64> {
        match self {
            Self::InOperation(seconds) | Self::Calibrated(seconds) => Some(seconds),
            Self::Unknown => None,
        }
    }
}

impl WorkerEstimator {
    /// A worker has introduced itself. What was known of the same start of it is kept in `before`.
    pub fn joined(now: Instant, hello: &Hello, before: Option<Self>) -> Self {
        // A calibration that cannot be true is none.
        let calibration = hello.calibration.clone().filter(|found| found.check().is_ok());
        let period = Duration::from_millis(u64::from(hello.report_period_millis));
        if let Some(known) = before.filter(|known| known.start == hello.start) {
            return Self { joined: now, period, calibration, ..known };
        }
        Self {
            start: hello.start,
            period,
            calibration,
            joined: now,
            report: None,
            absurd: None,
            layers: BTreeMap::new(),
            links: BTreeMap::new(),
            power: PowerEstimator::default(),
            utilisation: 0.0,
        }
    }

    /// Takes a report.
    ///
    /// # Errors
    /// If it cannot be true. Then nothing of it is taken, and the worker is not trusted until one can.
    pub fn fold(&mut self, now: Instant, report: Report) -> Result<(), Absurdity> {
        let before = self.report.as_ref().map(|(report, _)| report);
        if let Err(absurdity) = report.check(before) {
            self.absurd = Some(absurdity);
            return Err(absurdity);
        }
        let restarted = before.is_none_or(|before| before.start != report.start);
        let before = before.filter(|_| !restarted);
        let passed = report.uptime_seconds - before.map_or(0.0, |before| before.uptime_seconds);
        let computed = report.compute_seconds - before.map_or(0.0, |before| before.compute_seconds);
        // A long execution is counted when it ends and may be longer than the period.
        self.utilisation = if passed > 0.0 { (computed / passed).clamp(0.0, 1.0) } else { 0.0 };
        if restarted {
            self.layers.clear();
            self.start = report.start;
        }
        report.layers.iter().for_each(|reading| self.fold_layer(now, reading));
        self.links.retain(|peer, _| report.links.iter().any(|link| link.to == *peer));
        for link in &report.links {
            self.links.entry(link.to.clone()).or_default().fold(now, link, restarted);
        }
        self.power.fold(now, &report.power, self.utilisation);
        self.absurd = None;
        self.report = Some((report, now));
        Ok(())
    }

    fn fold_layer(&mut self, now: Instant, reading: &LayerReading) {
        let found = reading.seconds / f64::from(reading.batch);
        let fresh = Layer { runs: reading.runs, seconds: found, at: now };
        let known = self.layers.entry(reading.layer).or_insert(fresh);
        if known.runs != reading.runs {
            let seconds = known.seconds + LAYER_WEIGHT * (found - known.seconds);
            *known = Layer { runs: reading.runs, seconds, at: now };
        }
    }

    /// The last report that was believed, and when it came.
    pub const fn report(&self) -> Option<&(Report, Instant)> {
        self.report.as_ref()
    }

    /// Whether what is known may be planned with.
    pub fn trust(&self, now: Instant) -> Trust {
        if let Some(absurdity) = self.absurd {
            return Trust::Absurd(absurdity);
        }
        let silence = (self.period * PERIODS).max(SILENCE_MIN);
        if now.saturating_duration_since(self.heard()) > silence { Trust::Stale } else { Trust::Fresh }
    }

    fn heard(&self) -> Instant {
        self.report.as_ref().map_or(self.joined, |&(_, at)| at.max(self.joined))
    }

    /// What the worker costs for introducing codecs: seconds for each encoding.
    pub const fn calibration(&self) -> Option<&Calibration> {
        self.calibration.as_ref()
    }

    /// Estimates of the links on which it sends.
    pub fn links(&self, now: Instant) -> impl Iterator<Item = (&PeerName, LinkEstimate)> {
        self.links.iter().map(move |(peer, link)| (peer, link.estimate(now)))
    }

    /// What is believed now about it for `network`.
    pub fn estimate(&self, now: Instant, network: &Network) -> WorkerEstimate {
        let report = self.report.as_ref().map(|(report, _)| report);
        let power = report.map(|report| report.power.clone()).unwrap_or_default();
        let calibration =
            self.calibration.as_ref().filter(|found| found.network.network().arch == network.arch);
        let calibrated = |layer: LayerId| {
            calibration.and_then(|found| found.layer_seconds.get(usize::from(layer.0)).copied().flatten())
        };
        let fresh = |layer: &&Layer| now.saturating_duration_since(layer.at) <= LAYER_STALE;
        let in_operation = |id: LayerId| self.layers.get(&id).filter(fresh).map(|layer| layer.seconds);
        // How much slower or faster the worker is now than at its start, by the layers of which both are known.
        let both = network.layers().iter().filter_map(|l| in_operation(l.id).zip(calibrated(l.id)));
        let (now_seconds, then_seconds) = both.fold((0.0, 0.0), |(a, b), (x, y)| (a + x, b + y));
        let drift = if then_seconds > 0.0 && now_seconds > 0.0 { now_seconds / then_seconds } else { 1.0 };
        let layers: Vec<_> = network
            .layers()
            .iter()
            .map(|layer| {
                let old = || self.layers.get(&layer.id).map(|layer| LayerEstimate::Calibrated(layer.seconds));
                let scaled = || calibrated(layer.id).map(|s| LayerEstimate::Calibrated(s * drift));
                let measured = in_operation(layer.id).map(LayerEstimate::InOperation);
                measured.or_else(scaled).or_else(old).unwrap_or(LayerEstimate::Unknown)
            })
            .collect();
        WorkerEstimate {
            trust: self.trust(now),
            age_seconds: now.saturating_duration_since(self.heard()).as_secs_f64(),
            macs_per_second: rate(network, &layers)
                // Of another network, the operations per second are better than nothing.
                .or(self.calibration.as_ref().map(|found| found.macs_per_second / drift))
                .unwrap_or(MACS_PER_SECOND_UNKNOWN),
            layers,
            memory_bytes: report.and_then(memory),
            power: self.power.estimate(now, &power),
            budget_watts: power.budget_watts,
            joules_per_byte: (power.joules_per_byte_sent, power.joules_per_byte_received),
            utilisation: self.utilisation,
        }
    }
}

/// Operations per second over the layers whose time is known.
fn rate(network: &Network, layers: &[LayerEstimate]) -> Option<f64> {
    let known = network
        .layers()
        .iter()
        .zip(layers)
        .filter_map(|(layer, found)| found.seconds().map(|seconds| (layer.macs as f64, seconds)));
    let (macs, seconds) = known.fold((0.0, 0.0), |(a, b), (macs, seconds)| (a + macs, b + seconds));
    (macs > 0.0 && seconds > 0.0).then(|| macs / seconds)
}

/// What is left of the limit once the process itself has what it needs besides weights.
fn memory(report: &Report) -> Option<u64> {
    let own = report.resident_bytes.saturating_sub(report.weight_bytes);
    (report.memory_limit_bytes > 0).then(|| report.memory_limit_bytes.saturating_sub(own))
}

#[cfg(test)]
mod tests {
    use weir_shared::arch::Arch;
    use weir_shared::ids::Term;

    use super::*;

    pub(super) fn hello(start: u64, calibration: Option<Calibration>) -> Hello {
        Hello {
            release: "".into(),
            data_address: "127.0.0.1:1".parse().unwrap(),
            threads: 1,
            term: Term(1),
            live: vec![],
            start: StartId(start),
            report_period_millis: 250,
            calibration,
        }
    }

    fn report(start: u64, uptime: f64, layers: Vec<LayerReading>) -> Report {
        Report { start: StartId(start), uptime_seconds: uptime, layers, ..Report::default() }
    }

    fn layer(layer: u16, runs: u64, seconds: f64) -> LayerReading {
        LayerReading { layer: LayerId(layer), batch: 2, runs, seconds }
    }

    fn calibration(network: &Network) -> Calibration {
        let layers = usize::from(network.layer_count());
        Calibration {
            network: Arch::ResNet20.into(),
            layer_seconds: vec![Some(0.001); layers],
            macs_per_second: 1e9,
            codec: vec![],
        }
    }

    #[test]
    fn layers_measured_in_operation_scale_those_that_were_only_calibrated() {
        let (network, now) = (Arch::ResNet20.network(), Instant::now());
        let mut worker = WorkerEstimator::joined(now, &hello(1, Some(calibration(&network))), None);
        assert_eq!(worker.estimate(now, &network).layers[3], LayerEstimate::Calibrated(0.001));
        worker.fold(now, report(1, 1.0, vec![layer(3, 9, 0.006)])).unwrap();
        let found = worker.estimate(now, &network);
        assert_eq!(found.layers[3], LayerEstimate::InOperation(0.003));
        assert!((found.layers[4].seconds().unwrap() - 0.003).abs() < 1e-12);
    }

    #[test]
    fn what_cannot_be_true_changes_nothing_and_costs_trust_until_the_next_good_report() {
        let (network, now) = (Arch::ResNet20.network(), Instant::now());
        let mut worker = WorkerEstimator::joined(now, &hello(1, None), None);
        worker.fold(now, report(1, 1.0, vec![layer(3, 9, 0.006)])).unwrap();
        let good = worker.estimate(now, &network);
        assert_eq!(good.trust, Trust::Fresh);
        let absurd = report(1, 2.0, vec![layer(3, 10, f64::NAN)]);
        assert_eq!(worker.fold(now, absurd), Err(Absurdity::NotFinite));
        assert_eq!(worker.trust(now), Trust::Absurd(Absurdity::NotFinite));
        assert_eq!(worker.estimate(now, &network).layers, good.layers);
        worker.fold(now, report(1, 2.0, vec![])).unwrap();
        assert_eq!(worker.trust(now), Trust::Fresh);
    }

    #[test]
    fn a_silent_worker_grows_stale_and_a_restarted_one_begins_anew() {
        let (network, now) = (Arch::ResNet20.network(), Instant::now());
        let mut worker = WorkerEstimator::joined(now, &hello(1, None), None);
        worker.fold(now, report(1, 5.0, vec![layer(3, 9, 0.006)])).unwrap();
        assert_eq!(worker.trust(now + SILENCE_MIN + Duration::from_millis(1)), Trust::Stale);
        // The same start in a new session: nothing is lost.
        let kept = WorkerEstimator::joined(now, &hello(1, None), Some(worker.clone()));
        assert_eq!(kept.estimate(now, &network).layers[3], LayerEstimate::InOperation(0.003));
        let fresh = WorkerEstimator::joined(now, &hello(2, None), Some(worker));
        assert_eq!(fresh.estimate(now, &network).layers[3], LayerEstimate::Unknown);
    }
}
