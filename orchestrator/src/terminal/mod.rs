//! What people read on a terminal: [`table`] sets tables and numbers, [`say`] prints lines,
//! [`progress`] draws a bar, [`moment`] writes times.

pub mod moment;
pub mod progress;
pub mod say;
pub mod table;

pub use say::{say, step};
