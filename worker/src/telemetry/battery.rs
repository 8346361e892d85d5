//! A battery's gauge, through `class/power_supply`.
//!
//! <https://docs.kernel.org/power/power_supply_class.html>: energy in µWh or charge in µAh, power in µW or current in µA,
//! voltage in µV. Batteries of mice and the like (`scope` is `Device`) do not feed the machine. While a battery is charged
//! its power is no measure of what the machine draws.

use std::path::{Path, PathBuf};

use weir_shared::telemetry::{BatteryReading, EnergySource};

use super::source::{Integral, Moment, ReadEnergy, Reading};
use super::sysfs;

/// Joules of a microwatt-hour.
const JOULES_PER_UWH: f64 = 3600.0 / 1e6;

/// One battery; of several the first.
pub struct Battery {
    folder: PathBuf,
    energy: Integral,
    state: Option<BatteryReading>,
}

impl Battery {
    /// The battery below `root`, if there is one.
    pub fn find(root: &Path) -> Option<Self> {
        let feeds = |folder: &PathBuf| {
            let is = |file: &str, value: &str| sysfs::text(&folder.join(file)).is_some_and(|t| t == value);
            is("type", "Battery") && !is("scope", "Device")
        };
        let folder = sysfs::entries(&root.join("class/power_supply")).into_iter().find(feeds)?;
        let mut battery = Self { folder, energy: Integral::default(), state: None };
        battery.state = battery.look();
        battery.state.is_some().then_some(battery)
    }

    fn micro(&self, file: &str) -> Option<f64> {
        sysfs::number(&self.folder.join(file))
    }

    fn look(&self) -> Option<BatteryReading> {
        let volts = self.micro("voltage_now").map(|micro| micro / 1e6);
        let of_charge = |file| Some(self.micro(file)? * volts?);
        let now = self.micro("energy_now").or_else(|| of_charge("charge_now"));
        let full = self.micro("energy_full").or_else(|| of_charge("charge_full"));
        let stated = self.micro("capacity").map(|percent| percent / 100.0);
        let ratio = stated.or_else(|| Some(now? / full?)).filter(|ratio| ratio.is_finite())?;
        let status = sysfs::text(&self.folder.join("status"));
        Some(BatteryReading {
            ratio: ratio.clamp(0.0, 1.0),
            joules_left: now.map(|uwh| (uwh * JOULES_PER_UWH).max(0.0)),
            discharging: status.is_some_and(|status| status == "Discharging"),
        })
    }

    fn watts(&self) -> Option<f64> {
        let product = || Some(self.micro("voltage_now")? * self.micro("current_now")? / 1e6);
        // Some gauges count what flows out as negative.
        self.micro("power_now").or_else(product).map(|micro| micro.abs() / 1e6)
    }
}

impl ReadEnergy for Battery {
    fn source(&self) -> EnergySource {
        EnergySource::Battery
    }

    fn read(&mut self, moment: Moment) -> Vec<Reading> {
        self.state = self.look();
        let watts = self.watts().filter(|_| self.speaks());
        let joules = match watts {
            Some(watts) => self.energy.add(moment.at, watts),
            None => self.energy.pause(),
        };
        vec![Reading { zone: sysfs::name(&self.folder), joules, watts: watts.unwrap_or(0.0) }]
    }

    fn speaks(&self) -> bool {
        self.state.is_some_and(|state| state.discharging) && self.watts().is_some()
    }

    fn battery(&self) -> Option<BatteryReading> {
        self.state
    }
}
