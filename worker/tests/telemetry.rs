//! Trees of the system's files as on real boards, and the report that a worker makes of them.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use weir_shared::telemetry::{EnergySource, PowerReport, Report, StartId};
use weir_worker::telemetry::{Telemetry, TelemetryConfig};

/// A tree that can be changed: a copy of a fixture, and its telemetry.
struct Board {
    folder: tempfile::TempDir,
    telemetry: Telemetry,
    now: Instant,
    busy: f64,
    last: Report,
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}

impl Board {
    fn new(name: &str) -> Self {
        Self::with(name, |_| ())
    }

    fn with(name: &str, change: impl FnOnce(&mut TelemetryConfig)) -> Self {
        let (folder, now) = (tempfile::tempdir().unwrap(), Instant::now());
        for (tree, to) in [("sysfs", "sys"), ("proc", "proc")] {
            let from = fixtures().join(tree).join(name);
            if from.exists() {
                copy(&from, &folder.path().join(to));
            }
        }
        let mut config = TelemetryConfig {
            sysfs_root: folder.path().join("sys"),
            proc_root: folder.path().join("proc"),
            ..TelemetryConfig::default()
        };
        change(&mut config);
        let telemetry = Telemetry::new(config, StartId(1), now);
        let mut board = Self { folder, telemetry, now, busy: 0.0, last: Report::default() };
        board.after(0.0, 0.0);
        board
    }

    fn write(&self, file: &str, text: &str) {
        std::fs::write(self.folder.path().join("sys").join(file), text).unwrap();
    }

    fn remove(&self, folder: &str) {
        std::fs::remove_dir_all(self.folder.path().join("sys").join(folder)).unwrap();
    }

    /// The report after so many seconds, computing for `busy` of them. It must be one that is believed.
    fn after(&mut self, seconds: f64, busy: f64) -> PowerReport {
        self.now += Duration::from_secs_f64(seconds);
        self.busy += busy;
        let mut report = Report { compute_seconds: self.busy, ..Report::default() };
        self.telemetry.complete(&mut report, self.now);
        assert_eq!(report.check(Some(&self.last)), Ok(()));
        self.last = report.clone();
        report.power
    }
}

fn zones(power: &PowerReport, source: EnergySource) -> Vec<(String, f64, f64)> {
    let of = power.readings.iter().filter(|reading| reading.source == source);
    of.map(|reading| (reading.zone.to_string(), round(reading.joules), round(reading.watts))).collect()
}

/// To a millionth, as the files count.
fn round(number: f64) -> f64 {
    (number * 1e6).round() / 1e6
}

const PACKAGE: &str = "class/powercap/intel-rapl:0";

#[test]
fn a_package_counts_once_with_the_memory_beside_it_and_wraps_around() {
    let mut laptop = Board::new("laptop");
    laptop.write(&format!("{PACKAGE}/energy_uj"), "9671150\n");
    laptop.write("class/powercap/intel-rapl:0:2/energy_uj", "7000000\n");
    let power = laptop.after(2.0, 0.5);
    // 0.32885 J up to the end of the range, 9.67115 J from its beginning.
    let expected = vec![("package-0".to_owned(), 10.0, 5.0), ("package-0/dram".to_owned(), 2.0, 1.0)];
    assert_eq!(zones(&power, EnergySource::Rapl), expected);
    assert_eq!((power.primary, round(power.watts().unwrap())), (EnergySource::Rapl, 6.0));
    assert_eq!(round(power.joules()), 12.0);
}

#[test]
fn the_platform_counts_only_where_there_is_no_package() {
    let laptop = Board::new("laptop");
    for zone in ["intel-rapl:0", "intel-rapl:0:0", "intel-rapl:0:1", "intel-rapl:0:2", "intel-rapl-mmio:0"] {
        laptop.remove(&format!("class/powercap/{zone}"));
    }
    let config =
        TelemetryConfig { sysfs_root: laptop.folder.path().join("sys"), ..TelemetryConfig::default() };
    let mut telemetry = Telemetry::new(config, StartId(1), laptop.now);
    let mut report = Report::default();
    telemetry.complete(&mut report, laptop.now);
    let names: Vec<_> = zones(&report.power, EnergySource::Rapl).into_iter().map(|(zone, ..)| zone).collect();
    assert_eq!(names, ["psys"]);
}

#[test]
fn the_lowest_budget_holds_and_follows_the_file() {
    let mut laptop = Board::new("laptop");
    assert_eq!(laptop.after(1.0, 0.0).budget_watts, Some(28.0));
    laptop.write(&format!("{PACKAGE}/constraint_0_power_limit_uw"), "14000000\n");
    assert_eq!(laptop.after(1.0, 0.0).budget_watts, Some(14.0));
    laptop.write(&format!("{PACKAGE}/constraint_0_power_limit_uw"), "0\n");
    assert_eq!(laptop.after(1.0, 0.0).budget_watts, None);
    let mut stated = Board::with("laptop", |config| config.budget_watts = Some(10.0));
    assert_eq!(stated.after(1.0, 0.0).budget_watts, Some(10.0));
    // 22 Wh for 4 hours.
    let mut lasting =
        Board::with("laptop", |config| config.battery_for = Some(Duration::from_secs(4 * 3600)));
    assert!((lasting.after(0.0, 0.0).budget_watts.unwrap() - 5.5).abs() < 1e-9);
}

#[test]
fn the_input_of_a_jetson_holds_its_other_channels() {
    let mut jetson = Board::new("jetson");
    assert_eq!(zones(&jetson.after(1.0, 0.0), EnergySource::Hwmon), [("VDD_IN".to_owned(), 6.0, 6.0)]);
    jetson.write("class/hwmon/hwmon1/curr1_input", "2400\n");
    // From 6 to 12 W: the mean of both for one second.
    let power = jetson.after(1.0, 0.0);
    assert_eq!(zones(&power, EnergySource::Hwmon), [("VDD_IN".to_owned(), 15.0, 12.0)]);
    assert_eq!(power.primary, EnergySource::Hwmon);
}

#[test]
fn an_ina226_states_its_power() {
    let mut board = Board::new("board");
    let power = board.after(2.0, 0.0);
    assert_eq!(zones(&power, EnergySource::Hwmon), [("hwmon2-ina226-1".to_owned(), 6.4, 3.2)]);
    assert_eq!(power.budget_watts, None);
}

#[test]
fn a_battery_that_is_charged_says_nothing_about_the_machine() {
    let mut board = Board::new("charge");
    let power = board.after(2.0, 0.0);
    assert_eq!(zones(&power, EnergySource::Battery), [("battery".to_owned(), 3.7, 1.85)]);
    let battery = power.battery.unwrap();
    // 2 Ah at 3.7 V are 7.4 Wh.
    assert_eq!((battery.ratio, battery.joules_left.map(round)), (0.5, Some(26_640.0)));
    assert_eq!(power.primary, EnergySource::Battery);
    board.write("class/power_supply/battery/status", "Charging\n");
    let power = board.after(2.0, 0.0);
    assert_eq!((power.primary, power.battery.unwrap().discharging), (EnergySource::Model, false));
    assert_eq!(zones(&power, EnergySource::Battery), [("battery".to_owned(), 3.7, 0.0)]);
}

#[test]
fn a_mouse_is_no_battery_of_the_machine() {
    let laptop = Board::new("laptop");
    let battery = laptop.last.power.battery.unwrap();
    assert_eq!((battery.ratio, battery.joules_left.map(round)), (0.55, Some(79_200.0)));
}

#[test]
fn where_nothing_can_be_read_the_stated_model_holds() {
    let mut bare = Board::with("nothing", |config| {
        config.power = "idle=1.5,max=4".parse().unwrap();
    });
    let power = bare.after(2.0, 1.0);
    assert_eq!(power.primary, EnergySource::Model);
    assert_eq!(zones(&power, EnergySource::Model), [("worker".to_owned(), 5.5, 2.75)]);
    assert_eq!((bare.last.memory_limit_bytes, bare.last.resident_bytes), (0, 0));
}

#[test]
fn the_lowest_limit_of_memory_holds() {
    assert_eq!(Board::new("board").last.memory_limit_bytes, 512 << 20);
    assert_eq!(Board::new("charge").last.memory_limit_bytes, 256 << 20);
    let stated = Board::with("board", |config| config.memory_limit = Some(1 << 20));
    assert_eq!((stated.last.memory_limit_bytes, stated.last.resident_bytes), (1 << 20, 12_000 * 4096));
}

#[test]
fn models_are_read_strictly() {
    use weir_worker::telemetry::{PowerModel, RadioModel};
    for bad in ["", "idle=2", "idle=6,max=2", "idle=-1,max=2", "idle=NaN,max=3", "idle=1,max=inf"] {
        let error = bad.parse::<PowerModel>().unwrap_err().to_string();
        assert!(error.contains("idle=<watts>,max=<watts>"), "{error}");
    }
    assert!("sent=2,received=0".parse::<RadioModel>().is_err());
    let model: PowerModel = "idle=2,max=6".parse().unwrap();
    assert_eq!(model.to_string().parse(), Ok(model));
}
