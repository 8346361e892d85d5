//! From cut points and workers to a plan: fills in routes, digests and numbers.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde::Deserialize;
use weir_shared::arch::{LayerId, NetworkSpec};
use weir_shared::digest::Digest;
use weir_shared::ids::PeerName;
use weir_shared::plan::plan::BatchNorm;
use weir_shared::plan::{
    ActiveSet, Dataflow, Encoding, Node, Partition, PartitionError, Plan, PlanDraft, PlanError, PlanId,
    Route, StageAssignment, StageIndex, StageProgram,
};

use crate::cluster::Member;

/// Everything that makes a plan once cuts and workers are chosen.
pub struct Draft<'a> {
    /// Term and epoch.
    pub id: PlanId,
    /// The plan that it replaces.
    pub parent: Option<PlanId>,
    /// The network.
    pub network: NetworkSpec,
    /// Active connections.
    pub active: ActiveSet,
    /// Cut points.
    pub cuts: Vec<LayerId>,
    /// One worker for each stage.
    pub workers: Vec<Member>,
    /// The gateway.
    pub gateway: PeerName,
    /// Addresses that differ from the advertised ones.
    pub links: &'a LinkMap,
    /// Encodings that differ from f32, by short names of sender and receiver.
    pub encodings: &'a BTreeMap<(String, String), Encoding>,
    /// Digest of each layer's weights.
    pub weights: Vec<Digest>,
    /// What workers do with batch normalisation.
    pub batch_norm: BatchNorm,
    /// The most samples in one request.
    pub max_batch: u16,
}

/// Addresses by directed link, for links that lead through something else: a relay, a tunnel, an emulator.
#[derive(Debug, Clone, Default)]
pub struct LinkMap {
    addresses: BTreeMap<(String, String), SocketAddr>,
}

/// The text is no list of links.
#[derive(Debug, thiserror::Error)]
#[error("not a list of links; write [[link]] tables with from, to and address")]
pub struct LinkMapError(#[from] toml::de::Error);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LinkFile {
    link: Vec<LinkEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LinkEntry {
    from: String,
    to: String,
    address: SocketAddr,
}

impl LinkMap {
    /// Reads TOML: `[[link]]` tables with `from`, `to` (short names) and `address`.
    ///
    /// # Errors
    /// If the text is of another form.
    pub fn parse(text: &str) -> Result<Self, LinkMapError> {
        let file: LinkFile = toml::from_str(text)?;
        let entries = file.link.into_iter().map(|link| ((link.from, link.to), link.address));
        Ok(Self { addresses: entries.collect() })
    }

    /// The address under which `from` reaches `to`, if it is another than the advertised one.
    pub(crate) fn address(&self, from: &PeerName, to: &PeerName) -> Option<SocketAddr> {
        self.addresses.get(&(from.short().to_owned(), to.short().to_owned())).copied()
    }
}

/// Why no plan can be made.
#[derive(Debug, thiserror::Error)]
pub enum DraftError {
    /// The cuts do not fit the network.
    #[error(transparent)]
    Partition(#[from] PartitionError),
    /// The rest does not fit.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// There are more stages than workers, or fewer.
    #[error("{stages} stages for {workers} workers; name one worker for each stage")]
    Count {
        /// Stages.
        stages: usize,
        /// Workers.
        workers: usize,
    },
}

impl Draft<'_> {
    /// The checked plan.
    ///
    /// # Errors
    /// If cuts, workers or links do not fit together.
    pub fn plan(self) -> Result<Plan, DraftError> {
        let network = self.network.network();
        let layers = Partition::new(&network, self.cuts.clone())?.stages(&network);
        if layers.len() != self.workers.len() {
            return Err(DraftError::Count { stages: layers.len(), workers: self.workers.len() });
        }
        self.active.check(&network).map_err(PlanError::from)?;
        let programs = StageProgram::derive(&Dataflow::new(&network, &self.active), &layers);
        let mut routes: Vec<Route> = Vec::new();
        for program in &programs {
            let here = Node::Stage(program.stage);
            let arriving = program.inlets.iter().map(|inlet| (inlet.from, here));
            let leaving = program.outlets.iter().map(|outlet| (here, outlet.to));
            for (from, to) in arriving.chain(leaving) {
                let route = self.route(from, to);
                if !routes.contains(&route) {
                    routes.push(route);
                }
            }
        }
        let stages = layers.into_iter().zip(&self.workers);
        let stages = stages.map(|(layers, member)| StageAssignment { layers, worker: member.worker.clone() });
        Ok(Plan::new(PlanDraft {
            id: self.id,
            parent: self.parent,
            network: self.network,
            stages: stages.collect(),
            active: self.active,
            routes,
            gateway: self.gateway,
            weights: self.weights,
            batch_norm: self.batch_norm,
            max_batch: self.max_batch,
        })?)
    }

    fn member(&self, node: Node) -> Option<&Member> {
        match node {
            Node::Gateway => None,
            Node::Stage(StageIndex(index)) => self.workers.get(usize::from(index)),
        }
    }

    fn route(&self, from: Node, to: Node) -> Route {
        let peer =
            |node| self.member(node).map_or_else(|| self.gateway.clone(), |member| member.worker.peer());
        // The gateway sends to no gateway, so one of the two is a worker and the unspecified address is never used.
        let advertised = match (self.member(from), self.member(to)) {
            (_, Some(to)) => to.address,
            (Some(from), None) => from.gateway_address,
            (None, None) => SocketAddr::from(([0, 0, 0, 0], 0)),
        };
        let (from, to) = (peer(from), peer(to));
        let address = self.links.address(&from, &to).unwrap_or(advertised);
        let named = (from.short().to_owned(), to.short().to_owned());
        let encoding = self.encodings.get(&named).copied().unwrap_or_default();
        Route { from, to, address, encoding }
    }
}
