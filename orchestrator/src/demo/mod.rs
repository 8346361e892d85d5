//! `weir demo`: a whole cluster on one machine, with links that behave like real ones.

pub mod emulator;
