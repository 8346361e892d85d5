//! `weir`: the user's command, a client of the programs' public interfaces.

fn main() -> std::process::ExitCode {
    weir_orchestrator::cli::Cli::run()
}
