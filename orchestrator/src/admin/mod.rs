//! The admin API: what the cluster looks like, over HTTP.
//!
//! Reading only, for now. Errors are RFC 9457 problem documents. The forms that clients see are in [`views`], apart
//! from the types inside, so that neither binds the other.

mod routes;
pub mod views;

pub use routes::{AdminState, configure};
