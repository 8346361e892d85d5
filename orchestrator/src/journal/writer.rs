//! The journal's own thread: entries in the order in which they come, each on the disk before it is reported.
//!
//! A disk may take long over a sync, and the actor that decides must not wait for it. One thread, because the last plan in
//! the journal is the one that is adopted, so that their order counts.

use std::io;
use std::path::PathBuf;
use std::sync::mpsc::{self, TrySendError};
use std::thread;
use std::time::{Duration, Instant};

use super::entry::Entry;
use super::file::{Journal, JournalError};

/// Entries that may wait for the disk. A rollout waits for its own, so more than a few are a disk that hangs.
const WAITING_MAX: usize = 8;

/// Takes entries, and says when they are on the disk.
#[derive(Debug)]
pub struct Writer {
    orders: mpsc::SyncSender<Order>,
    path: PathBuf,
}

/// How an entry fared.
#[derive(Debug)]
pub struct Written {
    /// What the disk said.
    pub outcome: Result<(), JournalError>,
    /// How long it took, with the entries before it.
    pub took: Duration,
}

/// Called on the journal's thread.
type Done = Box<dyn FnOnce(Written) + Send>;

struct Order {
    entry: Entry,
    at: Instant,
    done: Done,
}

impl Writer {
    /// Starts the thread. It ends with the writer.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub fn start(mut journal: Journal) -> io::Result<Self> {
        let (orders, taken) = mpsc::sync_channel::<Order>(WAITING_MAX);
        let path = journal.path().to_owned();
        let write = move || {
            for Order { entry, at, done } in taken {
                let outcome = journal.append(&entry);
                done(Written { outcome, took: at.elapsed() });
            }
        };
        thread::Builder::new().name("journal".to_owned()).spawn(write)?;
        Ok(Self { orders, path })
    }

    /// Has `entry` written; `done` is called when it is on the disk, or cannot be.
    pub fn append(&self, entry: Entry, done: impl FnOnce(Written) + Send + 'static) {
        let order = Order { entry, at: Instant::now(), done: Box::new(done) };
        if let Err(TrySendError::Full(order) | TrySendError::Disconnected(order)) =
            self.orders.try_send(order)
        {
            (order.done)(Written { outcome: Err(self.stuck()), took: Duration::ZERO });
        }
    }

    /// Has `entry` written, and waits for it.
    ///
    /// # Errors
    /// If it cannot be.
    pub fn append_now(&self, entry: Entry) -> Result<(), JournalError> {
        let (done, written) = mpsc::sync_channel(1);
        self.append(entry, move |written| {
            // Whoever asked waits below.
            let _ = done.send(written);
        });
        written.recv().map_or_else(|_| Err(self.stuck()), |written| written.outcome)
    }

    fn stuck(&self) -> JournalError {
        let source = io::Error::other("earlier entries are not on the disk yet");
        JournalError::File { action: "append to", path: self.path.clone(), source }
    }
}

#[cfg(test)]
mod tests {
    use weir_shared::ids::Term;

    use super::*;

    #[test]
    fn entries_are_on_the_disk_in_their_order_when_it_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let (done, written) = mpsc::sync_channel(WAITING_MAX);
        let writer = Writer::start(Journal::open(&path).unwrap().0).unwrap();
        for term in 1..=3 {
            let done = done.clone();
            writer.append(Entry::Term(Term(term)), move |written| done.send((term, written)).unwrap());
        }
        writer.append_now(Entry::Term(Term(4))).unwrap();
        let order: Vec<u64> =
            written.try_iter().map(|(term, written)| written.outcome.map_or(0, |()| term)).collect();
        assert_eq!(order, [1, 2, 3]);
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().count(), 5, "{text}");
    }
}
