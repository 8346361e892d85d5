//! What an energy source is.

use std::time::Instant;

use weir_shared::telemetry::{BatteryReading, EnergySource, PowerReading};

/// One moment, with what the worker has done until then.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// When.
    pub at: Instant,
    /// Seconds computed in since the worker's start.
    pub busy_seconds: f64,
    /// Bytes of activations sent since then.
    pub sent_bytes: u64,
    /// Bytes of activations received since then.
    pub received_bytes: u64,
}

/// One zone at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// The zone.
    pub zone: String,
    /// Used since the first reading.
    pub joules: f64,
    /// Drawn since the last reading.
    pub watts: f64,
}

/// Something that energy can be read from.
pub trait ReadEnergy: Send {
    /// Which source it is.
    fn source(&self) -> EnergySource;

    /// Reads every zone; none overlaps with another. A zone that cannot be read now keeps its joules.
    fn read(&mut self, moment: Moment) -> Vec<Reading>;

    /// Whether the last readings are of the whole machine now: a battery that is being charged says nothing about it.
    fn speaks(&self) -> bool {
        true
    }

    /// The battery.
    fn battery(&self) -> Option<BatteryReading> {
        None
    }
}

impl Reading {
    /// The reading as it is reported.
    pub fn from(self, source: EnergySource) -> PowerReading {
        let Self { zone, joules, watts } = self;
        PowerReading { source, zone: zone.into(), joules, watts }
    }
}

/// Adds up energy from watts that are read now and then: each counts until the next.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Integral {
    joules: f64,
    last: Option<(Instant, f64)>,
}

impl Integral {
    /// Takes a reading; the time between two counts with the mean of both (trapezium rule).
    pub(super) fn add(&mut self, at: Instant, watts: f64) -> f64 {
        if let Some((before, last)) = self.last {
            self.joules += (last + watts) / 2.0 * at.saturating_duration_since(before).as_secs_f64();
        }
        self.last = Some((at, watts));
        self.joules
    }

    /// Nothing could be read: the time until the next reading does not count.
    pub(super) fn pause(&mut self) -> f64 {
        self.last = None;
        self.joules
    }
}
