//! `weir-worker curves`: the log of a training run, drawn.

use std::path::PathBuf;

use crate::study::train::curves;

/// Arguments of `curves`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The log that `train` wrote.
    #[arg(value_name = "FILE.log.csv")]
    log: PathBuf,
    /// Where the page goes; without it, beside the log.
    #[arg(long, value_name = "FILE.html")]
    out: Option<PathBuf>,
}

/// Draws.
///
/// # Errors
/// If the log can not be read or the page not be written.
pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let page = args.out.clone().unwrap_or_else(|| args.log.with_extension("html"));
    curves::draw(&args.log, &page)?;
    println!("{}", page.display());
    Ok(())
}
