//! Power and energy as a worker reads them, each reading with its source.

use serde::{Deserialize, Serialize};

use crate::wire::control::Reason;

/// Zones in one report: a server with eight sockets and their memory.
pub const ZONES_MAX: usize = 16;

/// Where a reading is from. Estimates are never mixed up with measurements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EnergySource {
    /// Counters of the processor (powercap).
    Rapl,
    /// A power monitor on the board (INA2xx, INA3221).
    Hwmon,
    /// The battery's gauge.
    Battery,
    /// Nothing can be read: `P = idle + (max - idle) * utilisation`, and joules for each byte.
    #[default]
    Model,
}

/// Power and energy of a worker.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct PowerReport {
    /// The source that decisions rest on: the first that there is, in the order of [`EnergySource`].
    pub primary: EnergySource,
    /// One entry for each zone of each source, at most [`ZONES_MAX`]. Zones of one source do not overlap.
    pub readings: Vec<PowerReading>,
    /// Drawn while nothing is computed, as stated to the worker.
    pub idle_watts: f64,
    /// Drawn while every compute thread is busy, as stated to the worker.
    pub max_watts: f64,
    /// For each byte sent, as stated.
    pub joules_per_byte_sent: f64,
    /// For each byte received, as stated.
    pub joules_per_byte_received: f64,
    /// The most that may be drawn: the lowest of what was configured, of the machine's cap, and of what makes the battery
    /// last.
    pub budget_watts: Option<f64>,
    /// The battery, where there is one.
    pub battery: Option<BatteryReading>,
}

/// One zone of one source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PowerReading {
    /// Where it is from.
    pub source: EnergySource,
    /// The zone's name: `package-0`, `VDD_IN`, `BAT0`, `worker`.
    pub zone: Reason,
    /// Used since the worker's start.
    pub joules: f64,
    /// Drawn over the last report period.
    pub watts: f64,
}

/// How a battery does.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct BatteryReading {
    /// Share of the full charge, 0 to 1.
    pub ratio: f64,
    /// Energy left, where the gauge says.
    pub joules_left: Option<f64>,
    /// Whether it runs down.
    pub discharging: bool,
}

impl EnergySource {
    /// Every source, the most trusted first.
    pub const ALL: [Self; 4] = [Self::Rapl, Self::Hwmon, Self::Battery, Self::Model];

    /// The value of the metric label `source`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rapl => "rapl",
            Self::Hwmon => "hwmon",
            Self::Battery => "battery",
            Self::Model => "model",
        }
    }
}

impl PowerReport {
    /// Watts of the primary source, all zones together; none before the first period is over.
    pub fn watts(&self) -> Option<f64> {
        self.of_primary().map(|reading| reading.watts).reduce(|a, b| a + b)
    }

    /// Joules of the primary source, all zones together.
    pub fn joules(&self) -> f64 {
        self.of_primary().map(|reading| reading.joules).sum()
    }

    fn of_primary(&self) -> impl Iterator<Item = &PowerReading> {
        self.readings.iter().filter(|reading| reading.source == self.primary)
    }
}
