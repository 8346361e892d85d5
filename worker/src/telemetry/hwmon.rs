//! Power monitors on the board: INA219, INA226 and their like, and the INA3221 of Jetson boards, through `class/hwmon`.
//!
//! <https://docs.kernel.org/hwmon/ina2xx.html> has `power1_input` in microwatts;
//! <https://docs.kernel.org/hwmon/ina3221.html> has voltages (`in[1-3]_input`, mV) and currents (`curr[1-3]_input`, mA) to be
//! multiplied. Where a channel is the board's input (`VDD_IN`), the others are parts of it and are not added.

use std::path::{Path, PathBuf};

use weir_shared::telemetry::EnergySource;

use super::source::{Integral, Moment, ReadEnergy, Reading};
use super::sysfs;

/// The monitors of one board.
pub struct Hwmon {
    channels: Vec<Channel>,
}

struct Channel {
    name: String,
    sensor: Sensor,
    energy: Integral,
}

enum Sensor {
    /// Microwatts.
    Power(PathBuf),
    /// Millivolts and milliamperes.
    Product(PathBuf, PathBuf),
}

/// Channels of one chip; the INA3221 has three.
const CHANNELS: std::ops::RangeInclusive<u8> = 1..=3;

impl Hwmon {
    /// The monitors below `root`, if there are any.
    pub fn find(root: &Path) -> Option<Self> {
        let chips = sysfs::entries(&root.join("class/hwmon")).into_iter();
        let mut channels: Vec<Channel> = chips.flat_map(|chip| channels(&chip)).collect();
        if channels.iter().any(Channel::is_input) {
            channels.retain(Channel::is_input);
        }
        (!channels.is_empty()).then_some(Self { channels })
    }
}

fn channels(chip: &Path) -> Vec<Channel> {
    let Some(name) = sysfs::text(&chip.join("name")).filter(|name| name.starts_with("ina")) else {
        return Vec::new();
    };
    let channel = |number: u8| {
        let file = |kind: &str, what: &str| chip.join(format!("{kind}{number}_{what}"));
        let power = Sensor::Power(file("power", "input"));
        let product = Sensor::Product(file("in", "input"), file("curr", "input"));
        let sensor = [power, product].into_iter().find(|sensor| sensor.watts().is_some())?;
        let label = sysfs::text(&file("power", "label")).or_else(|| sysfs::text(&file("in", "label")));
        let chip_name = format!("{}-{name}-{number}", sysfs::name(chip));
        let name = label.filter(|label| !label.is_empty()).unwrap_or(chip_name);
        Some(Channel { name, sensor, energy: Integral::default() })
    };
    CHANNELS.filter_map(channel).collect()
}

impl Channel {
    fn is_input(&self) -> bool {
        self.name.ends_with("_IN")
    }
}

impl Sensor {
    fn watts(&self) -> Option<f64> {
        match self {
            Self::Power(micro) => Some(sysfs::number(micro)? / 1e6),
            // mV times mA are microwatts.
            Self::Product(volts, amperes) => Some(sysfs::number(volts)? * sysfs::number(amperes)? / 1e6),
        }
        // A shunt that is wired the other way counts backwards, and noise around zero does.
        .map(|watts| watts.max(0.0))
    }
}

impl ReadEnergy for Hwmon {
    fn source(&self) -> EnergySource {
        EnergySource::Hwmon
    }

    fn read(&mut self, moment: Moment) -> Vec<Reading> {
        let read = |channel: &mut Channel| {
            let watts = channel.sensor.watts();
            let joules = match watts {
                Some(watts) => channel.energy.add(moment.at, watts),
                None => channel.energy.pause(),
            };
            Reading { zone: channel.name.clone(), joules, watts: watts.unwrap_or(0.0) }
        };
        self.channels.iter_mut().map(read).collect()
    }
}
