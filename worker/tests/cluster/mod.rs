//! A cluster inside one process: some workers and a gateway, joined by real QUIC and mutual TLS on loopback.
//!
//! There is no orchestrator: a test makes its own plans and gives them to the workers' stages, so it can also give
//! them wrong ones. Everything lives on one actix system; each worker computes on a thread of its own.

#![allow(dead_code, reason = "each file of tests uses its own part of this")]
#![allow(unreachable_pub, reason = "a module of a test is nobody's interface")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

mod gateway;
pub mod peers;
mod reference;

use std::cell::Cell;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use weir_shared::arch::LayerId;
use weir_shared::ids::{Epoch, PeerName, Term, WorkerId};
use weir_shared::plan::{
    ActiveSet, Encoding, Partition, Plan, PlanDraft, PlanHash, PlanId, Route, StageAssignment,
};
use weir_shared::plan::{Dataflow, Node, StageProgram, plan::BatchNorm};
use weir_shared::transport::Protocol;
use weir_shared::wire::control::{LinkReport, Loaded, Report, RequestFailure};
use weir_worker::loader::{StageLoader, prepare_thread};
use weir_worker::pipeline::{Parts, Pipeline};
use weir_worker::resnet::threads;
use weir_worker::stage::{ConnectPlan, GetReport, PreparePlan, RetirePlan};
use weir_worker::weights::Sources;

pub use gateway::Gateway;
pub use peers::{Dialled, Peers};
pub use reference::Reference;

/// One thread for each worker's libtorch, as on a board with one core to spare.
const THREADS: std::num::NonZeroUsize = std::num::NonZeroUsize::MIN;

/// The most samples in a request, unless a test says otherwise.
pub const MAX_BATCH: u16 = 8;

/// Workers, a gateway, and the network that they serve.
pub struct Cluster {
    pub reference: Arc<Reference>,
    pub peers: Peers,
    pub gateway: Gateway,
    workers: Vec<Pipeline>,
    epoch: Cell<u64>,
}

/// Cut points, as layers before which the network is cut.
pub type Cuts<'a> = &'a [u16];

impl Cluster {
    /// Starts `count` workers called `a`, `b`, `c` and so on, with the weights of `reference`.
    pub fn start(count: usize, reference: Arc<Reference>) -> Self {
        let peers = Peers::new();
        let gateway = Gateway::start(peers.bind(&peers.gateway()));
        let mut cluster = Self { reference, peers, gateway, workers: Vec::new(), epoch: Cell::new(0) };
        for name in ["a", "b", "c", "d"].into_iter().take(count) {
            cluster.add_worker(name);
        }
        cluster
    }

    fn add_worker(&mut self, name: &str) {
        threads::configure(THREADS).unwrap();
        let id: WorkerId = name.parse().unwrap();
        let heard = self.gateway.failures();
        let parts = Parts {
            identity: std::sync::Arc::new(self.peers.identity(&id.peer())),
            listen: peers::ANY_PORT,
            transport: Default::default(),
            loader: Arc::new(StageLoader::new(Sources {
                checkpoint: Some(self.reference.weights.clone()),
                ..Sources::default()
            })),
            failures: Arc::new(move |failure: RequestFailure| heard.heard(failure)),
        };
        let worker = Pipeline::start(parts, || prepare_thread(THREADS)).unwrap();
        self.workers.push(worker);
    }

    /// The worker of that name.
    pub fn worker(&self, name: &str) -> &Pipeline {
        self.workers.iter().find(|worker| worker.worker.as_str() == name).unwrap()
    }

    /// A plan of the next epoch that cuts the network at `cuts` and gives the stages to the workers in order.
    pub fn plan(&self, cuts: Cuts<'_>, active: &ActiveSet) -> Plan {
        Plan::new(self.draft(cuts, active)).unwrap()
    }

    /// As [`plan`](Self::plan), before it is checked, for tests that change something.
    pub fn draft(&self, cuts: Cuts<'_>, active: &ActiveSet) -> PlanDraft {
        let in_order: Vec<usize> = (0..=cuts.len()).collect();
        self.draft_on(&in_order, cuts, active)
    }

    /// As [`draft`](Self::draft), with the stages on workers of these numbers.
    pub fn draft_on(&self, workers: &[usize], cuts: Cuts<'_>, active: &ActiveSet) -> PlanDraft {
        let network = &self.reference.network;
        let cuts = cuts.iter().map(|&cut| LayerId(cut)).collect();
        let layers = Partition::new(network, cuts).unwrap().stages(network);
        let programs = StageProgram::derive(&Dataflow::new(network, active), &layers);
        let workers: Vec<&Pipeline> = workers.iter().map(|&number| &self.workers[number]).collect();
        let assign =
            |(layers, worker): (_, &&Pipeline)| StageAssignment { layers, worker: worker.worker.clone() };
        let stages = layers.into_iter().zip(&workers).map(assign).collect();
        PlanDraft {
            id: PlanId { term: Term(1), epoch: self.next_epoch() },
            parent: None,
            network: self.reference.spec,
            active: active.clone(),
            stages,
            routes: self.routes(&workers, &programs),
            gateway: self.peers.gateway(),
            weights: self.reference.digests.clone(),
            batch_norm: BatchNorm::Folded,
            max_batch: MAX_BATCH,
        }
    }

    /// A number that no plan has had.
    pub fn next_epoch(&self) -> Epoch {
        self.epoch.set(self.epoch.get() + 1);
        Epoch(self.epoch.get())
    }

    /// A route for each pair of nodes between which a value travels, and no more.
    fn routes(&self, workers: &[&Pipeline], programs: &[StageProgram]) -> Vec<Route> {
        let inlets = programs
            .iter()
            .flat_map(|program| program.inlets.iter().map(|inlet| (inlet.from, Node::Stage(program.stage))));
        let outlets = programs
            .iter()
            .flat_map(|program| program.outlets.iter().map(|outlet| (Node::Stage(program.stage), outlet.to)));
        let edges: std::collections::BTreeSet<_> = inlets.chain(outlets).collect();
        let peer = |node| match node {
            Node::Gateway => (self.peers.gateway(), self.gateway.address()),
            Node::Stage(index) => {
                let worker = workers[usize::from(index.0)];
                (worker.worker.peer(), worker.address)
            }
        };
        let route = |(from, to)| {
            let ((from, _), (to, address)) = (peer(from), peer(to));
            Route { from, to, address, encoding: Encoding::F32 }
        };
        edges.into_iter().map(route).collect()
    }

    /// Where a worker accepts activations, and as whom.
    pub fn address(&self, name: &str) -> (PeerName, SocketAddr) {
        let worker = self.worker(name);
        (worker.worker.peer(), worker.address)
    }

    /// Dials a worker as `peer`, from a socket of its own.
    pub async fn dial_as(&self, peer: &PeerName, worker: &str) -> Dialled {
        let (to, address) = self.address(worker);
        let transport = self.peers.bind(peer);
        let link = transport.connect(&to, address, Protocol::Data).await.unwrap();
        Dialled { link, transport }
    }

    /// Has one worker prepare a plan.
    pub async fn prepare(&self, worker: &str, plan: &Plan) -> Result<(PlanHash, Loaded), String> {
        self.worker(worker).stage.send(PreparePlan(plan.clone())).await.unwrap()
    }

    /// Has one worker reach the peers that a plan sends to.
    pub async fn connect(&self, worker: &str, plan: &Plan) -> Result<(), String> {
        let done = self.worker(worker).stage.send(ConnectPlan(plan.id())).await.unwrap();
        done.map_err(|not| not.reason)
    }

    /// Prepares and connects a plan on every worker that has a stage, and lets the gateway use it.
    pub async fn deploy(&self, plan: &Plan) {
        let workers = || plan.draft().stages.iter().map(|stage| stage.worker.as_str());
        for prepared in join_all(workers().map(|worker| self.prepare(worker, plan))).await {
            assert_eq!(prepared.unwrap().0, plan.hash());
        }
        self.gateway.learn(plan);
        for connected in join_all(workers().map(|worker| self.connect(worker, plan))).await {
            connected.unwrap();
        }
        self.gateway.connect(plan).await;
    }

    /// Retires a plan everywhere.
    pub async fn retire(&self, plan: &Plan) {
        for stage in &plan.draft().stages {
            self.worker(stage.worker.as_str()).stage.send(RetirePlan(plan.id())).await.unwrap();
        }
        self.gateway.forget(plan);
    }

    /// Sends `batch` images through `plan` and checks that the answer is the whole network's, to the last bit.
    pub async fn check_exact(&self, plan: &Plan, batch: u16) {
        let found = self.gateway.infer(plan, batch, self.reference.images(batch)).await;
        let found = found.unwrap_or_else(|failure| panic!("{}: {failure:?}", describe(plan)));
        let expected = self.reference.logits(&plan.draft().active, batch);
        let same = found.iter().map(|n| n.to_bits()).eq(expected.iter().map(|n| n.to_bits()));
        assert!(same, "{} at batch {batch}: {found:?} for {expected:?}", describe(plan));
    }

    /// Readings of a worker.
    pub async fn report(&self, name: &str) -> Report {
        self.worker(name).stage.send(GetReport).await.unwrap().0
    }

    /// Readings of the link from one worker to a peer, if it was ever opened.
    pub async fn link(&self, from: &str, to: &PeerName) -> Option<LinkReport> {
        self.report(from).await.links.into_iter().find(|link| link.to == *to)
    }

    /// How often a worker has refused something for `reason`, by its own metrics.
    pub fn refused(&self, name: &str, reason: &str) -> u64 {
        let series = format!("weir_refused_total{{reason=\"{reason}\"}} ");
        let text = self.worker(name).metrics.text();
        let line = text.lines().find_map(|line| line.strip_prefix(&series));
        line.map_or(0, |count| count.parse().unwrap())
    }
}

/// Cuts, what is off, and the number, for messages.
pub fn describe(plan: &Plan) -> String {
    let draft = plan.draft();
    let stages: Vec<_> = draft.stages.iter().map(|stage| stage.layers.clone()).collect();
    let off = draft.active.describe(&draft.network.network());
    format!("plan {} of {} in {stages:?} without {off:?}", plan.id(), draft.network.arch())
}

/// Waits until `is_so`, for at most as long as a loaded machine may need.
pub async fn eventually(what: &str, is_so: impl AsyncFn() -> bool) {
    let patience = tokio::time::Instant::now() + Duration::from_secs(10);
    while !is_so().await {
        assert!(tokio::time::Instant::now() < patience, "it did not come to pass that {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Runs a story on an actix system of its own.
pub fn run<T>(story: impl Future<Output = T>) -> T {
    actix_rt::System::new().block_on(story)
}
