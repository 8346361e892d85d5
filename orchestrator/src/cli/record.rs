//! `weir record`: keeps a trace of what the rules of re-planning are told and decide.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context as _;

use super::admin::Orchestrator;
use crate::replan::trace::What;
use crate::terminal::say;

/// The orchestrator keeps some hundred entries, of which a handful come each second.
const ASK: Duration = Duration::from_millis(500);

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  weir record --out trace.jsonl                 until interrupted
  weir record --out trace.jsonl --seconds 60
  weir replay trace.jsonl                       decide again, offline")]
pub(super) struct Args {
    #[command(flatten)]
    orchestrator: Orchestrator,
    /// Where the trace goes, as JSON lines.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Stop after so many seconds; without it, when interrupted.
    #[arg(long, value_name = "SECONDS")]
    seconds: Option<u64>,
}

/// Records until interrupted.
///
/// # Errors
/// If the orchestrator does not answer, or the file cannot be written.
pub(super) async fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let client = args.orchestrator.client()?;
    let cannot = || format!("cannot write {}", args.out.display());
    let first = client.trace(None).await?;
    let mut file = BufWriter::new(File::create(&args.out).with_context(cannot)?);
    serde_json::to_writer(&mut file, &first.header)?;
    writeln!(file).with_context(cannot)?;
    // A trace begins with nothing running, so the decisions before this one are not in it; the running placement is.
    let (mut after, mut entries, mut decisions) = (None::<u64>, 0, 0);
    let until = args.seconds.map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let mut next = first.entries;
    let mut interrupted = std::pin::pin!(weir_shared::signal::terminated());
    loop {
        for numbered in next {
            if after.is_some_and(|after| numbered.number > after + 1) {
                say(&format!("{} entries were missed: the orchestrator had forgotten them", numbered.number));
            }
            after = Some(numbered.number);
            entries += 1;
            decisions += usize::from(matches!(numbered.entry.what, What::Decision(_)));
            serde_json::to_writer(&mut file, &numbered.entry)?;
            writeln!(file).with_context(cannot)?;
        }
        file.flush().with_context(cannot)?;
        if until.is_some_and(|until| Instant::now() >= until) {
            break;
        }
        tokio::select! {
            biased;
            ended = &mut interrupted => {
                ended.context("cannot listen for signals")?;
                break;
            }
            () = tokio::time::sleep(ASK) => {}
        }
        next = client.trace(after).await?.entries;
    }
    say(&format!("{entries} entries with {decisions} decisions in {}", args.out.display()));
    Ok(ExitCode::SUCCESS)
}
