//! Readings that cannot be true: a worker with a broken clock, sensor or program must not steer plans.

use std::collections::BTreeSet;

use super::{Calibration, LAYERS_MAX, LINKS_MAX, LinkReport, PowerReport, Report, ZONES_MAX};
use crate::plan::Encoding;

/// A hundred years: longer than any process runs, short enough that no sum of them loses its meaning.
const SECONDS_MAX: f64 = 3.2e9;

/// Round trips beyond a minute are none of a network's: QUIC gives a silent peer up after 1.5 s.
const RTT_MAX: f64 = 60.0;

/// 10 TB/s, a hundred times the fastest links that there are.
const GOODPUT_MAX: f64 = 1e13;

/// A megawatt, a hundred times a rack.
const WATTS_MAX: f64 = 1e6;

/// 10^18 bytes or events: at 10 TB/s a day.
const COUNT_MAX: u64 = 1_000_000_000_000_000_000;

/// 10^18 operations per second, the fastest machine on earth.
const RATE_MAX: f64 = 1e18;

/// Why a report is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Absurdity {
    /// A number is NaN or infinite.
    #[error("a reading is not a finite number")]
    NotFinite,
    /// A number that cannot be negative is.
    #[error("a reading is negative")]
    Negative,
    /// A number is larger than anything real.
    #[error("a reading is absurdly large")]
    TooLarge,
    /// A counter of the same start is smaller than before.
    #[error("a counter went back although the worker did not restart")]
    CounterBack,
    /// A list is longer than any worker's.
    #[error("a list of readings is too long")]
    TooMany,
    /// Two entries are about the same thing, or one about nothing that exists.
    #[error("readings contradict each other")]
    Contradiction,
}

impl Absurdity {
    /// Every reason.
    pub const ALL: [Self; 6] = [
        Self::NotFinite,
        Self::Negative,
        Self::TooLarge,
        Self::CounterBack,
        Self::TooMany,
        Self::Contradiction,
    ];

    /// The value of the metric label `reason`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotFinite => "not_finite",
            Self::Negative => "negative",
            Self::TooLarge => "too_large",
            Self::CounterBack => "counter_back",
            Self::TooMany => "too_many",
            Self::Contradiction => "contradiction",
        }
    }
}

impl Report {
    /// Checks the report alone, and against the last one of the same start that was believed.
    ///
    /// # Errors
    /// The first thing that cannot be true.
    pub fn check(&self, before: Option<&Self>) -> Result<(), Absurdity> {
        if self.layers.len() > LAYERS_MAX
            || self.links.len() > LINKS_MAX
            || self.power.readings.len() > ZONES_MAX
        {
            return Err(Absurdity::TooMany);
        }
        within(self.uptime_seconds, SECONDS_MAX)?;
        within(self.compute_seconds, SECONDS_MAX)?;
        let sizes = [self.weight_bytes, self.resident_bytes, self.received_bytes, self.executions];
        // A cgroup without a limit may say almost 2^63, which is no limit.
        counts(&sizes)?;
        for layer in &self.layers {
            within(layer.seconds, SECONDS_MAX)?;
            counts(&[layer.runs])?;
        }
        self.power.check()?;
        self.links.iter().try_for_each(LinkReport::check)?;
        let layers: BTreeSet<_> = self.layers.iter().map(|reading| reading.layer).collect();
        let peers: BTreeSet<_> = self.links.iter().map(|link| &link.to).collect();
        let twice = layers.len() < self.layers.len() || peers.len() < self.links.len();
        let empty = self.layers.iter().any(|layer| layer.batch == 0 || layer.runs == 0);
        if twice || empty {
            return Err(Absurdity::Contradiction);
        }
        match before.filter(|before| before.start == self.start) {
            Some(before) => self.check_rising(before),
            None => Ok(()),
        }
    }

    fn check_rising(&self, before: &Self) -> Result<(), Absurdity> {
        let times = self.uptime_seconds < before.uptime_seconds
            || self.compute_seconds < before.compute_seconds
            || self.executions < before.executions
            || self.received_bytes < before.received_bytes;
        let links = self.links.iter().any(|link| {
            let known = before.links.iter().find(|known| known.to == link.to);
            known.is_some_and(|known| {
                link.activations < known.activations
                    || link.sent_bytes < known.sent_bytes
                    || link.packets_sent < known.packets_sent
                    || link.packets_lost < known.packets_lost
                    || link.probes < known.probes
            })
        });
        let joules = self.power.readings.iter().any(|reading| {
            let same =
                before.power.readings.iter().find(|b| b.source == reading.source && b.zone == reading.zone);
            same.is_some_and(|before| reading.joules < before.joules)
        });
        if times || links || joules { Err(Absurdity::CounterBack) } else { Ok(()) }
    }
}

impl LinkReport {
    /// Checks one link's readings.
    ///
    /// # Errors
    /// The first thing that cannot be true.
    pub fn check(&self) -> Result<(), Absurdity> {
        if let Some(rtt) = self.rtt {
            within(rtt.seconds, RTT_MAX)?;
            within(rtt.variation_seconds, RTT_MAX)?;
            within(rtt.minimum_seconds, RTT_MAX)?;
            within(rtt.age_seconds, SECONDS_MAX)?;
        }
        if let Some(goodput) = self.goodput {
            within(goodput.bytes_per_second, GOODPUT_MAX)?;
            within(goodput.age_seconds, SECONDS_MAX)?;
            counts(&[goodput.samples])?;
        }
        counts(&[
            self.activations,
            self.sent_bytes,
            self.packets_sent,
            self.packets_lost,
            self.congestion_events,
            self.probes,
            self.probe_failures,
        ])
    }
}

impl PowerReport {
    fn check(&self) -> Result<(), Absurdity> {
        for reading in &self.readings {
            within(reading.joules, WATTS_MAX * SECONDS_MAX)?;
            within(reading.watts, WATTS_MAX)?;
        }
        let stated = [self.idle_watts, self.max_watts, self.budget_watts.unwrap_or(0.0)];
        stated.into_iter().try_for_each(|watts| within(watts, WATTS_MAX))?;
        within(self.joules_per_byte_sent, 1.0)?;
        within(self.joules_per_byte_received, 1.0)?;
        if self.max_watts < self.idle_watts {
            return Err(Absurdity::Contradiction);
        }
        if let Some(battery) = self.battery {
            within(battery.ratio, 1.0)?;
            within(battery.joules_left.unwrap_or(0.0), WATTS_MAX * SECONDS_MAX)?;
        }
        Ok(())
    }
}

impl Calibration {
    /// Checks what a worker says of itself when it introduces itself.
    ///
    /// # Errors
    /// The first thing that cannot be true.
    pub fn check(&self) -> Result<(), Absurdity> {
        if self.layer_seconds.len() > LAYERS_MAX || self.codec.len() > Encoding::ALL.len() {
            return Err(Absurdity::TooMany);
        }
        self.layer_seconds.iter().flatten().try_for_each(|&seconds| within(seconds, SECONDS_MAX))?;
        within(self.macs_per_second, RATE_MAX)?;
        for codec in &self.codec {
            within(codec.encode_seconds, 1.0)?;
            within(codec.decode_seconds, 1.0)?;
        }
        let layers = usize::from(self.network.network().layer_count());
        if self.layer_seconds.len() != layers || self.macs_per_second <= 0.0 {
            return Err(Absurdity::Contradiction);
        }
        Ok(())
    }
}

fn within(number: f64, most: f64) -> Result<(), Absurdity> {
    if !number.is_finite() {
        Err(Absurdity::NotFinite)
    } else if number < 0.0 {
        Err(Absurdity::Negative)
    } else if number > most {
        Err(Absurdity::TooLarge)
    } else {
        Ok(())
    }
}

fn counts(counts: &[u64]) -> Result<(), Absurdity> {
    if counts.iter().any(|&count| count > COUNT_MAX) { Err(Absurdity::TooLarge) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::super::{GoodputReading, LayerReading, PowerReading, RttReading, StartId};
    use super::*;
    use crate::arch::LayerId;
    use crate::ids::{PeerName, Role};
    use crate::telemetry::EnergySource;
    use crate::wire::binary;

    fn link(name: &str) -> LinkReport {
        let rtt =
            RttReading { seconds: 0.02, variation_seconds: 0.001, minimum_seconds: 0.019, age_seconds: 0.1 };
        let goodput = GoodputReading { bytes_per_second: 1e6, samples: 3, age_seconds: 0.5 };
        let to = PeerName::new(Role::Worker, name).unwrap();
        LinkReport { rtt: Some(rtt), goodput: Some(goodput), sent_bytes: 10, ..LinkReport::unknown(to) }
    }

    fn sane() -> Report {
        let layer = LayerReading { layer: LayerId(3), batch: 1, runs: 9, seconds: 0.001 };
        let zone =
            PowerReading { source: EnergySource::Model, zone: "worker".into(), joules: 3.0, watts: 2.0 };
        let power =
            PowerReport { readings: vec![zone], idle_watts: 2.0, max_watts: 6.0, ..Default::default() };
        Report {
            start: StartId(7),
            uptime_seconds: 10.0,
            executions: 5,
            layers: vec![layer],
            links: vec![link("a")],
            power,
            ..Report::default()
        }
    }

    fn check(change: impl FnOnce(&mut Report), expect: Result<(), Absurdity>) {
        let mut report = sane();
        change(&mut report);
        assert_eq!(report.check(Some(&sane())), expect);
    }

    #[test]
    fn what_cannot_be_true_is_refused_with_its_reason() {
        check(|_| (), Ok(()));
        check(|r| r.uptime_seconds = f64::NAN, Err(Absurdity::NotFinite));
        check(|r| r.layers[0].seconds = f64::INFINITY, Err(Absurdity::NotFinite));
        check(|r| r.power.readings[0].watts = -1.0, Err(Absurdity::Negative));
        check(|r| r.links[0].rtt.as_mut().unwrap().seconds = 1e9, Err(Absurdity::TooLarge));
        check(|r| r.links[0].goodput.as_mut().unwrap().bytes_per_second = 1e30, Err(Absurdity::TooLarge));
        check(|r| r.weight_bytes = u64::MAX, Err(Absurdity::TooLarge));
        check(|r| r.executions = 4, Err(Absurdity::CounterBack));
        check(|r| r.links[0].sent_bytes = 9, Err(Absurdity::CounterBack));
        check(|r| r.power.readings[0].joules = 1.0, Err(Absurdity::CounterBack));
        check(|r| r.layers = vec![r.layers[0]; LAYERS_MAX + 1], Err(Absurdity::TooMany));
        check(|r| r.links.push(link("a")), Err(Absurdity::Contradiction));
        check(|r| r.layers[0].batch = 0, Err(Absurdity::Contradiction));
        check(|r| r.power.max_watts = 1.0, Err(Absurdity::Contradiction));
    }

    #[test]
    fn a_restarted_worker_may_count_from_zero() {
        check(|r| (r.start, r.executions, r.uptime_seconds) = (StartId(8), 0, 0.1), Ok(()));
    }

    #[test]
    fn the_longest_report_fits_into_a_message() {
        let mut report = sane();
        report.links = (0..LINKS_MAX).map(|i| link(&format!("{i:063}").replace(' ', "0"))).collect();
        report.layers = (0..LAYERS_MAX as u16)
            .map(|layer| LayerReading { layer: LayerId(layer), batch: 8, runs: 1 << 40, seconds: 0.1 })
            .collect();
        assert_eq!(report.check(None), Ok(()));
        let bytes = binary::encode(&report).unwrap().len();
        assert!(bytes < 64 * 1024, "{bytes}");
    }
}
