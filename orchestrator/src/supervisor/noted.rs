//! Events that others bring about, and that the supervisor writes down with its own.

use actix::prelude::*;

use super::actor::Supervisor;
use super::log::{About, EventKind};

/// What this process logs has changed.
#[derive(Message)]
#[rtype(result = "()")]
pub struct LogLevelSet {
    /// As given.
    pub filter: String,
}

impl Handler<LogLevelSet> for Supervisor {
    type Result = ();

    fn handle(&mut self, LogLevelSet { filter }: LogLevelSet, _: &mut Self::Context) {
        self.tell_people(
            EventKind::LogLevelChanged,
            format!("the log is filtered by {filter}"),
            About::default(),
        );
    }
}
