//! The commands of `weir`: arguments and what is printed, nothing that decides.
//!
//! Exit status: 0 done, 1 failed, 2 wrong arguments (clap's own).

mod admin;
mod bench;
mod certs;
mod completions;
mod config;
mod demo;
mod events;
mod gateway;
mod infer;
mod links;
mod log_level;
mod pins;
mod plan;
mod policy;
mod record;
mod replanning;
mod replay;
mod snapshot;
mod status;
mod top;
mod workers;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};
use weir_shared::config::{self as settings, Read};

/// Of the configuration file.
const TABLE: &str = "weir";

/// Weir at your fingertips: look at a cluster and steer it, send it images, measure it, see a demonstration.
#[derive(Debug, Parser)]
#[command(
    name = "weir",
    version,
    max_term_width = 100,
    subcommand_required = false,
    arg_required_else_help = false,
    after_help = "Examples:
  weir demo                               a cluster on this machine, where things go wrong
  weir status                             is it well?
  weir infer cat.jpg                      what is on this photograph?
  weir bench --rate 20                    how fast does it answer?
  weir events --follow                    what happens, as it happens
  weir help plan                          more about one command

Addresses, the token and the form of the output can be set once, as environment variables or in the table [weir] of a \
file (`weir help config`). With NO_COLOR set nothing is coloured; progress is shown on a terminal only, on standard error.

Exit status: 0 done; 1 failed, and why is on standard error; 2 wrong arguments."
)]
pub struct Cli {
    /// Settings from the table [weir] of a file (TOML); environment and flags go before it.
    #[arg(long, global = true, env = settings::VARIABLE, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Check the settings of --config, and end.
    #[arg(long, hide = true, conflicts_with = "show_config")]
    check_config: bool,
    /// Print the settings of --config, and end.
    #[arg(long, hide = true)]
    show_config: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a whole cluster on this machine, over emulated links, and check every answer.
    Demo(demo::Args),
    /// Say what is on photographs: sends PNG and JPEG files to a cluster.
    Infer(infer::Args),
    /// Measure throughput and latency: sends a load to a cluster.
    Bench(bench::Args),
    /// Show in short how a cluster is.
    Status(status::Args),
    /// Watch a cluster: workers, links, load and plan, drawn again each second.
    Top(top::Args),
    /// Show the workers of a cluster, and take one out of the plan or back.
    Workers(workers::Args),
    /// Show the links between the peers of a cluster.
    Links(links::Args),
    /// Show the plan, its history, what another would be; roll out one of your own.
    Plan(plan::Args),
    /// Show or change what plans aim at.
    Policy(policy::Args),
    /// Pause or resume re-planning, or ask for a better plan now.
    Replanning(replanning::Args),
    /// Show or set connections that stay on or off in every plan.
    Pins(pins::Args),
    /// Show what happened, and with --follow what happens.
    Events(events::Args),
    /// Show or change what the orchestrator logs.
    LogLevel(log_level::Args),
    /// Save what the planner knows now, as JSON on standard output.
    Snapshot(snapshot::Args),
    /// Keep a trace of snapshots and decisions, until interrupted.
    Record(record::Args),
    /// Run a trace through planner and rules again, and compare the decisions.
    Replay(replay::Args),
    /// Make a private certificate authority, and a certificate for each peer.
    Certs(certs::Args),
    /// Check a configuration file, or show what holds with it.
    Config(config::Args),
    /// Print a script with which a shell completes the commands.
    Completions(completions::Args),
    /// Print the manual page, or write one for each command.
    Man(completions::ManArgs),
}

impl Cli {
    /// Reads the command line, runs the command and reports a failure, with its causes, on standard error.
    pub fn run() -> ExitCode {
        let read: Read<Self> = match settings::read(TABLE) {
            Ok(read) => read,
            Err(error) => {
                eprintln!("error: {}", weir_shared::chain(&error));
                return ExitCode::from(2);
            }
        };
        match read.arguments {
            Self { show_config: true, .. } => {
                settings::show::all(TABLE, &Self::command(), &read.completed)
                    .iter()
                    .for_each(|line| crate::terminal::say(line));
                ExitCode::SUCCESS
            }
            Self { check_config: true, .. } => ExitCode::SUCCESS,
            Self { command: Some(command), .. } => finish(start(command)),
            Self { command: None, .. } => {
                let kind = clap::error::ErrorKind::MissingSubcommand;
                let mut cli = Self::command();
                eprintln!("{}", cli.render_help());
                cli.error(kind, "name a command").exit()
            }
        }
    }
}

fn start(command: Command) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match command {
            Command::Demo(args) => demo::run(args).await,
            Command::Infer(args) => infer::run(&args).await,
            Command::Bench(args) => bench::run(&args).await,
            Command::Status(args) => status::run(&args).await,
            Command::Top(args) => top::run(&args).await,
            Command::Workers(args) => workers::run(&args).await,
            Command::Links(args) => links::run(&args).await,
            Command::Plan(args) => plan::run(&args).await,
            Command::Policy(args) => policy::run(&args).await,
            Command::Replanning(args) => replanning::run(&args).await,
            Command::Pins(args) => pins::run(&args).await,
            Command::Events(args) => events::run(&args).await,
            Command::LogLevel(args) => log_level::run(&args).await,
            Command::Snapshot(args) => snapshot::run(&args).await,
            Command::Record(args) => record::run(&args).await,
            Command::Replay(args) => replay::run(&args),
            Command::Certs(args) => certs::run(&args),
            Command::Config(args) => config::run(&args),
            Command::Completions(args) => completions::run(&args),
            Command::Man(args) => completions::man(&args),
        }
    })
}

fn finish(done: anyhow::Result<ExitCode>) -> ExitCode {
    match done {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
