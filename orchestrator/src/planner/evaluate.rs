//! What a placement costs, by the optimisation model; for any placement, also the one that runs now.

use std::collections::BTreeMap;
use std::ops::Range;

use serde::Serialize;
use weir_shared::arch::LayerId;
use weir_shared::ids::{PeerName, WorkerId};
use weir_shared::plan::{
    Dataflow, Encoding, Node, Outlet, Partition, PartitionError, StageIndex, StageProgram, Value,
};

use super::snapshot::{LinkState, Placement, Snapshot, Terms, WorkerState};
use super::work::{kept_macs, layer_seconds};

/// A placement's terms and what they are made of.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Evaluation {
    /// The four terms.
    pub terms: Terms,
    /// Each stage, in order.
    pub stages: Vec<StageCost>,
    /// Each link that something travels on, the gateway's included.
    pub links: Vec<LinkCost>,
}

/// What one stage costs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StageCost {
    /// Who computes it.
    pub worker: WorkerId,
    /// Its layers.
    pub layers: Range<u16>,
    /// From the gateway's first byte until everything it waits for is there.
    pub starts_seconds: f64,
    /// Computing one request.
    pub seconds: f64,
    /// Computing, sending and receiving for one request.
    pub joules: f64,
    /// Average power at the offered load, idle power included.
    pub watts: f64,
    /// Weights held, also of connections that are switched off: switching moves no weight.
    pub weight_bytes: u64,
    /// The most that activations of one request take at once.
    pub activation_bytes: u64,
}

/// What one link costs for one request.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LinkCost {
    /// Who sends.
    pub from: PeerName,
    /// Who receives.
    pub to: PeerName,
    /// How activations are written.
    pub encoding: Encoding,
    /// Payload, headers not counted.
    pub bytes: u64,
    /// `rtt / 2 + bytes / goodput + codec`.
    pub seconds: f64,
    /// `bytes / goodput`: how long the link is busy.
    pub busy_seconds: f64,
    /// At both ends.
    pub joules: f64,
    /// Points of accuracy that the encoding loses there.
    pub loss_points: f64,
}

/// Why a placement cannot be used on a snapshot.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Unusable {
    /// The cuts do not fit the network.
    #[error(transparent)]
    Partition(#[from] PartitionError),
    /// Stages and workers differ in number.
    #[error("{stages} stages for {workers} workers")]
    Count {
        /// Stages.
        stages: usize,
        /// Workers.
        workers: usize,
    },
    /// A worker is not there.
    #[error("worker {0} is not in the snapshot")]
    NoWorker(WorkerId),
    /// A worker has two stages.
    #[error("worker {0} has two stages")]
    WorkerTwice(WorkerId),
    /// The active set was not measured or predicted.
    #[error("the accuracy of its active set is not known")]
    NoCandidate,
    /// No link is known where one is needed.
    #[error("no link leads from {from} to {to}")]
    NoLink {
        /// Who would send.
        from: PeerName,
        /// Who would receive.
        to: PeerName,
    },
    /// The encoding's loss is not known there.
    #[error("the accuracy of {encoding} at cut point {cut} is not known")]
    NoLoss {
        /// The encoding.
        encoding: Encoding,
        /// The cut.
        cut: LayerId,
    },
    /// Images and logits are not rounded.
    #[error("{from} to {to} must be f32: images and logits are never rounded")]
    Rounded {
        /// Who sends.
        from: PeerName,
        /// Who receives.
        to: PeerName,
    },
}

/// Evaluates `placement` on `snapshot`, which was checked.
///
/// Limits are not looked at: [`crate::checker`] does.
///
/// # Errors
/// If something that the placement needs is not there or not known.
pub fn evaluate(snapshot: &Snapshot, placement: &Placement) -> Result<Evaluation, Unusable> {
    let network = snapshot.network.network();
    let layers = Partition::new(&network, placement.cuts.clone())?.stages(&network);
    let workers = workers_of(snapshot, placement, layers.len())?;
    let candidate = snapshot.accuracy.candidates.iter().find(|known| known.active == placement.active);
    let candidate = candidate.ok_or(Unusable::NoCandidate)?;
    let flow = Dataflow::new(&network, &placement.active);
    let kept = kept_macs(&network, &flow);
    let programs = StageProgram::derive(&flow, &layers);

    let stage_seconds = |stage: usize| -> f64 {
        let seconds = |layer: u16| {
            let layer = usize::from(layer);
            layer_seconds(workers[stage], layer, kept[layer], network.layers()[layer].macs, snapshot.batch)
        };
        layers[stage].clone().map(seconds).sum()
    };
    let mut stages: Vec<StageCost> = Vec::with_capacity(layers.len());
    let mut links: Vec<LinkCost> = Vec::new();
    let links_by_name: BTreeMap<_, _> =
        snapshot.links.iter().map(|link| ((&link.from, &link.to), link)).collect();
    let costs = LinkCosts { snapshot, placement, flow: &flow, known: &links_by_name };
    let mut ends = vec![0.0f64; layers.len()];
    for (index, program) in programs.iter().enumerate() {
        let mut starts = 0.0f64;
        for from in senders(program) {
            let values = program.inlets.iter().filter(|inlet| inlet.from == from).map(|inlet| inlet.value);
            let (sender, sent_at) = match from {
                Node::Gateway => (None, 0.0),
                Node::Stage(StageIndex(sender)) => (Some(usize::from(sender)), ends[usize::from(sender)]),
            };
            let from = sender.map_or_else(|| snapshot.gateway.clone(), |sender| workers[sender].name.peer());
            let cut = sender.map(|sender| layers[sender].end);
            let link = costs.cost(from, workers[index].name.peer(), values, cut)?;
            starts = starts.max(sent_at + link.seconds);
            let bytes = link.bytes as f64;
            if let Some(sender) = sender {
                stages[sender].joules += bytes * workers[sender].joules_per_byte_sent;
            }
            links.push(link);
        }
        let received: f64 =
            received_bytes(&links, &workers[index].name) * workers[index].joules_per_byte_received;
        let seconds = stage_seconds(index);
        ends[index] = starts + seconds;
        let stage_layers =
            &network.layers()[usize::from(layers[index].start)..usize::from(layers[index].end)];
        stages.push(StageCost {
            worker: workers[index].name.clone(),
            layers: layers[index].clone(),
            starts_seconds: starts,
            seconds,
            joules: seconds * workers[index].active_watts + received,
            watts: 0.0,
            weight_bytes: stage_layers.iter().map(|layer| layer.weight_bytes).sum(),
            activation_bytes: activation_bytes(program, snapshot.batch),
        });
    }
    let last = programs.iter().position(sends_logits).unwrap_or(layers.len() - 1);
    let egress = costs.cost(workers[last].name.peer(), snapshot.gateway.clone(), [flow.output()], None)?;
    stages[last].joules += egress.bytes as f64 * workers[last].joules_per_byte_sent;
    let latency_seconds = ends[last] + egress.seconds;
    links.push(egress);

    for (stage, worker) in stages.iter_mut().zip(&workers) {
        stage.watts = worker.idle_watts + snapshot.offered_load * stage.joules;
    }
    let busiest_stage = stages.iter().map(|stage| stage.seconds).fold(0.0, f64::max);
    let terms = Terms {
        latency_seconds,
        period_seconds: links.iter().map(|link| link.busy_seconds).fold(busiest_stage, f64::max),
        energy_joules: stages.iter().map(|stage| stage.joules).sum(),
        accuracy_loss_points: candidate.loss_points.max(0.0)
            + links.iter().map(|link| link.loss_points).sum::<f64>(),
    };
    Ok(Evaluation { terms, stages, links })
}

fn workers_of<'a>(
    snapshot: &'a Snapshot,
    placement: &Placement,
    stages: usize,
) -> Result<Vec<&'a WorkerState>, Unusable> {
    if stages != placement.workers.len() {
        return Err(Unusable::Count { stages, workers: placement.workers.len() });
    }
    let find = |(index, name): (usize, &WorkerId)| {
        if placement.workers[..index].contains(name) {
            return Err(Unusable::WorkerTwice(name.clone()));
        }
        let found = snapshot.workers.iter().find(|worker| worker.name == *name);
        found.ok_or_else(|| Unusable::NoWorker(name.clone()))
    };
    placement.workers.iter().enumerate().map(find).collect()
}

/// Numbers alive at once, of the whole batch, as f32.
fn activation_bytes(program: &StageProgram, batch: u16) -> u64 {
    program.peak_elements() as u64 * u64::from(batch) * size_of::<f32>() as u64
}

fn senders(program: &StageProgram) -> Vec<Node> {
    let mut senders: Vec<Node> = Vec::new();
    for inlet in &program.inlets {
        if !senders.contains(&inlet.from) {
            senders.push(inlet.from);
        }
    }
    senders
}

fn sends_logits(program: &StageProgram) -> bool {
    program.outlets.iter().any(|outlet: &Outlet| outlet.to == Node::Gateway)
}

fn received_bytes(links: &[LinkCost], worker: &WorkerId) -> f64 {
    let peer = worker.peer();
    links.iter().filter(|link| link.to == peer).map(|link| link.bytes as f64).sum()
}

struct LinkCosts<'a> {
    snapshot: &'a Snapshot,
    placement: &'a Placement,
    flow: &'a Dataflow,
    known: &'a BTreeMap<(&'a PeerName, &'a PeerName), &'a LinkState>,
}

impl LinkCosts<'_> {
    /// What `values` cost from one peer to another; `cut` is where the sender's stage ends, none for images and logits.
    fn cost(
        &self,
        from: PeerName,
        to: PeerName,
        values: impl IntoIterator<Item = Value>,
        cut: Option<u16>,
    ) -> Result<LinkCost, Unusable> {
        let Some(link) = self.known.get(&(&from, &to)) else { return Err(Unusable::NoLink { from, to }) };
        let named = self.placement.encodings.iter().find(|entry| entry.from == from && entry.to == to);
        let encoding = named.map_or(Encoding::F32, |entry| entry.encoding);
        if cut.is_none() && encoding != Encoding::F32 {
            return Err(Unusable::Rounded { from, to });
        }
        let (mut bytes, mut elements) = (0usize, 0usize);
        for shape in values.into_iter().filter_map(|value| self.flow.shape(value)) {
            let batch = usize::from(self.snapshot.batch);
            bytes += encoding.payload_bytes(shape, batch);
            elements += shape.elements() * batch;
        }
        let codec = self.snapshot.codec.iter().find(|cost| cost.encoding == encoding);
        let codec_seconds = codec.map_or(0.0, |cost| cost.seconds_per_element) * elements as f64;
        let busy_seconds = bytes as f64 / link.goodput;
        Ok(LinkCost {
            encoding,
            bytes: bytes as u64,
            seconds: link.rtt_seconds / 2.0 + busy_seconds + codec_seconds,
            busy_seconds,
            joules: bytes as f64 * (self.joules_per_byte(&from, true) + self.joules_per_byte(&to, false)),
            loss_points: cut.map_or(Ok(0.0), |cut| self.loss(encoding, cut))?,
            from,
            to,
        })
    }

    /// The gateway is no battery's: its energy is not counted.
    fn joules_per_byte(&self, peer: &PeerName, sending: bool) -> f64 {
        let found = self.snapshot.workers.iter().find(|worker| worker.name.peer() == *peer);
        found.map_or(
            0.0,
            |worker| {
                if sending { worker.joules_per_byte_sent } else { worker.joules_per_byte_received }
            },
        )
    }

    /// The loss of an encoding at a cut. Cuts between which nothing is computed carry the same numbers, so the one
    /// before the next layer that computes stands for them.
    fn loss(&self, encoding: Encoding, cut: u16) -> Result<f64, Unusable> {
        if encoding == Encoding::F32 {
            return Ok(0.0);
        }
        let next = self.flow.steps().iter().map(|step| step.layer).filter(|layer| layer.0 >= cut).min();
        let cut = next.unwrap_or(LayerId(cut));
        let losses = &self.snapshot.accuracy.encodings;
        let found = losses.iter().find(|loss| loss.cut == cut && loss.encoding == encoding);
        found.map(|loss| loss.loss_points.max(0.0)).ok_or(Unusable::NoLoss { encoding, cut })
    }
}
