//! What people read on a terminal: [`table`] sets tables and numbers, [`say`] prints lines.

pub mod say;
pub mod table;

pub use say::{say, step};
