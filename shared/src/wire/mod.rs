//! Bytes on a link: what they mean and how large they may be. No socket is named here.
//!
//! An activation travels as a [`preamble`](header::PREAMBLE_BYTES), a [`Header`] of at most 4 KiB and the raw
//! numbers, whose length follows from the plan and is known before a byte is allocated. Between worker and
//! orchestrator travel [`control`] messages, each framed with its length. [`codec`] rounds and restores numbers.

pub mod binary;
pub mod codec;
pub mod control;
pub mod header;
pub mod trace;

pub use header::{Header, HeaderError};
pub use trace::TraceContext;

/// The version of everything in this module. Peers of different versions refuse each other by name.
pub const PROTOCOL_VERSION: u16 = 3;
