//! The links on which this worker sends.

pub use weir_shared::transport::Links;
