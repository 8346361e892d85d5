//! Small files of the system, one value each.

use std::path::{Path, PathBuf};

/// The text of a file without white space around it; none if it cannot be read.
pub(super) fn text(path: &Path) -> Option<String> {
    Some(std::fs::read_to_string(path).ok()?.trim().to_owned())
}

/// The number in a file; none if it cannot be read, or is no finite number.
pub(super) fn number(path: &Path) -> Option<f64> {
    text(path)?.parse().ok().filter(|number: &f64| number.is_finite())
}

/// The entries of a folder by name; none if there is no such folder.
pub(super) fn entries(folder: &Path) -> Vec<PathBuf> {
    let found = std::fs::read_dir(folder).into_iter().flatten();
    let mut paths: Vec<_> = found.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    paths
}

/// The last part of a path, for labels.
pub(super) fn name(path: &Path) -> String {
    path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}
