//! Who may do what on the admin port.
//!
//! Flow: the [`guard`] stands in front of every route. [`need`] says what a method and a path ask for; a route that nobody
//! classified asks for everything. With token files, [`tokens`] says who the bearer is. Without any, only this machine
//! may ask, and [`local`] says whether it is this machine that does, and no page of somebody else's in its browser.
//!
//! Always true: no token is kept, logged or answered. What is refused has changed nothing, for no handler has seen it.

mod guard;
mod local;
mod need;
mod tokens;

pub use guard::{Access, guard};
pub use need::{Need, need};
pub use tokens::{Role, TokenFile, TokenFileError};
