//! What this worker measures of its machine, and puts into each report: power and energy, memory, times of layers.
//!
//! Energy sources stand behind one trait ([`ReadEnergy`]), and every reading names its source. Files of the system are read
//! below a root that can be set, so that the trees of real boards can be tested anywhere.

mod battery;
mod calibration;
mod hwmon;
mod layers;
mod memory;
mod model;
mod powercap;
mod source;
mod sysfs;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use weir_shared::telemetry::{EnergySource, PowerReport, Report, StartId, ZONES_MAX};

pub use battery::Battery;
pub use calibration::{CalibrationError, calibrate};
pub use hwmon::Hwmon;
pub use layers::{LayerTimes, whole_layers};
pub use memory::resident_bytes;
pub use model::{Model, PowerModel, RadioModel};
pub use powercap::Powercap;
pub use source::{Moment, ReadEnergy, Reading};

/// What a worker is told about its machine.
#[derive(Debug, Clone)]
pub struct TelemetryConfig {
    /// Where the system's files are; `/sys`.
    pub sysfs_root: PathBuf,
    /// Where the processes' files are; `/proc`.
    pub proc_root: PathBuf,
    /// Idle and full power, where nothing can be read and to begin with.
    pub power: PowerModel,
    /// Energy of communication.
    pub radio: RadioModel,
    /// The most that may be drawn, if somebody says so.
    pub budget_watts: Option<f64>,
    /// How long the battery must last from the start on.
    pub battery_for: Option<Duration>,
    /// The most memory that may be used, if somebody says so.
    pub memory_limit: Option<u64>,
}

/// Reads the machine for each report.
pub struct Telemetry {
    config: TelemetryConfig,
    start: StartId,
    started: Instant,
    sources: Vec<Box<dyn ReadEnergy>>,
}

impl Default for TelemetryConfig {
    fn default() -> Self {
        Self {
            sysfs_root: "/sys".into(),
            proc_root: "/proc".into(),
            power: PowerModel::default(),
            radio: RadioModel::default(),
            budget_watts: None,
            battery_for: None,
            memory_limit: None,
        }
    }
}

/// The battery's budget is never reckoned for less: at the end of the wanted time it would grow without limit.
const BATTERY_LEFT_MIN: Duration = Duration::from_secs(60);

impl Telemetry {
    /// Looks for energy sources. `start` names this start of the process.
    pub fn new(config: TelemetryConfig, start: StartId, now: Instant) -> Self {
        let root = &config.sysfs_root;
        let found: [Option<Box<dyn ReadEnergy>>; 3] = [
            Powercap::find(root).map(|source| Box::new(source) as _),
            Hwmon::find(root).map(|source| Box::new(source) as _),
            Battery::find(root).map(|source| Box::new(source) as _),
        ];
        let mut sources: Vec<_> = found.into_iter().flatten().collect();
        let names: Vec<_> = sources.iter().map(|source| source.source().name()).collect();
        tracing::info!(sources = ?names, model = %config.power, "energy sources");
        sources.push(Box::new(Model::new(config.power, config.radio)));
        Self { config, start, started: now, sources }
    }

    /// The start of the process that counters rise from.
    pub const fn start(&self) -> StartId {
        self.start
    }

    /// Fills in what the stage does not know.
    pub fn complete(&mut self, report: &mut Report, now: Instant) {
        report.start = self.start;
        report.uptime_seconds = now.saturating_duration_since(self.started).as_secs_f64();
        report.resident_bytes = memory::resident_bytes_of(&self.config.proc_root);
        report.memory_limit_bytes =
            memory::limit_bytes(&self.config.sysfs_root, &self.config.proc_root, self.config.memory_limit);
        let moment = Moment {
            at: now,
            busy_seconds: report.compute_seconds,
            sent_bytes: report.links.iter().map(|link| link.sent_bytes).sum(),
            received_bytes: report.received_bytes,
        };
        report.power = self.power(moment);
    }

    fn power(&mut self, moment: Moment) -> PowerReport {
        let mut readings = Vec::new();
        let (mut primary, mut battery, mut caps) = (EnergySource::Model, None, Vec::new());
        for source in self.sources.iter_mut().rev() {
            let found = source.read(moment);
            // The last one that says something is the most trusted: they are asked from the least on.
            if source.speaks() && !found.is_empty() {
                primary = source.source();
            }
            let name = source.source();
            readings.splice(0..0, found.into_iter().map(|reading| reading.from(name)));
            battery = battery.or(source.battery());
        }
        readings.truncate(ZONES_MAX);
        caps.extend(powercap::limit_watts(&self.config.sysfs_root));
        caps.extend(self.config.budget_watts);
        if let (Some(wanted), Some(joules)) = (self.config.battery_for, battery.and_then(|b| b.joules_left)) {
            let left = wanted.saturating_sub(moment.at.saturating_duration_since(self.started));
            caps.push(joules / left.max(BATTERY_LEFT_MIN).as_secs_f64());
        }
        PowerReport {
            primary,
            readings,
            idle_watts: self.config.power.idle_watts,
            max_watts: self.config.power.max_watts,
            joules_per_byte_sent: self.config.radio.joules_per_byte_sent,
            joules_per_byte_received: self.config.radio.joules_per_byte_received,
            budget_watts: caps.into_iter().reduce(f64::min),
            battery,
        }
    }
}
