//! What a worker draws while it idles and beyond that while it computes.
//!
//! Where nothing can be read both are stated. Where watts are read, they are learnt: the idle power is the smallest of a
//! while, and what is drawn above it belongs to the share of time that was computed in.

use std::time::{Duration, Instant};

use weir_shared::telemetry::{EnergySource, PowerReport, WindowedMinimum};

/// The smallest power of this time is taken for the idle one.
const IDLE_WINDOW: Duration = Duration::from_secs(300);

/// Below this share of busy time the rest drowns in the noise of the sensor.
const UTILISATION_MIN: f64 = 0.1;

/// Weight of a new value.
const WEIGHT: f64 = 0.1;

/// Folds the power readings of one worker.
#[derive(Debug, Clone)]
pub struct PowerEstimator {
    idle: WindowedMinimum,
    active: Option<f64>,
}

/// What is believed about a worker's power.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PowerEstimate {
    /// Where it is from.
    pub source: EnergySource,
    /// Drawn while nothing is computed.
    pub idle_watts: f64,
    /// Drawn beyond that while computing.
    pub active_watts: f64,
}

impl Default for PowerEstimator {
    fn default() -> Self {
        Self { idle: WindowedMinimum::new(IDLE_WINDOW), active: None }
    }
}

impl PowerEstimator {
    /// Takes the readings of one report, and the share of time computed in since the last.
    pub fn fold(&mut self, now: Instant, report: &PowerReport, utilisation: f64) {
        let Some(watts) = report.watts().filter(|_| report.primary != EnergySource::Model) else { return };
        self.idle.add(now, watts);
        let idle = self.idle.get(now).unwrap_or(watts);
        if utilisation >= UTILISATION_MIN {
            let found = (watts - idle) / utilisation.min(1.0);
            self.active = Some(self.active.map_or(found, |known| known + WEIGHT * (found - known)));
        }
    }

    /// What is believed now: what was learnt, else what was stated.
    pub fn estimate(&self, now: Instant, report: &PowerReport) -> PowerEstimate {
        let stated = report.max_watts - report.idle_watts;
        let measured = report.primary != EnergySource::Model;
        let idle = self.idle.get(now).filter(|_| measured && self.active.is_some());
        let active = self.active.filter(|_| measured);
        PowerEstimate {
            source: if active.is_some() { report.primary } else { EnergySource::Model },
            idle_watts: idle.unwrap_or(report.idle_watts),
            active_watts: active.unwrap_or(stated),
        }
    }
}

#[cfg(test)]
mod tests {
    use weir_shared::telemetry::PowerReading;

    use super::*;

    fn report(source: EnergySource, watts: f64) -> PowerReport {
        let reading = PowerReading { source, zone: "board".into(), joules: 0.0, watts };
        PowerReport {
            primary: source,
            readings: vec![reading],
            idle_watts: 2.0,
            max_watts: 6.0,
            ..Default::default()
        }
    }

    #[test]
    fn measured_watts_are_split_into_idle_and_active() {
        let (mut power, now) = (PowerEstimator::default(), Instant::now());
        let idle = report(EnergySource::Hwmon, 3.0);
        power.fold(now, &idle, 0.0);
        assert_eq!(power.estimate(now, &idle).source, EnergySource::Model);
        let busy = report(EnergySource::Hwmon, 5.0);
        power.fold(now, &busy, 0.5);
        let found = power.estimate(now, &busy);
        assert_eq!((found.source, found.idle_watts, found.active_watts), (EnergySource::Hwmon, 3.0, 4.0));
    }

    #[test]
    fn without_a_sensor_the_stated_figures_hold() {
        let (mut power, now) = (PowerEstimator::default(), Instant::now());
        let model = report(EnergySource::Model, 2.4);
        power.fold(now, &model, 0.9);
        let found = power.estimate(now, &model);
        assert_eq!((found.idle_watts, found.active_watts), (2.0, 4.0));
    }
}
