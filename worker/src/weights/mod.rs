//! Where a worker's weights come from: its own checkpoint, what it has kept, or the orchestrator.
//!
//! Always true: no layer is handed out that does not have the digest which the plan names, wherever it was found.

mod library;
mod remote;
mod store;

pub use library::{Library, LibraryError, Sources};
pub use remote::Remote;
pub use store::{Store, StoreError};
