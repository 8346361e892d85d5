//! What the supervisor answers about the past: decisions, events, and what is new to a follower.

use actix::prelude::*;

use super::actor::Supervisor;
use super::log::{About, LogPage};
use super::messages::*;

/// Events that a follower gets at once; the rest comes with the next question.
const NEWS_MAX: usize = 256;

impl Handler<GetDecisions> for Supervisor {
    type Result = PlansPage;

    fn handle(&mut self, GetDecisions { before, limit }: GetDecisions, _: &mut Self::Context) -> PlansPage {
        let (plans, more) = self.replanning.records.newest(before, limit);
        PlansPage { plans, more }
    }
}

impl Handler<GetEvents> for Supervisor {
    type Result = MessageResult<GetEvents>;

    fn handle(&mut self, GetEvents { after, limit }: GetEvents, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.log.since(after.as_ref(), limit))
    }
}

impl Handler<GetNews> for Supervisor {
    type Result = News;

    fn handle(&mut self, GetNews { after, revision }: GetNews, _: &mut Self::Context) -> News {
        let LogPage { events, .. } =
            after.as_ref().map_or_else(LogPage::default, |after| self.log.since(Some(after), NEWS_MAX));
        let last = events.last().and_then(|event| super::log::Cursor::parse(&event.id));
        let (plans, now) = self.replanning.records.changed_since(revision.unwrap_or(u64::MAX));
        News { events, plans, after: last.unwrap_or_else(|| self.log.end()), revision: now }
    }
}

impl Handler<Remark> for Supervisor {
    type Result = ();

    fn handle(&mut self, Remark { kind, message }: Remark, _: &mut Self::Context) {
        self.tell_people(kind, message, About::default());
    }
}
