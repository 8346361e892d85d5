//! The rollout of one plan: prepare, connect, remember, commit, drain, retire.
//!
//! A pure state machine. Events come in with the time, [`Step`]s come out; whoever owns it carries them out.
//!
//! Always true: nothing is committed before every worker has prepared this very plan and reached its peers, and the next
//! incarnation would find it; a rollout that fails before that leaves the old plan untouched; the old plan is retired only
//! when the gateway says that no request runs on it, or its time to drain is over.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use weir_shared::ids::WorkerId;
use weir_shared::plan::{Plan, PlanHash, PlanId};

/// Loading weights from a slow card may take long; longer than this is a fault.
const PREPARE_MAX: Duration = Duration::from_secs(60);

/// Reaching the peers: workers give up after ten seconds, and say so.
const CONNECT_MAX: Duration = Duration::from_secs(15);

/// A line and a sync: a worn card takes a second, and a disk that takes longer than this hangs.
const REMEMBER_MAX: Duration = Duration::from_secs(10);

/// Where a rollout stands.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Phase {
    /// Waiting for these workers to prepare.
    Preparing(BTreeSet<WorkerId>),
    /// Waiting for these workers, and perhaps the gateway, to reach their peers.
    Connecting {
        /// Workers that have not answered.
        workers: BTreeSet<WorkerId>,
        /// Whether the gateway has reached the first stage.
        gateway: GatewayLink,
    },
    /// Everybody is ready; waiting for the journal.
    Remembering,
    /// Committed; the old plan still has requests.
    Draining,
    /// The end, good or bad.
    Ended,
}

/// The gateway's own link to the first stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum GatewayLink {
    /// Being dialled.
    Dialling,
    /// Up.
    Ready,
}

/// What must be done next.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// Tell this worker to prepare the plan.
    Prepare(WorkerId),
    /// Tell this worker to reach its peers.
    Connect(WorkerId),
    /// Have the gateway reach the first stage, and report it.
    ConnectGateway,
    /// Write down that the plan is about to be committed, and report it.
    Remember,
    /// Swap the plan at admission, then tell its workers.
    Commit,
    /// Tell this worker to forget a plan.
    Retire(WorkerId, PlanId),
    /// The rollout failed; the old plan serves on.
    Aborted(Abort),
    /// The old plan is gone; nothing is left to do.
    Finished,
}

/// Why a rollout failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Abort {
    /// For people.
    pub reason: String,
    /// What was at fault.
    pub fault: Fault,
}

/// What was at fault where a rollout failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// These workers.
    Workers(BTreeSet<WorkerId>),
    /// A worker was lost. It is not blamed: it may be back in a moment.
    Loss,
    /// The journal. The plan is as good as before.
    Journal,
}

/// What has happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A worker has prepared a plan of this hash.
    Prepared(WorkerId, PlanHash),
    /// A worker has reached its peers.
    Connected(WorkerId),
    /// The gateway has reached the first stage.
    GatewayConnected,
    /// The plan is on the disk.
    Remembered,
    /// The plan could not be written down, and why.
    NotRemembered(String),
    /// A worker cannot carry the plan out, perhaps because it did not reach these others.
    Refused(WorkerId, String, BTreeSet<WorkerId>),
    /// A worker's session ended.
    Lost(WorkerId),
    /// No admitted request runs on the old plan any more.
    Drained,
    /// Time has passed.
    Tick,
}

/// The rollout of one plan in place of another.
#[derive(Debug)]
pub struct Rollout {
    plan: Arc<Plan>,
    old: Option<Arc<Plan>>,
    phase: Phase,
    until: Instant,
    drain_max: Duration,
    linked: BTreeSet<WorkerId>,
}

impl Rollout {
    /// Begins to replace `old` by `plan`. The steps are the first to take. The workers in `linked` reach everybody
    /// already whom the plan has them reach, and need not be asked to.
    pub fn begin(
        now: Instant,
        plan: Arc<Plan>,
        old: Option<Arc<Plan>>,
        drain_max: Duration,
        linked: BTreeSet<WorkerId>,
    ) -> (Self, Vec<Step>) {
        let waiting = workers(&plan);
        let steps = waiting.iter().cloned().map(Step::Prepare).collect();
        let (phase, until) = (Phase::Preparing(waiting), now + PREPARE_MAX);
        let rollout = Self { plan, old, phase, until, drain_max, linked };
        (rollout, steps)
    }

    /// The plan that is rolled out.
    pub const fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// The plan that it replaces, while that one still has requests.
    pub const fn old(&self) -> Option<&Arc<Plan>> {
        self.old.as_ref()
    }

    /// Takes an event, and says what must be done. What workers outside the plan say does not matter.
    pub fn on(&mut self, now: Instant, event: Event) -> Vec<Step> {
        if event.worker().is_some_and(|worker| self.plan.stage_of(worker).is_none()) {
            return Vec::new();
        }
        match (&mut self.phase, event) {
            (Phase::Ended, _) => Vec::new(),
            (Phase::Preparing(waiting), Event::Prepared(worker, hash)) => {
                if hash != self.plan.hash() {
                    let reason = format!("worker {worker} prepared a plan of another hash");
                    return self.abort(reason, Fault::Workers(BTreeSet::from([worker])));
                }
                waiting.remove(&worker);
                if waiting.is_empty() { self.connect(now) } else { Vec::new() }
            }
            (Phase::Connecting { workers, .. }, Event::Connected(worker)) => {
                workers.remove(&worker);
                self.remember_if_connected(now)
            }
            (Phase::Connecting { gateway, .. }, Event::GatewayConnected) => {
                *gateway = GatewayLink::Ready;
                self.remember_if_connected(now)
            }
            (Phase::Remembering, Event::Remembered) => self.commit(now),
            (Phase::Remembering, Event::NotRemembered(reason)) => self.abort(reason, Fault::Journal),
            (Phase::Remembering, Event::Tick) if now >= self.until => self
                .abort(format!("the journal did not take the plan within {REMEMBER_MAX:?}"), Fault::Journal),
            (Phase::Preparing(_) | Phase::Connecting { .. }, Event::Refused(worker, reason, unreachable)) => {
                let reason = format!("worker {worker}: {reason}");
                let blamed = if unreachable.is_empty() { BTreeSet::from([worker]) } else { unreachable };
                self.abort(reason, Fault::Workers(blamed))
            }
            (Phase::Preparing(_) | Phase::Connecting { .. } | Phase::Remembering, Event::Lost(worker)) => {
                self.abort(format!("worker {worker} was lost"), Fault::Loss)
            }
            (Phase::Preparing(waiting), Event::Tick) if now >= self.until => {
                let slow = std::mem::take(waiting);
                self.abort(
                    format!("{} did not prepare within {PREPARE_MAX:?}", names(&slow)),
                    Fault::Workers(slow),
                )
            }
            (Phase::Connecting { workers, .. }, Event::Tick) if now >= self.until => {
                let slow = std::mem::take(workers);
                if slow.is_empty() {
                    let first = first_workers(&self.plan);
                    let reason =
                        format!("{} did not let the gateway in within {CONNECT_MAX:?}", names(&first));
                    return self.abort(reason, Fault::Workers(first));
                }
                self.abort(
                    format!("{} did not answer within {CONNECT_MAX:?}", names(&slow)),
                    Fault::Workers(slow),
                )
            }
            // The new plan is broken: the next one must not wait until the old one is drained.
            (Phase::Draining, Event::Lost(_)) => self.finish(),
            (Phase::Draining, Event::Drained) => self.finish(),
            (Phase::Draining, Event::Tick) if now >= self.until => self.finish(),
            _ => Vec::new(),
        }
    }

    fn connect(&mut self, now: Instant) -> Vec<Step> {
        let waiting: BTreeSet<WorkerId> = workers(&self.plan).difference(&self.linked).cloned().collect();
        let steps = waiting.iter().cloned().map(Step::Connect).chain([Step::ConnectGateway]).collect();
        self.phase = Phase::Connecting { workers: waiting, gateway: GatewayLink::Dialling };
        self.until = now + CONNECT_MAX;
        steps
    }

    fn remember_if_connected(&mut self, now: Instant) -> Vec<Step> {
        let Phase::Connecting { workers, gateway: GatewayLink::Ready } = &self.phase else {
            return Vec::new();
        };
        if !workers.is_empty() {
            return Vec::new();
        }
        self.phase = Phase::Remembering;
        self.until = now + REMEMBER_MAX;
        vec![Step::Remember]
    }

    fn commit(&mut self, now: Instant) -> Vec<Step> {
        self.phase = Phase::Draining;
        self.until = now + self.drain_max;
        let mut steps = vec![Step::Commit];
        if self.old.is_none() {
            steps.extend(self.finish());
        }
        steps
    }

    fn finish(&mut self) -> Vec<Step> {
        self.phase = Phase::Ended;
        let old = self.old.take();
        let retired = old.iter().flat_map(|old| workers(old).into_iter().map(|w| Step::Retire(w, old.id())));
        retired.chain([Step::Finished]).collect()
    }

    fn abort(&mut self, reason: String, fault: Fault) -> Vec<Step> {
        self.phase = Phase::Ended;
        let id = self.plan.id();
        let retired = workers(&self.plan).into_iter().map(|worker| Step::Retire(worker, id));
        retired.chain([Step::Aborted(Abort { reason, fault })]).collect()
    }
}

impl Event {
    const fn worker(&self) -> Option<&WorkerId> {
        match self {
            Self::Prepared(worker, _)
            | Self::Connected(worker)
            | Self::Refused(worker, ..)
            | Self::Lost(worker) => Some(worker),
            Self::GatewayConnected
            | Self::Remembered
            | Self::NotRemembered(_)
            | Self::Drained
            | Self::Tick => None,
        }
    }
}

/// The workers to which the gateway sends.
fn first_workers(plan: &Plan) -> BTreeSet<WorkerId> {
    let stages = plan.first_stages().map(|program| &plan.draft().stages[usize::from(program.stage.0)]);
    stages.map(|stage| stage.worker.clone()).collect()
}

fn workers(plan: &Plan) -> BTreeSet<WorkerId> {
    plan.draft().stages.iter().map(|stage| stage.worker.clone()).collect()
}

fn names(workers: &BTreeSet<WorkerId>) -> String {
    workers.iter().map(WorkerId::as_str).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
