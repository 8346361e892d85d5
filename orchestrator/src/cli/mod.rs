//! The commands of `weir`: arguments and what is printed, nothing that decides.
//!
//! Exit status: 0 done, 1 failed, 2 wrong arguments (clap's own).

mod admin;
mod certs;
mod demo;
mod links;
mod offline;
mod plan;
mod record;
mod replay;
mod snapshot;
mod status;
mod workers;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Weir at your fingertips: make certificates, look at a cluster, see a demonstration.
#[derive(Debug, Parser)]
#[command(name = "weir", version, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a whole cluster on this machine, over emulated links, and check every answer.
    Demo(demo::Args),
    /// Make a private certificate authority, and a certificate for each peer.
    Certs(certs::Args),
    /// Show in short how a cluster is.
    Status(admin::AdminArgs),
    /// Show the committed plan: which worker computes which layers; or plan for a snapshot, offline.
    Plan(plan::Args),
    /// Show the workers of a cluster.
    Workers(admin::AdminArgs),
    /// Show the links between the peers of a cluster.
    Links(admin::AdminArgs),
    /// Save what the planner knows now, as JSON on standard output.
    Snapshot(snapshot::Args),
    /// Keep a trace of snapshots and decisions, until interrupted.
    Record(record::Args),
    /// Run a trace through planner and rules again, and compare the decisions.
    Replay(replay::Args),
}

impl Cli {
    /// Runs the command and reports a failure, with its causes, on standard error.
    pub fn run(self) -> ExitCode {
        let done = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let done = done.map_err(anyhow::Error::from).and_then(|runtime| {
            runtime.block_on(async {
                match self.command {
                    Command::Demo(args) => demo::run(args).await,
                    Command::Certs(args) => certs::run(&args),
                    Command::Status(args) => status::run(&args).await,
                    Command::Plan(args) => plan::run(&args).await,
                    Command::Workers(args) => workers::run(&args).await,
                    Command::Links(args) => links::run(&args).await,
                    Command::Snapshot(args) => snapshot::run(&args).await,
                    Command::Record(args) => record::run(&args).await,
                    Command::Replay(args) => replay::run(&args),
                }
            })
        });
        match done {
            Ok(code) => code,
            Err(error) => {
                eprintln!("error: {error:#}");
                ExitCode::FAILURE
            }
        }
    }
}
