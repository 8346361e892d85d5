//! What an orchestrator must remember across its own death: its term, and the plan that it committed last.
//!
//! Append-only text, one line for each entry, each line on the disk before what it announces is done. [`entry`] is the
//! pure half: what bytes mean, and which of them may be believed. [`file`] is the file, [`writer`] the thread that waits for
//! the disk.
//!
//! Always true: what is read is a beginning of what was written. A torn end, as a lost power supply leaves it, is cut
//! off; damage in the middle is refused, because entries behind it would be believed without those before.

pub mod entry;
pub mod file;
pub mod writer;

pub use entry::{Damaged, Entry, Memory};
pub use file::{Journal, JournalError};
pub use writer::{Writer, Written};
