//! What we believe about the cluster: which workers are there, what they hold, and how their links do.
//!
//! Pure: fed by sessions, read by the supervisor and shown by the admin API. [`Cluster::snapshot`] is what planners see of it.

mod accuracy;
mod doubt;
mod measure;
mod snapshot;

pub use accuracy::{accuracy_table, full_only, with_off};
pub use measure::Measurements;
pub use snapshot::SnapshotInput;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use weir_shared::ids::{PeerName, WorkerId};
use weir_shared::plan::{Plan, PlanId};
use weir_shared::telemetry::Absurdity;
use weir_shared::wire::control::{Hello, LinkReport, Report};

use crate::telemetry::{LinkEstimate, LinkEstimator, WorkerEstimator};

/// Every worker that has been seen, and what it last said.
#[derive(Debug, Clone, Default)]
pub struct Cluster {
    workers: BTreeMap<WorkerId, WorkerView>,
    /// Workers that no new plan gives a stage, because a person said so; also while they are not there.
    cordoned: BTreeSet<WorkerId>,
    /// The links on which the gateway sends.
    gateway_links: BTreeMap<PeerName, LinkEstimator>,
}

/// What we believe about one worker.
#[derive(Debug, Clone)]
pub struct WorkerView {
    /// Whether it has a session, and which.
    pub presence: Presence,
    /// How it introduced itself.
    pub hello: Hello,
    /// Where it reaches the gateway.
    pub gateway_address: SocketAddr,
    /// What its readings amount to.
    pub estimates: WorkerEstimator,
    /// Why plans are made without it for now.
    pub blame: Option<Blame>,
    /// Whether it has not been heard for a while, though its session lasts.
    pub is_silent: bool,
}

/// A worker that made a rollout fail is left out for a while, so that it does not stop the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blame {
    /// What went wrong, for people.
    pub reason: String,
    /// When it is tried again.
    pub until: Instant,
    pause: Duration,
}

/// A worker that a plan may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Who.
    pub worker: WorkerId,
    /// Where other peers reach it.
    pub address: SocketAddr,
    /// Where it reaches the gateway.
    pub gateway_address: SocketAddr,
}

/// How long a worker is left out after its first failure; doubled after each further one, up to the most.
const PAUSE_FIRST: Duration = Duration::from_secs(10);
const PAUSE_MAX: Duration = Duration::from_secs(320);

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
    pub fn joined(
        &mut self,
        now: Instant,
        worker: WorkerId,
        session: SessionId,
        hello: Hello,
        gateway_address: SocketAddr,
    ) {
        let presence = Presence::Connected(session);
        let before = self.workers.remove(&worker).map(|view| view.estimates);
        let estimates = WorkerEstimator::joined(now, &hello, before);
        let view = WorkerView { presence, hello, gateway_address, estimates, blame: None, is_silent: false };
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
    ///
    /// # Errors
    /// If they cannot be true. Nothing of them is taken then, and the worker is not trusted until its next good report.
    pub fn reported(&mut self, now: Instant, worker: &WorkerId, report: Report) -> Result<(), Absurdity> {
        let view = self.workers.get_mut(worker).filter(|view| view.is_connected());
        view.map_or(Ok(()), |view| view.estimates.fold(now, report))
    }

    /// The gateway's readings of its own links.
    pub fn gateway_reported(&mut self, now: Instant, links: &[LinkReport]) {
        self.gateway_links.retain(|peer, _| links.iter().any(|link| link.to == *peer));
        for link in links {
            self.gateway_links.entry(link.to.clone()).or_default().fold(now, link, false);
        }
    }

    /// A worker holds a plan from now on.
    pub fn prepared(&mut self, worker: &WorkerId, plan: PlanId) {
        if let Some(view) = self.workers.get_mut(worker).filter(|view| !view.hello.live.contains(&plan)) {
            view.hello.live.push(plan);
        }
    }

    /// A worker has forgotten a plan.
    pub fn retired(&mut self, worker: &WorkerId, plan: PlanId) {
        if let Some(view) = self.workers.get_mut(worker) {
            view.hello.live.retain(|&live| live != plan);
        }
    }

    /// A worker made a rollout fail.
    pub fn blamed(&mut self, now: Instant, worker: &WorkerId, reason: &str) {
        if let Some(view) = self.workers.get_mut(worker) {
            let pause = view.blame.as_ref().map_or(PAUSE_FIRST, |blame| (blame.pause * 2).min(PAUSE_MAX));
            view.blame = Some(Blame { reason: reason.to_owned(), until: now + pause, pause });
        }
    }

    /// No new plan gives the worker a stage from now on.
    pub fn cordon(&mut self, worker: &WorkerId) {
        self.cordoned.insert(worker.clone());
    }

    /// Plans may use the worker again.
    pub fn uncordon(&mut self, worker: &WorkerId) {
        self.cordoned.remove(worker);
    }

    /// Whether a person keeps new plans from it.
    pub fn is_cordoned(&self, worker: &WorkerId) -> bool {
        self.cordoned.contains(worker)
    }

    /// The worker of that name, if it has been seen.
    pub fn worker(&self, name: &str) -> Option<(&WorkerId, &WorkerView)> {
        self.workers.iter().find(|(worker, _)| worker.as_str() == name)
    }

    /// Nothing is heard of a worker: no plan is made with it.
    pub fn fell_silent(&mut self, worker: &WorkerId) {
        if let Some(view) = self.workers.get_mut(worker) {
            view.is_silent = true;
        }
    }

    /// A worker that was silent has been heard.
    pub fn spoke_again(&mut self, worker: &WorkerId) {
        if let Some(view) = self.workers.get_mut(worker) {
            view.is_silent = false;
        }
    }

    /// Workers with a session, by name.
    pub fn connected(&self) -> impl Iterator<Item = (&WorkerId, &WorkerView)> {
        self.workers.iter().filter(|(_, view)| view.is_connected())
    }

    /// The workers that a plan may use, by name: connected, not cordoned, and not left out for now. If all that are not
    /// cordoned are to be left out, all of them are tried.
    pub fn members(&self, now: Instant) -> Vec<Member> {
        let member = |(worker, view): (&WorkerId, &WorkerView)| view.member(worker);
        let is_blamed = |view: &WorkerView| view.blame.as_ref().is_some_and(|blame| blame.until > now);
        let trusted = |view: &WorkerView| !is_blamed(view) && !view.is_silent;
        let free = || self.connected().filter(|(worker, _)| !self.is_cordoned(worker));
        let members: Vec<_> = free().filter(|(_, view)| trusted(view)).map(member).collect();
        if members.is_empty() { free().map(member).collect() } else { members }
    }

    /// The connected workers that are left out for now.
    pub fn left_out(&self, now: Instant) -> Vec<WorkerId> {
        let members = self.members(now);
        let is_member = |worker: &WorkerId| members.iter().any(|member| member.worker == *worker);
        self.connected().map(|(worker, _)| worker).filter(|worker| !is_member(worker)).cloned().collect()
    }

    /// Whether `hello` is of another process than the one that was known by this name.
    pub fn is_restarted(&self, worker: &WorkerId, hello: &Hello) -> bool {
        self.workers.get(worker).is_some_and(|view| view.hello.start != hello.start)
    }

    /// The worker of that name, if it is connected.
    pub fn member(&self, worker: &WorkerId) -> Option<Member> {
        self.workers.get(worker).filter(|view| view.is_connected()).map(|view| view.member(worker))
    }

    /// The worker of that name, if it is connected and not silent.
    pub fn heard(&self, worker: &WorkerId) -> Option<Member> {
        let view = self.workers.get(worker).filter(|view| view.is_connected() && !view.is_silent);
        view.map(|view| view.member(worker))
    }

    /// Whether `worker` is there and holds `plan`.
    pub fn holds(&self, worker: &WorkerId, plan: PlanId) -> bool {
        let view = self.workers.get(worker);
        view.is_some_and(|view| view.is_connected() && view.hello.live.contains(&plan))
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

    /// The readings of all links on which connected workers send, or that they probe.
    pub fn links(&self) -> impl Iterator<Item = (PeerName, &LinkReport)> {
        self.connected().flat_map(|(worker, view)| {
            let links = view.report().into_iter().flat_map(|(report, _)| &report.links);
            links.map(move |link| (worker.peer(), link))
        })
    }

    /// Estimates of all links on which connected workers or `gateway` send, by sender and receiver.
    pub fn link_estimates(
        &self,
        now: Instant,
        gateway: &PeerName,
    ) -> BTreeMap<(PeerName, PeerName), LinkEstimate> {
        let own =
            self.gateway_links.iter().map(|(to, link)| ((gateway.clone(), to.clone()), link.estimate(now)));
        let of_workers = self.connected().flat_map(|(worker, view)| {
            view.estimates.links(now).map(move |(to, link)| ((worker.peer(), to.clone()), link))
        });
        own.chain(of_workers).collect()
    }
}

impl WorkerView {
    fn member(&self, worker: &WorkerId) -> Member {
        Member {
            worker: worker.clone(),
            address: self.hello.data_address,
            gateway_address: self.gateway_address,
        }
    }

    /// Its last readings that were believed, and when they came.
    pub const fn report(&self) -> Option<&(Report, Instant)> {
        self.estimates.report()
    }

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
pub(crate) mod tests {
    use weir_shared::ids::Term;
    use weir_shared::telemetry::StartId;

    use super::*;
    use crate::planner::tests::two_stage_plan;

    fn hello(live: Vec<PlanId>) -> Hello {
        let data_address = "127.0.0.1:1".parse().unwrap();
        Hello {
            release: "".into(),
            data_address,
            threads: 1,
            term: Term(1),
            live,
            start: StartId(1),
            report_period_millis: 250,
            calibration: None,
        }
    }

    #[test]
    fn a_cordoned_worker_is_left_out_also_where_nobody_else_is_there() {
        let (mut cluster, now, a): (_, _, WorkerId) =
            (Cluster::default(), Instant::now(), "a".parse().unwrap());
        join(&mut cluster, "a", 1, vec![]);
        cluster.cordon(&a);
        assert!(cluster.members(now).is_empty() && cluster.left_out(now) == [a.clone()]);
        join(&mut cluster, "a", 2, vec![]);
        assert!(cluster.members(now).is_empty(), "a cordon outlives a session");
        cluster.uncordon(&a);
        assert_eq!(cluster.members(now).len(), 1);
    }

    pub(crate) fn join(cluster: &mut Cluster, worker: &str, session: u64, live: Vec<PlanId>) {
        let hello = hello(live);
        let gateway = hello.data_address;
        cluster.joined(Instant::now(), worker.parse().unwrap(), SessionId(session), hello, gateway);
    }

    #[test]
    fn the_end_of_an_old_session_is_not_the_end_of_the_worker() {
        let (mut cluster, a): (_, WorkerId) = (Cluster::default(), "a".parse().unwrap());
        join(&mut cluster, "a", 1, vec![]);
        join(&mut cluster, "a", 2, vec![]);
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
            join(&mut cluster, name, 1, vec![plan.id()]);
        }
        assert!(cluster.carries(&plan));
        join(&mut cluster, "a", 2, vec![]);
        assert!(!cluster.carries(&plan));
        cluster.prepared(&"a".parse().unwrap(), plan.id());
        assert!(cluster.carries(&plan));
    }

    #[test]
    fn a_worker_at_fault_is_left_out_for_a_growing_while_unless_nobody_else_is_there() {
        let (mut cluster, now, a): (_, _, WorkerId) =
            (Cluster::default(), Instant::now(), "a".parse().unwrap());
        let names = |cluster: &Cluster, at| {
            cluster.members(at).into_iter().map(|member| member.worker.to_string()).collect::<Vec<_>>()
        };
        join(&mut cluster, "a", 1, vec![]);
        cluster.blamed(now, &a, "wrong digest");
        assert_eq!(names(&cluster, now), ["a"]);
        join(&mut cluster, "b", 1, vec![]);
        assert_eq!(names(&cluster, now), ["b"]);
        assert_eq!(names(&cluster, now + PAUSE_FIRST), ["a", "b"]);
        cluster.blamed(now, &a, "wrong digest");
        assert_eq!(names(&cluster, now + PAUSE_FIRST), ["b"]);
        join(&mut cluster, "a", 2, vec![]);
        assert_eq!(names(&cluster, now), ["a", "b"]);
    }
}
