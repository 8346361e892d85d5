//! `weir certs`: a private authority, and a folder with three files for each peer.

use std::path::PathBuf;
use std::process::ExitCode;

use weir_shared::ids::{PeerName, Role};
use weir_shared::transport::LEAF_DAYS;

use crate::demo::certificates::{self, Outcome};
use crate::terminal::say;

/// Arguments of `certs`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  weir certs --out certs --orchestrator main --worker camera --worker attic
  weir certs --out certs --worker garage        later, for one more worker

Each peer gets its folder, OUT/<role>/<name>, as its --certs. Keep OUT/ca to yourself. \
What is there already is kept. To renew a certificate, remove its folder and run the command again.")]
pub(super) struct Args {
    /// Where the authority is, or will be, and where the folders go.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Name of an orchestrator.
    #[arg(long, value_name = "NAME")]
    orchestrator: Vec<String>,
    /// Name of a worker. Can be given several times.
    #[arg(long, value_name = "NAME")]
    worker: Vec<String>,
}

/// Makes what is missing and says what there is.
///
/// # Errors
/// If a name is impossible, a file cannot be written, or what is there does not fit together.
pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let orchestrators = args.orchestrator.iter().map(|name| PeerName::new(Role::Orchestrator, name));
    let workers = args.worker.iter().map(|name| PeerName::new(Role::Worker, name));
    let peers = orchestrators.chain(workers).collect::<Result<Vec<_>, _>>()?;
    let made = certificates::make(&args.out, &peers)?;
    let verb = |outcome| match outcome {
        Outcome::Made => "made",
        Outcome::Kept => "kept",
    };
    say(&format!("{} authority {}", verb(made.authority_outcome), made.authority.display()));
    for issued in &made.peers {
        say(&format!("{} {} {}", verb(issued.outcome), issued.peer, issued.folder.display()));
    }
    if made.peers.iter().any(|issued| issued.outcome == Outcome::Made) {
        say(&format!(
            "New certificates are valid for {LEAF_DAYS} days. Give each peer its folder as --certs."
        ));
    }
    if made.peers.is_empty() {
        say("No peer was named: add --orchestrator NAME and --worker NAME for certificates.");
    }
    Ok(ExitCode::SUCCESS)
}
