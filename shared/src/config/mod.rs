//! Settings of a program from a TOML file, below environment and flags.
//!
//! One file may serve all programs of a machine: each reads its own table, `[orchestrator]`, `[worker]` or `[weir]`,
//! whose keys are its flags with underscores. [`file`] reads the file, [`arguments`] puts its settings where the flags
//! would stand, so that clap checks a setting as it checks the flag; [`read`] goes the whole way; [`show`] tells what holds, and from where.
//! `docs/cli.md` describes it to people.

pub mod arguments;
pub mod file;
pub mod nearest;
pub mod read;
pub mod show;

pub use arguments::{Completed, complete};
pub use file::{ConfigError, File};
pub use read::{Read, read};

/// Names the file, for all programs alike.
pub const VARIABLE: &str = "WEIR_CONFIG";

/// The tables of a file.
pub const TABLES: [&str; 3] = ["orchestrator", "weir", "worker"];
