//! `weir demo`: a whole cluster on one machine, with links that behave like real ones.
//!
//! It starts the programs that a real cluster runs, knows them through their public interfaces alone, and
//! compares every answer with that of the unsplit network. Reading order: [`config`] and [`topology`] say what
//! is wanted; [`command`], [`oracle`], [`weight_memory`] and [`certificates`] prepare; [`wiring`], [`processes`]
//! and [`cluster`] bring it up, over links from [`emulator`]; [`client`](crate::client), [`stream`], [`tally`] and [`observe`]
//! measure; [`display`], [`render`], [`summary`] and [`report`] tell. [`run`] goes from step to step.

pub mod certificates;
pub mod cluster;
pub mod command;
pub mod config;
pub mod display;
pub mod emulator;
pub mod observe;
pub mod oracle;
pub mod processes;
pub mod render;
pub mod report;
pub mod run;
pub mod scenario;
pub mod story;
pub mod stream;
pub mod summary;
pub mod tally;
pub mod topology;
pub mod weight_memory;
pub mod wiring;
