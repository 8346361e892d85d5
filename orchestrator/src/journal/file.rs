//! The journal's file.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use weir_shared::ids::Term;
use weir_shared::weights::atomic;

use super::entry::{self, Damaged, Entry, Memory};

/// A journal longer than this is written anew, with as few entries as say the same: a hundred plans of a large network.
const LONG_BYTES: u64 = 1 << 20;

/// A journal longer than this is not ours.
const BYTES_MAX: u64 = 256 << 20;

/// An open journal, to be appended to.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    chain: u32,
    /// What it says.
    memory: Memory,
    /// Where whole entries end, if half a line behind them could not be cut off: nothing behind it would be believed.
    torn: Option<u64>,
    /// Held for as long as this process lives: two that append to one journal would tear each other's entries.
    _lock: File,
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
    /// Another process has it.
    #[error(
        "another orchestrator uses the journal {}; stop it, or give this one a --journal of its own",
        path.display()
    )]
    InUse {
        /// The file.
        path: PathBuf,
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
    /// as say the same, then and whenever it is long.
    ///
    /// # Errors
    /// If it cannot be read or written, is another process's, or is damaged anywhere but at its end.
    pub fn open(path: &Path) -> Result<(Self, Memory), JournalError> {
        let failed = |action| move |source| JournalError::File { action, path: path.to_owned(), source };
        let lock = lock(path)?;
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
        let (file, chain) = write_anew(path, &reading.memory)?;
        let memory = reading.memory.clone();
        Ok((Self { path: path.to_owned(), file, chain, memory, torn: None, _lock: lock }, reading.memory))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Begins an incarnation: its term is above every one that the journal knows, or `first` where it knows none, and is on
    /// the disk when this returns.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn begin(&mut self, memory: &Memory, first: Term) -> Result<Term, JournalError> {
        let term = memory.term.map_or(first, |last| Term(last.0.saturating_add(1)));
        self.append(&Entry::Term(term))?;
        Ok(term)
    }

    /// Appends `entry`; it is on the disk when this returns. Blocks for as long as the disk takes.
    ///
    /// # Errors
    /// If the disk is full or refuses. What a half-written line leaves behind is cut off at once, or else before the next
    /// entry, or else at the next start.
    pub fn append(&mut self, entry: &Entry) -> Result<(), JournalError> {
        let failed = |source| JournalError::File { action: "append to", path: self.path.clone(), source };
        if let Some(whole) = self.torn {
            let half =
                |_| failed(io::Error::other("an earlier entry was half-written and cannot be cut off"));
            self.file.set_len(whole).map_err(half)?;
            self.torn = None;
        }
        if self.file.metadata().map_err(failed)?.len() > LONG_BYTES {
            (self.file, self.chain) = write_anew(&self.path, &self.memory)?;
        }
        let (line, digits) = entry::line(self.chain, entry).map_err(|error| failed(error.into()))?;
        let before = self.file.metadata().map_err(failed)?.len();
        let written = self.file.write_all(&line).and_then(|()| self.file.sync_data());
        if let Err(error) = written {
            self.torn = self.file.set_len(before).is_err().then_some(before);
            return Err(failed(error));
        }
        self.chain = digits;
        self.memory.note(entry.clone());
        Ok(())
    }
}

/// Replaces the journal by one that says the same in as few entries as can be, to be appended to.
fn write_anew(path: &Path, memory: &Memory) -> Result<(File, u32), JournalError> {
    let failed = |action| move |source| JournalError::File { action, path: path.to_owned(), source };
    let (mut text, mut chain) = entry::title();
    for entry in memory.entries() {
        let (line, digits) = entry::line(chain, &entry).map_err(|error| failed("write")(error.into()))?;
        text.extend(line);
        chain = digits;
    }
    atomic::replace(path, |file| file.write_all(&text)).map_err(failed("write"))?;
    let file = OpenOptions::new().append(true).open(path).map_err(failed("open"))?;
    Ok((file, chain))
}

/// Locks a file beside the journal, because the journal itself is replaced by another file at each start. The system lets
/// go of the lock when this process ends, however it ends.
fn lock(path: &Path) -> Result<File, JournalError> {
    let failed = |source| JournalError::File { action: "lock", path: path.to_owned(), source };
    let mut beside = path.as_os_str().to_owned();
    beside.push(".lock");
    let file = OpenOptions::new().write(true).create(true).truncate(false).open(beside).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(JournalError::InUse { path: path.to_owned() }),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

#[cfg(test)]
mod tests {
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
        drop(journal);
        let (mut journal, memory) = Journal::open(&path).unwrap();
        assert_eq!((memory.term, memory.plan), (Some(Term(5)), Some(two_stage_plan(3))));
        assert!(fs::metadata(&path).unwrap().len() < grown, "only the last plan is kept");
        journal.append(&Entry::Term(Term(6))).unwrap();
        drop(journal);
        assert_eq!(Journal::open(&path).unwrap().1.term, Some(Term(6)));
    }

    #[test]
    fn each_incarnation_has_a_term_above_the_one_before() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let begin = || {
            let (mut journal, memory) = Journal::open(&path).unwrap();
            journal.begin(&memory, Term(1_000)).unwrap()
        };
        assert_eq!([begin(), begin(), begin()], [Term(1_000), Term(1_001), Term(1_002)]);
    }

    #[test]
    fn a_long_life_does_not_make_a_long_journal() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let (mut journal, _) = Journal::open(&path).unwrap();
        journal.append(&Entry::Term(Term(5))).unwrap();
        let plans: Vec<_> = (1..=400).map(two_stage_plan).collect();
        let mut longest = 0;
        for plan in &plans {
            journal.append(&Entry::Committing(Box::new(plan.clone()))).unwrap();
            longest = longest.max(fs::metadata(&path).unwrap().len());
        }
        assert!(longest > LONG_BYTES && longest < LONG_BYTES + (64 << 10), "{longest}");
        assert!(fs::metadata(&path).unwrap().len() < longest, "it was written anew");
        drop(journal);
        let memory = Journal::open(&path).unwrap().1;
        assert_eq!((memory.term, memory.plan.as_ref()), (Some(Term(5)), plans.last()));
    }

    #[test]
    fn two_at_once_are_refused_and_one_after_the_other_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let first = Journal::open(&path).unwrap();
        let error = Journal::open(&path).unwrap_err().to_string();
        assert!(error.contains("another orchestrator uses"), "{error}");
        drop(first);
        Journal::open(&path).unwrap();
    }

    #[test]
    fn a_torn_end_is_cut_off_and_damage_in_the_middle_is_refused_with_the_remedy() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let (mut journal, _) = Journal::open(&path).unwrap();
        journal.append(&Entry::Term(Term(5))).unwrap();
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(b"00000000 {\"term\":9").unwrap();
        drop(journal);
        let (mut journal, memory) = Journal::open(&path).unwrap();
        assert_eq!(memory.term, Some(Term(5)));
        journal.append(&Entry::Term(Term(6))).unwrap();
        drop(journal);
        let damaged = fs::read_to_string(&path).unwrap().replace("\"term\":5", "\"term\":7");
        fs::write(&path, damaged).unwrap();
        let error = weir_shared::chain(&Journal::open(&path).unwrap_err());
        assert!(error.contains("move it away") && error.contains("line 2"), "{error}");
    }

    #[test]
    fn a_full_disk_is_an_error_and_what_was_written_stays() {
        // Every write to this device fails as on a full disk.
        let full = OpenOptions::new().append(true).open("/dev/full").unwrap();
        let lock = tempfile::tempfile().unwrap();
        let mut journal = Journal {
            path: "/dev/full".into(),
            file: full,
            chain: 0,
            memory: Memory::default(),
            torn: None,
            _lock: lock,
        };
        let error = weir_shared::chain(&journal.append(&Entry::Term(Term(1))).unwrap_err());
        assert!(error.contains("free space"), "{error}");
        assert_eq!(journal.chain, 0);
        let again = weir_shared::chain(&journal.append(&Entry::Term(Term(1))).unwrap_err());
        assert!(again.contains("cannot be cut off"), "{again}");
    }
}
