//! `weir-worker compare`: accuracy profiles beside each other, as a table in Markdown.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use weir_shared::profile::Profile;

use crate::study::report::compare;

/// Arguments of `compare`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Profiles that `study` wrote, each with the name of its column before it if it is to have another than the
    /// file's.
    #[arg(required = true, value_name = "[NAME=]FILE.profile.json")]
    profiles: Vec<String>,
}

/// Reads and prints.
///
/// # Errors
/// If a file can not be read or is no profile.
pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let profiles = args.profiles.iter().map(|given| read(given)).collect::<anyhow::Result<Vec<_>>>()?;
    print!("{}", compare::markdown(&profiles));
    Ok(())
}

/// A profile and the name of its column.
fn read(given: &str) -> anyhow::Result<(String, Profile)> {
    let (name, path) = match given.split_once('=') {
        Some((name, path)) if !name.contains('/') => (name.to_owned(), PathBuf::from(path)),
        _ => {
            let name = Path::new(given).file_name().unwrap_or_default().to_string_lossy();
            (name.trim_end_matches(".profile.json").to_owned(), PathBuf::from(given))
        }
    };
    Ok((name, profile(&path)?))
}

/// A profile from its file.
pub(super) fn profile(path: &Path) -> anyhow::Result<Profile> {
    let bytes =
        std::fs::read(path).with_context(|| format!("cannot read {}; check the path", path.display()))?;
    Profile::from_json(&bytes).with_context(|| format!("{} can not be used", path.display()))
}
