//! `weir-worker draw`: a page for people from what a command left: an accuracy profile, or the log of a training run.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use weir_shared::weights::atomic;

use super::compare;
use crate::study::report;
use crate::study::train::curves;

/// Arguments of `draw`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A profile that `study` wrote, or a log that `train` wrote (`.csv`).
    #[arg(value_name = "FILE.profile.json|FILE.log.csv")]
    file: PathBuf,
    /// Where the page goes; without it, beside the file.
    #[arg(long, value_name = "FILE.html")]
    out: Option<PathBuf>,
}

/// Draws.
///
/// # Errors
/// If the file can not be read or is something else, or the page can not be written.
pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let page = args.out.clone().unwrap_or_else(|| args.file.with_extension("html"));
    if args.file.extension().is_some_and(|extension| extension == "csv") {
        curves::draw(&args.file, &page)?;
    } else {
        write(&page, &report::html(&compare::profile(&args.file)?))?;
    }
    println!("{}", page.display());
    Ok(())
}

fn write(path: &Path, page: &str) -> anyhow::Result<()> {
    let wrong = || format!("cannot write {}; check the folder and the free space", path.display());
    atomic::replace(path, |file| file.write_all(page.as_bytes())).with_context(wrong)
}
