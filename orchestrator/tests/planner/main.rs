//! The planner against everything that can be compared with it.
//!
//! `make test` takes a sample of some seconds; `make test-planner-wide` (`WEIR_PLANNER_WIDE=1`) the long run.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod brute;
mod command;
mod exact;
mod instances;
mod milp;
mod properties;
mod schema;

/// How many random cases to try: `wide` in the long run, else `sample`.
fn cases(sample: u64, wide: u64) -> u64 {
    if std::env::var_os("WEIR_PLANNER_WIDE").is_some() { wide } else { sample }
}
