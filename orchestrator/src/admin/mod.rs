//! The admin API: what the cluster looks like and does, and what a person may tell it, over HTTP.
//!
//! `docs/api.md` lists the routes. Errors are RFC 9457 problem documents. Nothing here decides: handlers ask the
//! supervisor, and what takes long is computed off its thread. The forms that clients see are in [`views`].

pub mod access;
mod conditional;
mod health;
mod history;
mod input;
mod log_level;
mod openapi;
mod operate;
mod page;
mod paging;
mod policy;
mod problem;
mod read;
mod readiness;
mod routes;
mod solve;
mod state;
mod stream;
pub mod views;

pub use routes::configure;
pub use state::{AdminState, FOLLOWERS_MAX};
