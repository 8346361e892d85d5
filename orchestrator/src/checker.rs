//! Checks any plan before it is rolled out, with arithmetic of its own: nothing here calls the solver's.
//!
//! It reads what every worker reads ([`StageProgram`]), follows a request through it, and compares each limit. A mistake
//! in the planner's model therefore shows as a violation, not as a plan that runs out of memory.

use std::collections::BTreeMap;

use weir_shared::arch::{LayerId, Network};
use weir_shared::ids::{PeerName, WorkerId};
use weir_shared::plan::dataflow::Operands;
use weir_shared::plan::{Dataflow, Encoding, Node, Op, Partition, StageProgram};

use crate::planner::snapshot::{LinkState, Placement, Snapshot, Terms, WorkerState};
use crate::planner::{Limit, Policy, Solution};

/// Sums in another order differ by less than this share.
const ROUNDING: f64 = 1e-6;

/// Why a plan must not be rolled out.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Violation {
    /// It does not fit the network, its workers or what is known of accuracy.
    #[error("the plan is not sound: {0}")]
    Unsound(String),
    /// No link where one is needed.
    #[error("the plan sends from {from} to {to}, where no link is known")]
    NoLink {
        /// Who would send.
        from: PeerName,
        /// Who would receive.
        to: PeerName,
    },
    /// A limit is broken.
    #[error("the plan breaks the limit on {limit}: {value} where {allowed} is allowed")]
    Limit {
        /// Which.
        limit: Limit,
        /// What the plan needs: seconds, joules, points, bytes or watts; the period for throughput.
        value: f64,
        /// What is allowed.
        allowed: f64,
    },
    /// The solution states something else than the model says.
    #[error("the plan states {stated} for its {what}, but it is {found}")]
    Misstated {
        /// Which number.
        what: &'static str,
        /// As stated.
        stated: f64,
        /// As found here.
        found: f64,
    },
}

/// Checks a solution: its plan, the terms that it states, and that its bound is no larger than its objective.
///
/// # Errors
/// Names the first thing that is wrong.
pub fn check(snapshot: &Snapshot, policy: &Policy, solution: &Solution) -> Result<(), Violation> {
    let terms = check_placement(snapshot, policy, &solution.placement)?;
    let stated = solution.terms;
    agrees("latency", stated.latency_seconds, terms.latency_seconds)?;
    agrees("period", stated.period_seconds, terms.period_seconds)?;
    agrees("energy", stated.energy_joules, terms.energy_joules)?;
    agrees("accuracy loss", stated.accuracy_loss_points, terms.accuracy_loss_points)?;
    agrees("objective", solution.objective, policy.objective(&terms))?;
    if solution.bound > solution.objective * (1.0 + ROUNDING) {
        let (stated, found) = (solution.bound, solution.objective);
        return Err(Violation::Misstated { what: "bound", stated, found });
    }
    Ok(())
}

/// Checks a placement against every limit; returns its terms.
///
/// # Errors
/// Names the first thing that is wrong.
pub fn check_placement(
    snapshot: &Snapshot,
    policy: &Policy,
    placement: &Placement,
) -> Result<Terms, Violation> {
    let network = snapshot.network.network();
    let trace = Trace::new(snapshot, &network, placement)?;
    let terms = trace.follow()?;
    let limit = |limit: Limit, value: f64, allowed: Option<f64>| match allowed {
        Some(allowed) if value > allowed * (1.0 + ROUNDING) => {
            Err(Violation::Limit { limit, value, allowed })
        }
        _ => Ok(()),
    };
    let bounds = policy.bounds();
    limit(Limit::Latency, terms.latency_seconds, bounds.latency_seconds)?;
    limit(Limit::Energy, terms.energy_joules, bounds.energy_joules)?;
    limit(Limit::AccuracyLoss, terms.accuracy_loss_points, bounds.accuracy_loss_points)?;
    limit(Limit::Throughput, terms.period_seconds, bounds.throughput.map(f64::recip))?;
    if bounds.offered_load && snapshot.offered_load > 0.0 {
        limit(Limit::Throughput, terms.period_seconds, Some(1.0 / snapshot.offered_load))?;
    }
    if let Some(entry) =
        placement.encodings.iter().find(|entry| !policy.encodings().contains(&entry.encoding))
    {
        return Err(Violation::Unsound(format!("the policy does not allow {}", entry.encoding)));
    }
    for (index, worker) in trace.workers.iter().enumerate() {
        let memory = trace.memory_bytes(index);
        limit(Limit::Memory(worker.name.clone()), memory, worker.memory_bytes.map(|bytes| bytes as f64))?;
        let watts = worker.idle_watts + snapshot.offered_load * trace.joules(index)?;
        limit(Limit::Power(worker.name.clone()), watts, worker.power_budget_watts)?;
    }
    Ok(terms)
}

fn agrees(what: &'static str, stated: f64, found: f64) -> Result<(), Violation> {
    let close = (stated - found).abs() <= ROUNDING * found.abs().max(1e-9);
    if close { Ok(()) } else { Err(Violation::Misstated { what, stated, found }) }
}

/// One directed transfer of a request: everything that one node sends to another.
struct Transfer {
    seconds: f64,
    busy_seconds: f64,
    bytes: f64,
    loss: f64,
}

/// A plan laid out for one request.
struct Trace<'a> {
    snapshot: &'a Snapshot,
    network: &'a Network,
    flow: Dataflow,
    programs: Vec<StageProgram>,
    bounds: Vec<std::ops::Range<u16>>,
    workers: Vec<&'a WorkerState>,
    links: BTreeMap<(PeerName, PeerName), &'a LinkState>,
    encodings: BTreeMap<(PeerName, PeerName), Encoding>,
    set_loss: f64,
}

impl<'a> Trace<'a> {
    fn new(snapshot: &'a Snapshot, network: &'a Network, placement: &Placement) -> Result<Self, Violation> {
        let unsound = |text: String| Violation::Unsound(text);
        let partition = Partition::new(network, placement.cuts.clone());
        let bounds = partition.map_err(|error| unsound(error.to_string()))?.stages(network);
        if bounds.len() != placement.workers.len() {
            let counts = format!("{} stages for {} workers", bounds.len(), placement.workers.len());
            return Err(unsound(counts));
        }
        let mut workers: Vec<&WorkerState> = Vec::new();
        for name in &placement.workers {
            let twice = workers.iter().any(|known| known.name == *name);
            let found = snapshot.workers.iter().find(|worker| worker.name == *name);
            match found {
                Some(worker) if !twice => workers.push(worker),
                Some(_) => return Err(unsound(format!("worker {name} has two stages"))),
                None => return Err(unsound(format!("worker {name} is not there"))),
            }
        }
        placement.active.check(network).map_err(|error| unsound(error.to_string()))?;
        let candidate = snapshot.accuracy.candidates.iter().find(|known| known.active == placement.active);
        let candidate = candidate.ok_or_else(|| unsound("its active set is no candidate".to_owned()))?;
        let flow = Dataflow::new(network, &placement.active);
        let programs = StageProgram::derive(&flow, &bounds);
        let links = snapshot.links.iter().map(|link| ((link.from.clone(), link.to.clone()), link)).collect();
        let named = placement.encodings.iter();
        let mut encodings = BTreeMap::new();
        for entry in named {
            if encodings.insert((entry.from.clone(), entry.to.clone()), entry.encoding).is_some() {
                return Err(unsound(format!("two encodings from {} to {}", entry.from, entry.to)));
            }
        }
        let set_loss = candidate.loss_points.max(0.0);
        Ok(Self { snapshot, network, flow, programs, bounds, workers, links, encodings, set_loss })
    }

    fn peer(&self, node: Node) -> PeerName {
        match node {
            Node::Gateway => self.snapshot.gateway.clone(),
            Node::Stage(stage) => self.workers[usize::from(stage.0)].name.peer(),
        }
    }

    /// Everything that goes from one node to another, in one piece.
    fn transfer(&self, from: Node, to: Node) -> Result<Transfer, Violation> {
        let pair = (self.peer(from), self.peer(to));
        let encoding = self.encodings.get(&pair).copied().unwrap_or(Encoding::F32);
        let mut shapes = Vec::new();
        if let Node::Stage(stage) = to {
            let inlets = self.programs[usize::from(stage.0)].inlets.iter();
            shapes.extend(inlets.filter(|inlet| inlet.from == from).map(|inlet| inlet.shape));
        }
        if let (Node::Stage(stage), Node::Gateway) = (from, to) {
            let outlets = self.programs[usize::from(stage.0)].outlets.iter();
            shapes.extend(outlets.filter(|outlet| outlet.to == to).map(|outlet| outlet.shape));
        }
        let Some(link) = self.links.get(&pair) else {
            return Err(Violation::NoLink { from: pair.0, to: pair.1 });
        };
        let outside = from == Node::Gateway || to == Node::Gateway;
        if outside && encoding != Encoding::F32 {
            return Err(Violation::Unsound("images and logits must travel as f32".to_owned()));
        }
        let batch = usize::from(self.snapshot.batch);
        let bytes = shapes.iter().map(|shape| encoding.payload_bytes(*shape, batch)).sum::<usize>() as f64;
        let numbers = shapes.iter().map(|shape| shape.elements() * batch).sum::<usize>() as f64;
        let codec = self.snapshot.codec.iter().find(|cost| cost.encoding == encoding);
        let codec_seconds = codec.map_or(0.0, |cost| cost.seconds_per_element * numbers);
        let busy_seconds = bytes / link.goodput;
        let seconds = 0.5 * link.rtt_seconds + busy_seconds + codec_seconds;
        Ok(Transfer { seconds, busy_seconds, bytes, loss: self.loss(from, encoding)? })
    }

    fn loss(&self, from: Node, encoding: Encoding) -> Result<f64, Violation> {
        let Node::Stage(stage) = from else { return Ok(0.0) };
        if encoding == Encoding::F32 {
            return Ok(0.0);
        }
        // The study measured cuts by the layer behind them; layers that compute nothing are looked through.
        let end = self.bounds[usize::from(stage.0)].end;
        let computing = |layer: &u16| self.flow.steps().iter().any(|step| step.layer == LayerId(*layer));
        let cut = (end..self.network.layer_count()).find(computing);
        let known = self.snapshot.accuracy.encodings.iter();
        let mut found = known.filter(|loss| loss.encoding == encoding && Some(loss.cut.0) == cut);
        let found = found.next().map(|loss| loss.loss_points.max(0.0));
        found.ok_or_else(|| Violation::Unsound(format!("the loss of {encoding} at cut {cut:?} is not known")))
    }

    /// Every directed pair of nodes between which something travels.
    fn pairs(&self) -> Vec<(Node, Node)> {
        let mut pairs = Vec::new();
        for program in &self.programs {
            let here = Node::Stage(program.stage);
            let arriving = program.inlets.iter().map(|inlet| (inlet.from, here));
            let leaving = program.outlets.iter().filter(|out| out.to == Node::Gateway);
            for pair in arriving.chain(leaving.map(|out| (here, out.to))) {
                if !pairs.contains(&pair) {
                    pairs.push(pair);
                }
            }
        }
        pairs
    }

    fn follow(&self) -> Result<Terms, Violation> {
        let pairs = self.pairs();
        let mut ends: Vec<f64> = vec![0.0; self.programs.len()];
        let mut terms = Terms {
            latency_seconds: 0.0,
            period_seconds: 0.0,
            energy_joules: 0.0,
            accuracy_loss_points: self.set_loss,
        };
        let ended = |ends: &[f64], node: Node| match node {
            Node::Gateway => 0.0,
            Node::Stage(stage) => ends[usize::from(stage.0)],
        };
        for index in 0..self.programs.len() {
            let here = Node::Stage(self.programs[index].stage);
            let mut ready: f64 = 0.0;
            for &(from, _) in pairs.iter().filter(|pair| pair.1 == here) {
                ready = ready.max(ended(&ends, from) + self.transfer(from, here)?.seconds);
            }
            let seconds = self.seconds(index);
            terms.period_seconds = terms.period_seconds.max(seconds);
            terms.energy_joules += self.joules(index)?;
            ends[index] = ready + seconds;
        }
        for (from, to) in pairs {
            let transfer = self.transfer(from, to)?;
            terms.period_seconds = terms.period_seconds.max(transfer.busy_seconds);
            terms.accuracy_loss_points += transfer.loss;
            if to == Node::Gateway {
                terms.latency_seconds = ended(&ends, from) + transfer.seconds;
            }
        }
        Ok(terms)
    }

    /// What a worker spends on one request.
    fn joules(&self, index: usize) -> Result<f64, Violation> {
        let (worker, here) = (self.workers[index], Node::Stage(self.programs[index].stage));
        let mut joules = self.seconds(index) * worker.active_watts;
        for (from, to) in self.pairs() {
            if from == here {
                joules += self.transfer(from, to)?.bytes * worker.joules_per_byte_sent;
            }
            if to == here {
                joules += self.transfer(from, to)?.bytes * worker.joules_per_byte_received;
            }
        }
        Ok(joules)
    }

    /// Computing time of a stage: each step's share of its layer's operations, of the layer's time.
    fn seconds(&self, index: usize) -> f64 {
        let worker = self.workers[index];
        let mut left: BTreeMap<LayerId, u64> = BTreeMap::new();
        for step in &self.programs[index].steps {
            *left.entry(step.layer).or_default() += self.operations(step.op);
        }
        let seconds = |(layer, left): (&LayerId, &u64)| {
            let all = self.network.layer(*layer).map_or(0, |layer| layer.macs);
            let share = if all == 0 { 1.0 } else { *left as f64 / all as f64 };
            let measured = worker.layer_seconds.get(usize::from(layer.0)).copied().flatten();
            let by_rate = all as f64 * f64::from(self.snapshot.batch) / worker.macs_per_second;
            share * measured.unwrap_or(by_rate)
        };
        left.iter().map(seconds).sum()
    }

    fn operations(&self, op: Op) -> u64 {
        let projection = |block| self.network.block(block).projection().map_or(0, |conv| conv.macs());
        let early = |block| self.flow.steps().iter().any(|step| step.op == Op::Shortcut { block });
        match op {
            Op::Stem => self.network.stem.macs(),
            Op::Conv { block, conv } => {
                self.network.block(block).branch.get(usize::from(conv)).map_or(0, |conv| conv.macs())
            }
            Op::Shortcut { block } => projection(block),
            Op::Join { operands: Operands::BranchOnly, .. } => 0,
            Op::Join { block, .. } => {
                if early(block) {
                    0
                } else {
                    projection(block)
                }
            }
            Op::Head => self.network.layers().last().map_or(0, |head| head.macs),
        }
    }

    /// Weights of every layer of the stage, switched off or not, and the most numbers alive at once.
    fn memory_bytes(&self, index: usize) -> f64 {
        let range = self.bounds[index].clone();
        let weights: u64 =
            range.filter_map(|layer| self.network.layer(LayerId(layer))).map(|l| l.weight_bytes).sum();
        let numbers = self.programs[index].peak_elements() * usize::from(self.snapshot.batch);
        weights as f64 + numbers as f64 * 4.0
    }
}

impl Violation {
    /// The worker that lacks memory or power, if that is what is wrong.
    pub fn worker(&self) -> Option<&WorkerId> {
        match self {
            Self::Limit { limit: Limit::Memory(worker) | Limit::Power(worker), .. } => Some(worker),
            _ => None,
        }
    }
}
