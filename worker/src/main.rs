//! The worker's command line; everything it does is in the library.

fn main() -> std::process::ExitCode {
    weir_worker::cli::Cli::run()
}
