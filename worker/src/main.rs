//! The worker's command line; everything it does is in the library.

use clap::Parser as _;

fn main() -> std::process::ExitCode {
    weir_worker::cli::Cli::parse().run()
}
