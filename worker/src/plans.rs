//! Which plans are alive here: at most two, none older than what the orchestrator's term allows.
//!
//! Pure: the rules of plan switching as seen by one worker. A plan comes alive when its weights are loaded and
//! dies when it is retired; requests of any other plan are refused. Readers see an immutable [`LivePlans`].

use std::sync::Arc;

use weir_shared::ids::{PeerName, Term, WorkerId};
use weir_shared::plan::{Node, Plan, PlanId, StageIndex, StageProgram};
use weir_shared::transport::activation::{Expected, Refusal};
use weir_shared::wire::Header;

use crate::stage::Compute;

/// One serves and one is on its way in or out. More would only hide a rollout that never ends.
const LIVE_MAX: usize = 2;

/// A plan with this worker's share of it, ready to compute.
pub struct LivePlan {
    /// The plan.
    pub plan: Arc<Plan>,
    /// This worker's stage.
    pub stage: StageIndex,
    /// The stage's weights.
    pub compute: Arc<dyn Compute>,
}

/// The plans that are alive, oldest first.
#[derive(Clone, Default)]
pub struct LivePlans {
    plans: Vec<Arc<LivePlan>>,
    term: Term,
    /// The newest plan that was retired. One that is still being loaded when it is retired must not come alive.
    retired: Option<PlanId>,
}

/// Why a plan may not come alive.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanRefusal {
    /// A newer orchestrator is in charge.
    #[error("fenced: term {found} is over, this worker obeys term {current}")]
    Fenced {
        /// The sender's term.
        found: Term,
        /// The highest term seen.
        current: Term,
    },
    /// A plan of that or a later number is alive already.
    #[error("plan {found} is not newer than plan {newest}, which is alive here")]
    NotNewer {
        /// The plan offered.
        found: PlanId,
        /// The newest that is alive.
        newest: PlanId,
    },
    /// That or a later plan was alive once, or was given up before it was.
    #[error("plan {found} is not newer than plan {retired}, which was retired here")]
    Retired {
        /// The plan offered.
        found: PlanId,
        /// The newest that was retired.
        retired: PlanId,
    },
    /// Two plans are alive.
    #[error("two plans are alive here already; retire one of {0} and {1} first")]
    TooMany(PlanId, PlanId),
    /// The plan has no stage for this worker.
    #[error("plan {0} has no stage for this worker")]
    NoStage(PlanId),
}

impl LivePlan {
    /// The program of this worker's stage.
    pub fn program(&self) -> &StageProgram {
        self.plan.program(self.stage)
    }
}

impl LivePlan {
    fn shares_weights_with(&self, other: &Self) -> bool {
        self.compute.identity() == other.compute.identity()
    }
}

impl LivePlans {
    /// The highest term obeyed so far.
    pub const fn term(&self) -> Term {
        self.term
    }

    /// Obeys `term` from now on.
    ///
    /// # Errors
    /// If a higher term was seen.
    pub fn obey(&mut self, term: Term) -> Result<(), PlanRefusal> {
        if term < self.term {
            return Err(PlanRefusal::Fenced { found: term, current: self.term });
        }
        self.term = term;
        Ok(())
    }

    /// Whether `plan` may come alive, asked before its weights are loaded. Returns this worker's stage.
    ///
    /// # Errors
    /// Says which rule forbids it.
    pub fn may_admit(&self, plan: &Plan, worker: &WorkerId) -> Result<StageIndex, PlanRefusal> {
        let id = plan.id();
        if id.term < self.term {
            return Err(PlanRefusal::Fenced { found: id.term, current: self.term });
        }
        if let Some(newest) = self.plans.last().map(|live| live.plan.id()).filter(|&newest| newest >= id) {
            return Err(PlanRefusal::NotNewer { found: id, newest });
        }
        if let Some(retired) = self.retired.filter(|&retired| retired >= id) {
            return Err(PlanRefusal::Retired { found: id, retired });
        }
        if let [.., first, second] = &self.plans[..] {
            // A plan of an orchestrator that is gone is nobody's to retire: the new one may push it out.
            if self.plans.len() >= LIVE_MAX && first.plan.id().term == id.term {
                return Err(PlanRefusal::TooMany(first.plan.id(), second.plan.id()));
            }
        }
        plan.stage_of(worker).ok_or(PlanRefusal::NoStage(id))
    }

    /// Brings a plan alive that [`may_admit`](Self::may_admit) allowed.
    pub fn admit(&mut self, live: LivePlan) {
        if self.plans.len() >= LIVE_MAX {
            self.plans.remove(0);
        }
        self.term = self.term.max(live.plan.id().term);
        self.plans.push(Arc::new(live));
    }

    /// Bytes of weights held. Two plans that share their weights count once.
    pub fn weight_bytes(&self) -> u64 {
        let mut counted: Vec<&Arc<LivePlan>> = Vec::new();
        for live in &self.plans {
            if !counted.iter().any(|other| other.shares_weights_with(live)) {
                counted.push(live);
            }
        }
        counted.iter().map(|live| live.compute.loaded().weight_bytes).sum()
    }

    /// Forgets a plan; it will not come alive again, nor if it is still being loaded.
    pub fn retire(&mut self, id: PlanId) {
        self.retired = self.retired.max(Some(id));
        self.plans.retain(|live| live.plan.id() != id);
    }

    /// The live plan of that number.
    pub fn get(&self, id: PlanId) -> Option<&Arc<LivePlan>> {
        self.plans.iter().find(|live| live.plan.id() == id)
    }

    /// All live plans, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<LivePlan>> {
        self.plans.iter()
    }

    /// Whether `peer` sends anything to this worker in a live plan.
    pub fn admits(&self, peer: &PeerName) -> bool {
        self.plans.iter().any(|live| {
            let node = live.plan.node(peer);
            node.is_some_and(|node| live.program().inlets.iter().any(|inlet| inlet.from == node))
        })
    }

    /// What the plan that `header` names says about a value from `peer`.
    ///
    /// # Errors
    /// If the plan is not alive, or does not send this value here from there.
    pub fn expect(&self, peer: &PeerName, header: &Header) -> Result<(Arc<Plan>, Expected), Refusal> {
        let live = self.get(header.plan).ok_or(Refusal::StalePlan(header.plan))?;
        let expected = Expected::in_plan(&live.plan, header.value, peer, Node::Stage(live.stage))?;
        Ok((live.plan.clone(), expected))
    }
}
