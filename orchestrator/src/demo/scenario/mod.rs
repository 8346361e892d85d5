//! A scenario: which workers there are, what lies between them, what is asked of them, and what befalls them.
//!
//! [`file`] reads one from TOML and says which field is wrong; [`timeline`] says what is true at a time and what
//! has to be done next; [`arrivals`] says when requests come. All of it is pure: the same file and seed give the
//! same story, run after run, so that different ways of planning meet the same conditions.

pub mod arrivals;
pub mod file;
pub mod spec;
pub mod timeline;

pub use file::ScenarioError;
pub use spec::{Action, Arrivals, Event, LinkSide, Load, Power, RunKind, Scenario, WorkerSpec};
pub use timeline::{Step, Timeline};

#[cfg(test)]
mod tests;
