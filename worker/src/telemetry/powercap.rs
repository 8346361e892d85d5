//! Processors that count their own energy: Intel's RAPL and what AMD offers like it, through `class/powercap`.
//!
//! <https://docs.kernel.org/power/powercap/powercap.html>. `energy_uj` wraps around at `max_energy_range_uj`. Zones nest:
//! cores and graphics are parts of a package and are not added to it; memory (`dram`) is beside it. `psys` is the whole
//! platform and counts only where there is no package. The same package may be there twice, by register and by memory
//! (`intel-rapl-mmio`), and counts once.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use weir_shared::telemetry::EnergySource;

use super::source::{Moment, ReadEnergy, Reading};
use super::sysfs;

/// The zones of one machine.
pub struct Powercap {
    zones: Vec<Zone>,
}

struct Zone {
    folder: PathBuf,
    name: String,
    /// Joules at which the counter begins anew.
    range: f64,
    joules: f64,
    last: Option<(Instant, f64)>,
}

impl Powercap {
    /// The zones below `root`, if there are any whose energy may be read.
    pub fn find(root: &Path) -> Option<Self> {
        let folders = sysfs::entries(&root.join("class/powercap"));
        let named =
            folders.into_iter().filter_map(|folder| Some((sysfs::text(&folder.join("name"))?, folder)));
        let named: Vec<(String, PathBuf)> = named.collect();
        let mut packages: BTreeMap<&str, &PathBuf> = BTreeMap::new();
        // Sorted by folder, `intel-rapl-mmio:0` stands before `intel-rapl:0`, which takes its place.
        for (name, folder) in named.iter().filter(|(name, _)| name.starts_with("package")) {
            packages.insert(name, folder);
        }
        let mut zones: Vec<Zone> =
            packages.iter().filter_map(|(name, folder)| Zone::open((*name).to_owned(), folder)).collect();
        for (package, folder) in &packages {
            let part = format!("{}:", sysfs::name(folder));
            let memory =
                named.iter().filter(|(name, path)| name == "dram" && sysfs::name(path).starts_with(&part));
            zones.extend(memory.filter_map(|(name, path)| Zone::open(format!("{package}/{name}"), path)));
        }
        if zones.is_empty() {
            let platform = named.iter().find(|(name, _)| name == "psys");
            zones.extend(platform.and_then(|(name, folder)| Zone::open(name.clone(), folder)));
        }
        (!zones.is_empty()).then_some(Self { zones })
    }
}

impl Zone {
    fn open(name: String, folder: &Path) -> Option<Self> {
        let micro = |file| sysfs::number(&folder.join(file)).map(|micro| micro / 1e6);
        // Only root may read it on most systems.
        micro("energy_uj")?;
        let range = micro("max_energy_range_uj")?;
        Some(Self { folder: folder.to_owned(), name, range, joules: 0.0, last: None })
    }

    fn read(&mut self, at: Instant) -> Reading {
        let counter = sysfs::number(&self.folder.join("energy_uj")).map(|micro| micro / 1e6);
        let mut watts = 0.0;
        if let Some(counter) = counter {
            if let Some((before, last)) = self.last {
                let used = if counter >= last { counter - last } else { self.range - last + counter };
                let used = used.max(0.0);
                self.joules += used;
                let seconds = at.saturating_duration_since(before).as_secs_f64();
                watts = if seconds > 0.0 { used / seconds } else { 0.0 };
            }
            self.last = Some((at, counter));
        }
        Reading { zone: self.name.clone(), joules: self.joules, watts }
    }
}

impl ReadEnergy for Powercap {
    fn source(&self) -> EnergySource {
        EnergySource::Rapl
    }

    fn read(&mut self, moment: Moment) -> Vec<Reading> {
        self.zones.iter_mut().map(|zone| zone.read(moment.at)).collect()
    }
}

/// The long-term limits of all packages below `root`, together. 0 means that there is none.
///
/// Anybody may read limits, while most systems show the energy to root only: so a limit counts whether or not the
/// energy can be read.
pub fn limit_watts(root: &Path) -> Option<f64> {
    let folders = sysfs::entries(&root.join("class/powercap"));
    let mut packages: BTreeMap<String, f64> = BTreeMap::new();
    for folder in folders {
        let name = sysfs::text(&folder.join("name")).filter(|name| name.starts_with("package"));
        let limit = sysfs::number(&folder.join("constraint_0_power_limit_uw"));
        // By name, because the same package may be there twice.
        packages.extend(name.zip(limit.filter(|&microwatts| microwatts > 0.0)));
    }
    (!packages.is_empty()).then(|| packages.values().sum::<f64>() / 1e6)
}
