//! The journal's file.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use weir_shared::weights::atomic;

use super::entry::{self, Damaged, Entry, Memory};

/// A journal longer than this is not ours: it is written anew at each start and grows by one plan at each commit.
const BYTES_MAX: u64 = 256 << 20;

/// An open journal, to be appended to.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    chain: u32,
    /// Whether half a line stands at the end that could not be cut off: nothing behind it would be believed.
    torn: bool,
}

/// Why a journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The system refused.
    #[error("cannot {action} the journal {}; check the folder, the rights and the free space", path.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// It may not be believed.
    #[error(
        "the journal {} cannot be believed; move it away to begin anew (workers then refuse terms below those that they \
         have obeyed, and the orchestrator catches up)",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: Damaged,
    },
}

impl Journal {
    /// Opens the journal at `path`, or begins one, and returns what it says. It is written anew with as few entries
    /// as say the same, so it grows only while one incarnation lives.
    ///
    /// # Errors
    /// If it cannot be read or written, or is damaged anywhere but at its end.
    pub fn open(path: &Path) -> Result<(Self, Memory), JournalError> {
        let failed = |action| move |source| JournalError::File { action, path: path.to_owned(), source };
        let bytes = match fs::metadata(path) {
            Ok(known) if known.len() > BYTES_MAX => {
                return Err(JournalError::Damaged { path: path.to_owned(), source: Damaged::Title });
            }
            Ok(_) => fs::read(path).map_err(failed("read"))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(failed("read")(error)),
        };
        let reading =
            entry::read(&bytes).map_err(|source| JournalError::Damaged { path: path.to_owned(), source })?;
        if reading.whole_bytes < bytes.len() {
            let torn = bytes.len() - reading.whole_bytes;
            tracing::warn!(path = %path.display(), torn, "the journal's end was torn and is cut off");
        }
        let (mut text, mut chain) = entry::title();
        for entry in reading.memory.entries() {
            let (line, digits) = entry::line(chain, &entry).map_err(|error| failed("write")(error.into()))?;
            text.extend(line);
            chain = digits;
        }
        atomic::replace(path, |file| file.write_all(&text)).map_err(failed("write"))?;
        let file = OpenOptions::new().append(true).open(path).map_err(failed("open"))?;
        Ok((Self { path: path.to_owned(), file, chain, torn: false }, reading.memory))
    }

    /// Appends `entry`; it is on the disk when this returns. Blocks for as long as the disk takes.
    ///
    /// # Errors
    /// If the disk is full or refuses. What a half-written line leaves behind is cut off at once, or else at the next
    /// start.
    pub fn append(&mut self, entry: &Entry) -> Result<(), JournalError> {
        let failed = |source| JournalError::File { action: "append to", path: self.path.clone(), source };
        if self.torn {
            return Err(failed(io::Error::other(
                "an earlier entry was half-written; restart the orchestrator",
            )));
        }
        let (line, digits) = entry::line(self.chain, entry).map_err(|error| failed(error.into()))?;
        let before = self.file.metadata().map_err(failed)?.len();
        let written = self.file.write_all(&line).and_then(|()| self.file.sync_data());
        if let Err(error) = written {
            self.torn = self.file.set_len(before).is_err();
            return Err(failed(error));
        }
        self.chain = digits;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use weir_shared::ids::Term;

    use super::*;
    use crate::planner::tests::two_stage_plan;

    #[test]
    fn a_new_incarnation_reads_what_the_last_one_wrote() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let (mut journal, memory) = Journal::open(&path).unwrap();
        assert_eq!(memory, Memory::default());
        journal.append(&Entry::Term(Term(5))).unwrap();
        for epoch in 1..=3 {
            journal.append(&Entry::Committing(Box::new(two_stage_plan(epoch)))).unwrap();
        }
        let grown = fs::metadata(&path).unwrap().len();
        let (mut journal, memory) = Journal::open(&path).unwrap();
        assert_eq!((memory.term, memory.plan), (Some(Term(5)), Some(two_stage_plan(3))));
        assert!(fs::metadata(&path).unwrap().len() < grown, "only the last plan is kept");
        journal.append(&Entry::Term(Term(6))).unwrap();
        assert_eq!(Journal::open(&path).unwrap().1.term, Some(Term(6)));
    }

    #[test]
    fn a_torn_end_is_cut_off_and_damage_in_the_middle_is_refused_with_the_remedy() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let (mut journal, _) = Journal::open(&path).unwrap();
        journal.append(&Entry::Term(Term(5))).unwrap();
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(b"00000000 {\"term\":9").unwrap();
        let (mut journal, memory) = Journal::open(&path).unwrap();
        assert_eq!(memory.term, Some(Term(5)));
        journal.append(&Entry::Term(Term(6))).unwrap();
        let damaged = fs::read_to_string(&path).unwrap().replace("\"term\":5", "\"term\":7");
        fs::write(&path, damaged).unwrap();
        let error = weir_shared::chain(&Journal::open(&path).unwrap_err());
        assert!(error.contains("move it away") && error.contains("line 2"), "{error}");
    }

    #[test]
    fn a_full_disk_is_an_error_and_what_was_written_stays() {
        // Every write to this device fails as on a full disk.
        let full = OpenOptions::new().append(true).open("/dev/full").unwrap();
        let mut journal = Journal { path: "/dev/full".into(), file: full, chain: 0, torn: false };
        let error = weir_shared::chain(&journal.append(&Entry::Term(Term(1))).unwrap_err());
        assert!(error.contains("free space"), "{error}");
        assert_eq!(journal.chain, 0);
        let again = weir_shared::chain(&journal.append(&Entry::Term(Term(1))).unwrap_err());
        assert!(again.contains("restart the orchestrator"), "{again}");
    }
}
