//! `weir config`: whether a configuration file can be used, and what holds with it.
//!
//! Each program knows its own settings, so each is asked: it reads the file as it would at its start.

use std::path::{Path, PathBuf};
use std::process::{Command as Process, ExitCode};

use anyhow::Context as _;
use weir_shared::config::File;

use crate::terminal::say;

/// Arguments of `config`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  weir config check /etc/weir.toml
  weir config show /etc/weir.toml
  WEIR_THREADS=4 weir config show /etc/weir.toml    with what the environment changes

One file serves all programs of a machine. The keys of each table are the flags of the program, with underscores:

  [orchestrator]                  # weir-orchestrator --config FILE
  certs = \"/etc/weir/certs\"
  arch = \"resnet50\"
  weights = \"/var/lib/weir/resnet50.safetensors\"

  [worker]                        # weir-worker serve --config FILE
  certs = \"/etc/weir/certs\"
  cache = \"/var/lib/weir/layers\"
  threads = 2

  [weir]                          # weir --config FILE
  admin = \"http://192.0.2.1:7610\"

A flag goes before the environment, that before the file, and that before the default. `check` also opens the files that \
the settings name. Exit status: 0 it can be used; 1 a program or a file is missing; 2 a key or a value is wrong.")]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Say whether the file can be used, and what is wrong with it.
    Check(FileArgs),
    /// Print the settings that hold with the file, and where each comes from.
    Show(FileArgs),
}

#[derive(Debug, clap::Args)]
struct FileArgs {
    /// The file (TOML).
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Folder of weir-orchestrator and weir-worker; without it, the one of this program.
    #[arg(long, value_name = "DIR")]
    bin_dir: Option<PathBuf>,
}

/// Asks the programs that the file has a table for.
///
/// # Errors
/// If the file cannot be read, or a program not be started.
pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let (args, flag) = match &args.command {
        Command::Check(args) => (args, "--check-config"),
        Command::Show(args) => (args, "--show-config"),
    };
    let file = match File::read(&args.file) {
        Ok(file) => file,
        Err(error) => {
            eprintln!("error: {}", weir_shared::chain(&error));
            return Ok(ExitCode::from(2));
        }
    };
    let mut worst = 0;
    for (table, program, words) in [
        ("orchestrator", "weir-orchestrator", &[][..]),
        ("worker", "weir-worker", &["serve"]),
        ("weir", "weir", &[]),
    ] {
        if !file.has(table) {
            continue;
        }
        let status = ask(&program_in(args.bin_dir.as_deref(), program)?, words, &args.file, flag)?;
        if flag == "--check-config" {
            let verdict = if status == 0 { "can be used" } else { "CANNOT be used" };
            say(&format!("[{table}] {verdict}"));
        }
        worst = worst.max(status);
    }
    Ok(ExitCode::from(u8::try_from(worst).unwrap_or(1)))
}

fn program_in(folder: Option<&Path>, name: &str) -> anyhow::Result<PathBuf> {
    let this = std::env::current_exe().context("cannot find out where this program is; use --bin-dir")?;
    let program = match folder {
        // Ourselves, wherever the others are.
        _ if name == "weir" => this,
        Some(folder) => folder.join(name),
        None => this.with_file_name(name),
    };
    anyhow::ensure!(
        program.is_file(),
        "{} is not there, and it alone knows its settings; name the folder of the programs with --bin-dir",
        program.display()
    );
    Ok(program)
}

/// Its exit status; what it says, it says itself.
fn ask(program: &Path, words: &[&str], file: &Path, flag: &str) -> anyhow::Result<i32> {
    let mut command = Process::new(program);
    let status = command.args(words).arg("--config").arg(file).arg(flag).status();
    let status = status.with_context(|| format!("cannot start {}", program.display()))?;
    Ok(status.code().unwrap_or(1))
}
