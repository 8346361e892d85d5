//! The stated model of power, where nothing can be read: `P = idle + (max - idle) * utilisation`, and joules for each byte.

use std::str::FromStr;

use weir_shared::telemetry::EnergySource;

use super::source::{Moment, ReadEnergy, Reading};

/// Power of the machine, as somebody states it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PowerModel {
    /// Drawn while nothing is computed.
    pub idle_watts: f64,
    /// Drawn while every compute thread is busy.
    pub max_watts: f64,
}

/// Energy of communication, as somebody states it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RadioModel {
    /// For each byte sent.
    pub joules_per_byte_sent: f64,
    /// For each byte received.
    pub joules_per_byte_received: f64,
}

/// The text is no model.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no such model: write {form} with finite numbers that are not negative{more}")]
pub struct BadModel {
    text: String,
    form: &'static str,
    more: &'static str,
}

impl Default for PowerModel {
    /// A small board of the kind that Weir is for. Stated, not measured: say what yours draws.
    fn default() -> Self {
        Self { idle_watts: 2.0, max_watts: 6.0 }
    }
}

impl Default for RadioModel {
    /// A radio that draws 1 W more while it sends 10 MB/s, and half of it while it receives. Stated, not measured.
    fn default() -> Self {
        Self { joules_per_byte_sent: 1e-7, joules_per_byte_received: 5e-8 }
    }
}

/// Reads `first=x,second=y`.
fn pair(text: &str, first: &str, second: &str) -> Option<(f64, f64)> {
    let (a, b) = text.split_once(',')?;
    let number = |part: &str, name: &str| {
        let value = part.trim().strip_prefix(name)?.strip_prefix('=')?;
        value.parse().ok().filter(|number: &f64| number.is_finite() && *number >= 0.0)
    };
    Some((number(a, first)?, number(b, second)?))
}

impl FromStr for PowerModel {
    type Err = BadModel;

    fn from_str(text: &str) -> Result<Self, BadModel> {
        let found = pair(text, "idle", "max").filter(|(idle, max)| idle <= max && *max <= 1e6);
        let (idle_watts, max_watts) = found.ok_or_else(|| BadModel {
            text: text.to_owned(),
            form: "idle=<watts>,max=<watts>",
            more: ", max no smaller than idle",
        })?;
        Ok(Self { idle_watts, max_watts })
    }
}

impl FromStr for RadioModel {
    type Err = BadModel;

    fn from_str(text: &str) -> Result<Self, BadModel> {
        let found = pair(text, "sent", "received").filter(|(sent, received)| sent.max(*received) <= 1.0);
        let (joules_per_byte_sent, joules_per_byte_received) = found.ok_or_else(|| BadModel {
            text: text.to_owned(),
            form: "sent=<joules per byte>,received=<joules per byte>",
            more: ", at most 1",
        })?;
        Ok(Self { joules_per_byte_sent, joules_per_byte_received })
    }
}

impl std::fmt::Display for PowerModel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "idle={},max={}", self.idle_watts, self.max_watts)
    }
}

impl std::fmt::Display for RadioModel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "sent={},received={}", self.joules_per_byte_sent, self.joules_per_byte_received)
    }
}

/// Reckons energy from what the worker does.
pub struct Model {
    power: PowerModel,
    radio: RadioModel,
    joules: f64,
    last: Option<Moment>,
}

impl Model {
    /// Nothing used yet.
    pub const fn new(power: PowerModel, radio: RadioModel) -> Self {
        Self { power, radio, joules: 0.0, last: None }
    }
}

impl ReadEnergy for Model {
    fn source(&self) -> EnergySource {
        EnergySource::Model
    }

    fn read(&mut self, moment: Moment) -> Vec<Reading> {
        let mut watts = self.power.idle_watts;
        if let Some(last) = self.last {
            let seconds = moment.at.saturating_duration_since(last.at).as_secs_f64();
            // A long execution is counted when it ends, so this may exceed the seconds; in the sum it does not.
            let busy = (moment.busy_seconds - last.busy_seconds).max(0.0);
            let sent = moment.sent_bytes.saturating_sub(last.sent_bytes) as f64;
            let received = moment.received_bytes.saturating_sub(last.received_bytes) as f64;
            let used = self.power.idle_watts * seconds
                + (self.power.max_watts - self.power.idle_watts) * busy
                + self.radio.joules_per_byte_sent * sent
                + self.radio.joules_per_byte_received * received;
            self.joules += used;
            watts = if seconds > 0.0 { used / seconds } else { watts };
        }
        self.last = Some(moment);
        vec![Reading { zone: "worker".to_owned(), joules: self.joules, watts }]
    }
}
