//! What we believe about the cluster: which workers are there, what they hold, and how their links do.
//!
//! Pure: fed by sessions, read by the supervisor and shown by the admin API.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Instant;

use weir_shared::ids::{PeerName, WorkerId};
use weir_shared::plan::{Plan, PlanId};
use weir_shared::wire::control::{Hello, LinkReport, Report};

/// Every worker that has been seen, and what it last said.
#[derive(Debug, Clone, Default)]
pub struct Cluster {
    workers: BTreeMap<WorkerId, WorkerView>,
}

/// What we believe about one worker.
#[derive(Debug, Clone)]
pub struct WorkerView {
    /// Whether it has a session, and which.
    pub presence: Presence,
    /// How it introduced itself.
    pub hello: Hello,
    /// Its last readings, and when they came.
    pub report: Option<(Report, Instant)>,
}

/// Whether a worker is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// It has the session of this number.
    Connected(SessionId),
    /// Its session ended.
    Lost,
}

/// Numbers sessions, so that the end of an old one is not taken for the end of its successor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(pub u64);

impl Cluster {
    /// A worker has opened a session.
    pub fn joined(&mut self, worker: WorkerId, session: SessionId, hello: Hello) {
        let view = WorkerView { presence: Presence::Connected(session), hello, report: None };
        self.workers.insert(worker, view);
    }

    /// A session has ended. Says whether the worker is lost by it: an old session's end changes nothing.
    pub fn left(&mut self, worker: &WorkerId, session: SessionId) -> Departure {
        match self.workers.get_mut(worker) {
            Some(view) if view.presence == Presence::Connected(session) => {
                view.presence = Presence::Lost;
                Departure::Lost
            }
            _ => Departure::Outdated,
        }
    }

    /// A worker's readings.
    pub fn reported(&mut self, now: Instant, worker: &WorkerId, report: Report) {
        if let Some(view) = self.workers.get_mut(worker) {
            view.report = Some((report, now));
        }
    }

    /// A worker holds a plan from now on.
    pub fn prepared(&mut self, worker: &WorkerId, plan: PlanId) {
        if let Some(view) = self.workers.get_mut(worker) {
            view.hello.live.push(plan);
        }
    }

    /// A worker has forgotten a plan.
    pub fn retired(&mut self, worker: &WorkerId, plan: PlanId) {
        if let Some(view) = self.workers.get_mut(worker) {
            view.hello.live.retain(|&live| live != plan);
        }
    }

    /// Workers with a session and where they are reached, by name.
    pub fn connected(&self) -> impl Iterator<Item = (&WorkerId, SocketAddr)> {
        let connected = self.workers.iter().filter(|(_, view)| view.is_connected());
        connected.map(|(worker, view)| (worker, view.hello.data_address))
    }

    /// Every worker that has been seen.
    pub fn workers(&self) -> impl Iterator<Item = (&WorkerId, &WorkerView)> {
        self.workers.iter()
    }

    /// Whether every worker of `plan` is there and holds it.
    pub fn carries(&self, plan: &Plan) -> bool {
        plan.draft().stages.iter().all(|stage| {
            let view = self.workers.get(&stage.worker);
            view.is_some_and(|view| view.is_connected() && view.hello.live.contains(&plan.id()))
        })
    }

    /// The readings of all links on which connected workers send.
    pub fn links(&self) -> impl Iterator<Item = (PeerName, &LinkReport)> {
        let connected = self.workers.iter().filter(|(_, view)| view.is_connected());
        connected.flat_map(|(worker, view)| {
            let links = view.report.iter().flat_map(|(report, _)| &report.links);
            links.map(move |link| (worker.peer(), link))
        })
    }
}

impl WorkerView {
    /// Whether the worker has a session.
    pub const fn is_connected(&self) -> bool {
        matches!(self.presence, Presence::Connected(_))
    }
}

/// What the end of a session means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Departure {
    /// The worker is gone.
    Lost,
    /// The worker has a newer session.
    Outdated,
}

#[cfg(test)]
mod tests {
    use weir_shared::ids::Term;

    use super::*;
    use crate::planner::tests::two_stage_plan;

    fn hello(live: Vec<PlanId>) -> Hello {
        let data_address = "127.0.0.1:1".parse().unwrap();
        Hello { protocol: 1, release: String::new(), data_address, threads: 1, term: Term(1), live }
    }

    #[test]
    fn the_end_of_an_old_session_is_not_the_end_of_the_worker() {
        let (mut cluster, a): (_, WorkerId) = (Cluster::default(), "a".parse().unwrap());
        cluster.joined(a.clone(), SessionId(1), hello(vec![]));
        cluster.joined(a.clone(), SessionId(2), hello(vec![]));
        assert_eq!(cluster.left(&a, SessionId(1)), Departure::Outdated);
        assert_eq!(cluster.connected().count(), 1);
        assert_eq!(cluster.left(&a, SessionId(2)), Departure::Lost);
        assert_eq!(cluster.connected().count(), 0);
    }

    #[test]
    fn a_restarted_worker_no_longer_carries_the_plan() {
        let plan = two_stage_plan(1);
        let mut cluster = Cluster::default();
        for name in ["a", "b"] {
            cluster.joined(name.parse().unwrap(), SessionId(1), hello(vec![plan.id()]));
        }
        assert!(cluster.carries(&plan));
        cluster.joined("a".parse().unwrap(), SessionId(2), hello(vec![]));
        assert!(!cluster.carries(&plan));
        cluster.prepared(&"a".parse().unwrap(), plan.id());
        assert!(cluster.carries(&plan));
    }
}
