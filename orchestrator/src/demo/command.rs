//! Finds Weir's binaries, and runs those that do one thing and end.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::process::Command;

/// Characters of a failed program's words that are shown: its last lines, where the reason stands.
const WORDS_MAX: usize = 2000;

/// The programs that the demonstration starts.
#[derive(Debug, Clone)]
pub struct Binaries {
    /// `weir-orchestrator`.
    pub orchestrator: PathBuf,
    /// `weir-worker`.
    pub worker: PathBuf,
}

/// Why a program gave no result.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// Nobody knows where this program is.
    #[error("cannot find out where this program is; name the folder of the binaries with --bin-dir")]
    Where(#[source] std::io::Error),
    /// A program is not there.
    #[error("{name} is not in {}; run `make build`, or name another folder with --bin-dir", folder.display())]
    Missing {
        /// The program.
        name: &'static str,
        /// Where it was looked for.
        folder: PathBuf,
    },
    /// The system did not start it.
    #[error("cannot start {}", program.display())]
    Start {
        /// The program.
        program: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It took too long.
    #[error("`{line}` did not end within {} s; is the machine busy with something else?", limit.as_secs())]
    TooSlow {
        /// Program and first argument.
        line: String,
        /// What it was allowed.
        limit: Duration,
    },
    /// It failed.
    #[error("`{line}` failed ({status}): {words}")]
    Failed {
        /// Program and first argument.
        line: String,
        /// How it ended.
        status: ExitStatus,
        /// What it said.
        words: String,
    },
}

impl Binaries {
    /// The binaries in `folder`, or beside this program.
    ///
    /// # Errors
    /// If one is missing.
    pub fn find(folder: Option<&Path>) -> Result<Self, CommandError> {
        let folder = match folder {
            Some(folder) => folder.to_owned(),
            None => {
                let this = std::env::current_exe().map_err(CommandError::Where)?;
                this.parent().map(Path::to_owned).unwrap_or_default()
            }
        };
        let find = |name: &'static str| {
            let path = folder.join(name);
            if path.is_file() {
                Ok(path)
            } else {
                Err(CommandError::Missing { name, folder: folder.clone() })
            }
        };
        Ok(Self { orchestrator: find("weir-orchestrator")?, worker: find("weir-worker")? })
    }
}

/// Runs `program` to its end and returns what it printed. It is killed when it is too slow or no longer awaited.
///
/// # Errors
/// If it cannot be started, fails, or does not end within `limit`.
pub async fn output<A: AsRef<OsStr>>(
    program: &Path,
    arguments: impl IntoIterator<Item = A>,
    limit: Duration,
) -> Result<Vec<u8>, CommandError> {
    let arguments: Vec<_> = arguments.into_iter().map(|argument| argument.as_ref().to_owned()).collect();
    let line = || {
        let name = program.file_name().unwrap_or_default().to_string_lossy();
        let first = arguments.first().map(|argument| argument.to_string_lossy()).unwrap_or_default();
        format!("{name} {first}")
    };
    let mut command = Command::new(program);
    command.args(&arguments).stdin(Stdio::null()).kill_on_drop(true);
    let ended = tokio::time::timeout(limit, command.output()).await;
    let ended = ended.map_err(|_| CommandError::TooSlow { line: line(), limit })?;
    let ended = ended.map_err(|source| CommandError::Start { program: program.to_owned(), source })?;
    if ended.status.success() {
        return Ok(ended.stdout);
    }
    let words = last(String::from_utf8_lossy(&ended.stderr).trim(), WORDS_MAX);
    Err(CommandError::Failed { line: line(), status: ended.status, words })
}

/// The last `count` characters.
fn last(text: &str, count: usize) -> String {
    let skipped = text.chars().count().saturating_sub(count);
    text.chars().skip(skipped).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_binary_is_named_with_the_remedy() {
        let folder = tempfile::tempdir().unwrap();
        let error = Binaries::find(Some(folder.path())).unwrap_err().to_string();
        assert!(error.contains("weir-orchestrator") && error.contains("make build"), "{error}");
    }

    #[tokio::test]
    async fn a_failure_repeats_the_words_of_the_program() {
        let shell = Path::new("/bin/sh");
        let limit = Duration::from_secs(10);
        assert_eq!(output(shell, ["-c", "echo 7"], limit).await.unwrap(), b"7\n");
        let error = output(shell, ["-c", "echo no luck >&2; exit 3"], limit).await.unwrap_err().to_string();
        assert!(error.contains("no luck") && error.contains("sh -c"), "{error}");
    }

    #[tokio::test]
    async fn a_program_that_hangs_is_given_up() {
        let error = output(Path::new("/bin/sleep"), ["60"], Duration::from_millis(20)).await.unwrap_err();
        assert!(matches!(error, CommandError::TooSlow { .. }), "{error}");
    }
}
