//! The commands of `weir-worker`: arguments, and nothing that computes.

mod arguments;
mod compare;
mod draw;
mod eval;
mod init;
mod profile;
mod serve;
mod study;
mod train;
mod weigh;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};
use weir_shared::config::{self, Read};

/// Of the configuration file; its keys are the flags of `serve`.
const TABLE: &str = "worker";

/// Weir's worker: computes one stage of a ResNet and passes activations on.
#[derive(Debug, Parser)]
#[command(name = "weir-worker", version, about, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Join a cluster and compute the stage that the orchestrator assigns.
    Serve(Box<serve::Args>),
    /// Measure the accuracy of a whole network on a data set, in this one process.
    Eval(eval::Args),
    /// Measure the time of every layer on this machine.
    Profile(profile::Args),
    /// Train a network on a data set.
    Train(train::Args),
    /// Measure what every connection of a network is worth, and write its accuracy profile.
    Study(study::Args),
    /// Set accuracy profiles beside each other, as a table in Markdown.
    Compare(compare::Args),
    /// Draw an accuracy profile or the log of a training run, as a page.
    Draw(draw::Args),
    /// Write a checkpoint with seeded random weights, for tests and measurements.
    Init(init::Args),
    /// Measure what the weights of some layers cost in memory.
    Weigh(weigh::Args),
}

impl Cli {
    /// Reads the command line, runs the command and reports a failure, with its causes, on standard error.
    pub fn run() -> ExitCode {
        let read: Read<Self> = match config::read(TABLE) {
            Ok(read) => read,
            Err(error) => {
                eprintln!("error: {}", weir_shared::chain(&error));
                return ExitCode::from(2);
            }
        };
        let done = match &read.arguments.command {
            Command::Serve(args) if args.show_config => {
                show(&read);
                Ok(())
            }
            Command::Serve(args) => serve::run(args),
            Command::Eval(args) => eval::run(args),
            Command::Profile(args) => profile::run(args),
            Command::Train(args) => train::run(args),
            Command::Study(args) => study::run(args),
            Command::Compare(args) => compare::run(args),
            Command::Draw(args) => draw::run(args),
            Command::Init(args) => init::run(args),
            Command::Weigh(args) => weigh::run(args),
        };
        match done {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("error: {error:#}");
                ExitCode::FAILURE
            }
        }
    }
}

fn show(read: &Read<Cli>) {
    let command = Cli::command();
    let serve = command.find_subcommand("serve").zip(read.matches.subcommand_matches("serve"));
    let lines = serve.map(|(command, matches)| config::show::lines(TABLE, command, matches, &read.completed));
    lines.into_iter().flatten().for_each(|line| println!("{line}"));
}
