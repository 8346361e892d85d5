//! `weir`: the user's command, a client of the programs' public interfaces.

use std::process::ExitCode;

use clap::Parser as _;
use weir_orchestrator::cli::Cli;

fn main() -> ExitCode {
    Cli::parse().run()
}
