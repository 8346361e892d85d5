//! The plan itself: immutable, checked when made, and known by its hash.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::arch::{Network, NetworkSpec};
use crate::digest::Digest;
use crate::ids::{Epoch, PeerName, Role, Term, WorkerId};
use crate::wire::binary;

use super::{ActiveSet, ActiveSetError, Dataflow, Encoding, Node, StageIndex, StageProgram};

/// The most samples that a plan may allow in one request. It bounds what a header can make a worker allocate.
pub const BATCH_MAX: u16 = 256;

/// Identifies a plan and orders it among others: first by term, then by epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PlanId {
    /// The incarnation of the orchestrator that made it.
    pub term: Term,
    /// Its generation.
    pub epoch: Epoch,
}

/// The SHA-256 of everything that a plan says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PlanHash(pub Digest);

/// One stage: contiguous layers on one worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageAssignment {
    /// The layers.
    pub layers: Range<u16>,
    /// Who computes them.
    pub worker: WorkerId,
}

/// How one peer reaches another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// Who sends.
    pub from: PeerName,
    /// Who receives.
    pub to: PeerName,
    /// Where the sender finds the receiver; it may differ from sender to sender.
    pub address: SocketAddr,
    /// How activations are written on this link.
    pub encoding: Encoding,
}

/// What a plan says, before it is checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanDraft {
    /// Term and epoch.
    pub id: PlanId,
    /// The plan that this one replaces.
    pub parent: Option<PlanId>,
    /// The network.
    pub network: NetworkSpec,
    /// Which connections are active.
    pub active: ActiveSet,
    /// Stages in order; together they hold every layer once.
    pub stages: Vec<StageAssignment>,
    /// The links that the plan uses.
    pub routes: Vec<Route>,
    /// The gateway: sends inputs and receives logits.
    pub gateway: PeerName,
    /// Digest of each layer's weights, in order of layers.
    pub weights: Vec<Digest>,
    /// Whether batch normalisation is folded into the convolutions.
    pub batch_norm: BatchNorm,
    /// The most samples in one request.
    pub max_batch: u16,
}

/// What a worker does with batch normalisation when it loads a convolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BatchNorm {
    /// Folded into the convolution's weight and bias: faster, and equal up to rounding.
    #[default]
    Folded,
    /// Computed as the checkpoint states it.
    Separate,
}

/// The weights of a stage, by content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StageWeights {
    /// The layers.
    pub layers: Range<u16>,
    /// The digest of each.
    pub digests: Vec<Digest>,
    /// How normalisation is held.
    pub batch_norm: BatchNorm,
}

/// A checked plan, with the program of each stage derived from it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "PlanDraft", into = "PlanDraft")]
pub struct Plan {
    draft: PlanDraft,
    hash: PlanHash,
    programs: Vec<StageProgram>,
}

/// Why a draft is not a plan.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The stages leave a gap, overlap, or do not fit the network.
    #[error(
        "stage {stage} holds layers {start} to {end}, but layer {expected} must come next (the network has {layers} layers)"
    )]
    Layers {
        /// The stage.
        stage: usize,
        /// Its first layer.
        start: u16,
        /// Behind its last layer.
        end: u16,
        /// Where it had to begin.
        expected: u16,
        /// Layers of the network.
        layers: u16,
    },
    /// The last stage ends too early.
    #[error("the stages end at layer {end}, but the network has {layers} layers")]
    Incomplete {
        /// Behind the last layer that is placed.
        end: u16,
        /// Layers of the network.
        layers: u16,
    },
    /// A worker has two stages.
    #[error("worker {0} has two stages; give it one contiguous stage")]
    WorkerTwice(WorkerId),
    /// The active set does not fit the network.
    #[error("the active set does not fit the network")]
    ActiveSet(#[from] ActiveSetError),
    /// A value has to travel where no route leads.
    #[error("no route from {from} to {to}, but the plan sends a value there; add the route or move the cut")]
    NoRoute {
        /// Who would send.
        from: PeerName,
        /// Who would receive.
        to: PeerName,
    },
    /// The number of weight digests is not the number of layers.
    #[error("{found} weight digests for {layers} layers")]
    Digests {
        /// How many there are.
        found: usize,
        /// How many there must be.
        layers: u16,
    },
    /// The batch limit is zero or too large.
    #[error("a batch limit of {0} is not possible; 1 to {BATCH_MAX} are")]
    Batch(u16),
    /// The gateway's name is not an orchestrator's.
    #[error("the gateway must be an orchestrator, and {0} is not")]
    Gateway(PeerName),
    /// Logits must arrive exactly as computed.
    #[error("the route from {0} to the gateway must be f32: logits are not rounded")]
    RoundedLogits(PeerName),
    /// The draft is too large to be hashed, and therefore to be sent.
    #[error("the plan is too large to be sent")]
    TooLarge(#[from] binary::EncodeError),
}

impl Plan {
    /// Checks a draft.
    ///
    /// # Errors
    /// Names the first thing that does not fit.
    pub fn new(draft: PlanDraft) -> Result<Self, PlanError> {
        let network = draft.network.network();
        check_layers(&draft, &network)?;
        let mut workers = BTreeSet::new();
        if let Some(stage) = draft.stages.iter().find(|stage| !workers.insert(&stage.worker)) {
            return Err(PlanError::WorkerTwice(stage.worker.clone()));
        }
        draft.active.check(&network)?;
        if draft.weights.len() != usize::from(network.layer_count()) {
            return Err(PlanError::Digests { found: draft.weights.len(), layers: network.layer_count() });
        }
        if !(1..=BATCH_MAX).contains(&draft.max_batch) {
            return Err(PlanError::Batch(draft.max_batch));
        }
        if draft.gateway.role() != Role::Orchestrator {
            return Err(PlanError::Gateway(draft.gateway));
        }
        let flow = Dataflow::new(&network, &draft.active);
        let layers: Vec<_> = draft.stages.iter().map(|stage| stage.layers.clone()).collect();
        let programs = StageProgram::derive(&flow, &layers);
        let hash = PlanHash(Digest::of(&binary::encode(&draft)?));
        let plan = Self { draft, hash, programs };
        plan.check_routes()?;
        Ok(plan)
    }

    /// Term and epoch.
    pub const fn id(&self) -> PlanId {
        self.draft.id
    }

    /// The hash of the whole plan.
    pub const fn hash(&self) -> PlanHash {
        self.hash
    }

    /// Everything that the plan says.
    pub const fn draft(&self) -> &PlanDraft {
        &self.draft
    }

    /// The program of each stage, in order.
    pub fn programs(&self) -> &[StageProgram] {
        &self.programs
    }

    /// The program of one stage.
    ///
    /// # Panics
    /// If the index is not of this plan: indices come from [`stage_of`](Self::stage_of) and [`node`](Self::node).
    pub fn program(&self, stage: StageIndex) -> &StageProgram {
        &self.programs[usize::from(stage.0)]
    }

    /// What the weights of one stage are. Two stages with equal ones hold equal numbers in memory.
    ///
    /// # Panics
    /// As [`program`](Self::program).
    pub fn stage_weights(&self, stage: StageIndex) -> StageWeights {
        let layers = self.draft.stages[usize::from(stage.0)].layers.clone();
        let digests = self.draft.weights[usize::from(layers.start)..usize::from(layers.end)].to_vec();
        StageWeights { layers, digests, batch_norm: self.draft.batch_norm }
    }

    /// The stage of `worker`, if it has one.
    pub fn stage_of(&self, worker: &WorkerId) -> Option<StageIndex> {
        let found = self.draft.stages.iter().position(|stage| stage.worker == *worker);
        found.map(|index| StageIndex(index as u16))
    }

    /// The peer behind a node.
    pub fn peer(&self, node: Node) -> Option<PeerName> {
        match node {
            Node::Gateway => Some(self.draft.gateway.clone()),
            Node::Stage(index) => {
                self.draft.stages.get(usize::from(index.0)).map(|stage| stage.worker.peer())
            }
        }
    }

    /// The stage that sends the logits to the gateway.
    pub fn last_stage(&self) -> Option<&StageProgram> {
        self.programs.iter().find(|program| program.outlets.iter().any(|outlet| outlet.to == Node::Gateway))
    }

    /// The stages that wait for the input image.
    pub fn first_stages(&self) -> impl Iterator<Item = &StageProgram> {
        self.programs.iter().filter(|program| program.inlets.iter().any(|inlet| inlet.from == Node::Gateway))
    }

    /// The node of a peer, if it takes part.
    pub fn node(&self, peer: &PeerName) -> Option<Node> {
        if *peer == self.draft.gateway {
            return Some(Node::Gateway);
        }
        peer.as_worker().and_then(|worker| self.stage_of(&worker)).map(Node::Stage)
    }

    /// The route between two nodes.
    pub fn route(&self, from: Node, to: Node) -> Option<&Route> {
        let (from, to) = (self.peer(from)?, self.peer(to)?);
        self.draft.routes.iter().find(|route| route.from == from && route.to == to)
    }

    /// Every pair of nodes between which a value travels, without repetition.
    pub fn edges(&self) -> BTreeSet<(Node, Node)> {
        let of_one = |program: &StageProgram| {
            let here = Node::Stage(program.stage);
            let arriving = program.inlets.iter().map(move |inlet| (inlet.from, here));
            let leaving = program.outlets.iter().map(move |outlet| (here, outlet.to));
            arriving.chain(leaving).collect::<Vec<_>>()
        };
        self.programs.iter().flat_map(of_one).collect()
    }

    fn check_routes(&self) -> Result<(), PlanError> {
        for (from, to) in self.edges() {
            let (Some(from_peer), Some(to_peer)) = (self.peer(from), self.peer(to)) else { continue };
            let Some(route) = self.route(from, to) else {
                return Err(PlanError::NoRoute { from: from_peer, to: to_peer });
            };
            if to == Node::Gateway && route.encoding != Encoding::F32 {
                return Err(PlanError::RoundedLogits(from_peer));
            }
        }
        Ok(())
    }
}

fn check_layers(draft: &PlanDraft, network: &Network) -> Result<(), PlanError> {
    let layers = network.layer_count();
    let mut expected = 0;
    for (stage, assignment) in draft.stages.iter().enumerate() {
        let Range { start, end } = assignment.layers;
        if start != expected || end <= start || end > layers {
            return Err(PlanError::Layers { stage, start, end, expected, layers });
        }
        expected = end;
    }
    if expected == layers { Ok(()) } else { Err(PlanError::Incomplete { end: expected, layers }) }
}

impl TryFrom<PlanDraft> for Plan {
    type Error = PlanError;

    fn try_from(draft: PlanDraft) -> Result<Self, PlanError> {
        Self::new(draft)
    }
}

impl From<Plan> for PlanDraft {
    fn from(plan: Plan) -> Self {
        plan.draft
    }
}

impl std::fmt::Display for PlanId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.term, self.epoch)
    }
}

impl std::fmt::Display for PlanHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:08x}", self.0.prefix())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arch::Arch;

    fn worker(name: &str) -> WorkerId {
        name.parse().unwrap()
    }

    fn draft() -> PlanDraft {
        let gateway = PeerName::new(Role::Orchestrator, "main").unwrap();
        let (a, b) = (worker("a"), worker("b"));
        let route = |from: &PeerName, to: &PeerName| Route {
            from: from.clone(),
            to: to.clone(),
            address: "127.0.0.1:1".parse().unwrap(),
            encoding: Encoding::F32,
        };
        PlanDraft {
            id: PlanId { term: Term(1), epoch: Epoch(1) },
            parent: None,
            network: Arch::ResNet20.into(),
            active: ActiveSet::full(),
            routes: vec![route(&gateway, &a.peer()), route(&a.peer(), &b.peer()), route(&b.peer(), &gateway)],
            stages: vec![
                StageAssignment { layers: 0..10, worker: a },
                StageAssignment { layers: 10..29, worker: b },
            ],
            gateway,
            weights: vec![Digest::of(b""); 29],
            batch_norm: BatchNorm::Folded,
            max_batch: 8,
        }
    }

    fn check_refused(change: impl FnOnce(&mut PlanDraft), expect: &str) {
        let mut changed = draft();
        change(&mut changed);
        let error = Plan::new(changed).unwrap_err().to_string();
        assert!(error.contains(expect), "{error}");
    }

    #[test]
    fn a_sound_draft_becomes_a_plan_that_survives_the_wire() {
        let plan = Plan::new(draft()).unwrap();
        let bytes = binary::encode(&plan).unwrap();
        let back: Plan = binary::decode(&bytes).unwrap();
        assert_eq!(back, plan);
        assert_eq!(back.hash(), plan.hash());
    }

    #[test]
    fn unsound_drafts_are_refused_with_the_reason() {
        check_refused(|d| d.stages[1].layers = 11..29, "layer 10 must come next");
        check_refused(|d| d.stages[1].layers = 10..28, "has 29 layers");
        check_refused(|d| d.stages[1].layers = 10..10, "layer 10 must come next");
        check_refused(|d| d.stages[1].worker = worker("a"), "two stages");
        check_refused(|d| d.routes.truncate(1), "no route from worker a to worker b");
        check_refused(|d| d.weights.truncate(3), "3 weight digests");
        check_refused(|d| d.max_batch = 0, "batch limit of 0");
        check_refused(|d| d.gateway = worker("a").peer(), "must be an orchestrator");
        check_refused(|d| d.routes[2].encoding = Encoding::Int8, "logits are not rounded");
        check_refused(|d| d.stages.clear(), "end at layer 0");
    }

    #[test]
    fn another_plan_has_another_hash() {
        let plan = Plan::new(draft()).unwrap();
        let mut other = draft();
        other.max_batch = 4;
        assert_ne!(Plan::new(other).unwrap().hash(), plan.hash());
    }
}
