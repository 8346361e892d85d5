//! Telemetry as data: what a worker measures, how it is reported, and which readings nobody should believe.
//!
//! Counters rise from the worker's start, which [`StartId`] names: the receiver takes differences, so nothing is lost
//! when a session breaks, and a restart is recognised. What is no counter carries its age. Pure; the meters here take
//! the time as an argument and are driven by `transport` and by the worker.

mod absurd;
mod calibration;
mod energy;
mod report;
mod step;
mod transfers;
mod window;

pub use absurd::Absurdity;
pub use calibration::{Calibration, CodecSeconds};
pub use energy::{BatteryReading, EnergySource, PowerReading, PowerReport, ZONES_MAX};
pub use report::{
    GoodputReading, LAYERS_MAX, LINKS_MAX, LayerReading, LinkReport, Report, RttReading, StartId,
};
pub use step::RttLevel;
pub use transfers::Transfers;
pub use window::{RecentMinimum, WindowedMinimum};
