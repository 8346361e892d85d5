//! The names of a network's classes, from a file with one on each line.
//!
//! A checkpoint knows its classes by number only. The file lies beside it, or wherever `--labels` says.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// More than any list of names has; ImageNet's 1,000 have about 30 KiB.
const BYTES_MAX: u64 = 16 << 20;

/// Why a file does not name the classes.
#[derive(Debug, thiserror::Error)]
pub enum LabelsError {
    /// It cannot be read.
    #[error("cannot read the labels {}; check --labels", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It is far too long.
    #[error("{} has more than {BYTES_MAX} bytes and is no list of labels; check --labels", .0.display())]
    TooLong(PathBuf),
    /// Its lines are not the classes.
    #[error(
        "{} has {found} lines, but the network has {classes} classes; write one name on each line, in the order of the \
         classes",
        path.display()
    )]
    Count {
        /// The file.
        path: PathBuf,
        /// Its lines.
        found: usize,
        /// The network's classes.
        classes: u32,
    },
    /// A line has no name.
    #[error("line {line} of {} is empty; write a name for each class", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
    },
}

/// Where the labels of the checkpoint `weights` lie: `<weights>.labels.txt`.
pub fn beside(weights: &Path) -> PathBuf {
    let mut name = OsString::from(weights);
    name.push(".labels.txt");
    PathBuf::from(name)
}

/// Reads the names of `classes` classes.
///
/// # Errors
/// If the file cannot be read, or has another number of lines.
pub fn load(path: &Path, classes: u32) -> Result<Vec<String>, LabelsError> {
    let at_file = |source| LabelsError::Read { path: path.to_owned(), source };
    if std::fs::metadata(path).map_err(at_file)?.len() > BYTES_MAX {
        return Err(LabelsError::TooLong(path.to_owned()));
    }
    let text = std::fs::read_to_string(path).map_err(at_file)?;
    let labels: Vec<String> = text.trim_end().lines().map(|line| line.trim().to_owned()).collect();
    if labels.len() != classes as usize {
        return Err(LabelsError::Count { path: path.to_owned(), found: labels.len(), classes });
    }
    match labels.iter().position(String::is_empty) {
        Some(at) => Err(LabelsError::Empty { path: path.to_owned(), line: at + 1 }),
        None => Ok(labels),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, classes: u32, expect: Result<&[&str], &str>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("labels.txt");
        std::fs::write(&path, text).unwrap();
        match (load(&path, classes), expect) {
            (Ok(labels), Ok(expect)) => assert_eq!(labels, expect),
            (Err(error), Err(expect)) => assert!(error.to_string().contains(expect), "{error}"),
            (found, expect) => panic!("{found:?}, not {expect:?}"),
        }
    }

    #[test]
    fn one_name_on_each_line() {
        check("cat\r\ndog, hound\n\n", 2, Ok(&["cat", "dog, hound"]));
        check("cat\n", 2, Err("has 1 lines, but the network has 2 classes"));
        check("cat\n\ndog\n", 3, Err("line 2 of"));
    }
}
