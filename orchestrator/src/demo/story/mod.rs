//! A scenario played on real processes, in several runs under the same conditions, and what came of it.
//!
//! Reading order: [`cast`] says how each process is started; [`director`] does what the scenario says;
//! [`generator`] sends requests in an open loop; [`watcher`] looks at the cluster through its admin API;
//! together they leave a [`recording`]. [`judge`] compares every answer with the unsplit network's under the
//! plan that gave it. From the recording [`measure`] takes figures, [`targets`] compares them with what was
//! promised, [`narrate`] tells a terminal and [`page`] a browser; [`report`] holds all of it. [`run`] goes from
//! step to step.
//!
//! What is decided, counted or drawn is pure; only `director`, `generator`, `watcher`, `judge` and `run` act.

pub mod cast;
pub mod decisions;
pub mod director;
pub mod generator;
pub mod judge;
pub mod measure;
pub mod narrate;
pub mod page;
pub mod recording;
pub mod report;
pub mod run;
pub mod targets;
pub mod watcher;
