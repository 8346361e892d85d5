//! Every plan there is, priced by arithmetic of its own.

use std::collections::HashMap;
use std::ops::Range;

use weir_orchestrator::planner::snapshot::{Snapshot, Terms, WorkerState};
use weir_orchestrator::planner::{Policy, Term};
use weir_shared::arch::{LayerId, Network};
use weir_shared::ids::PeerName;
use weir_shared::plan::dataflow::{Op, Operands};
use weir_shared::plan::{ActiveSet, Dataflow, Encoding, Node, Partition, StageIndex, StageProgram};

/// What a partition of an active set does, whoever computes it.
struct Shape {
    layers: Vec<Range<u16>>,
    peaks: Vec<f64>,
    /// Between stages: sender, receiver, bytes by encoding, numbers, cut.
    bundles: Vec<(usize, usize, [f64; 3], f64, usize)>,
}

/// Partitions of networks, derived once.
#[derive(Default)]
pub struct Brute {
    shapes: HashMap<(ActiveSet, usize), Vec<Shape>>,
}

impl Brute {
    /// The least objective over all plans that keep every limit.
    pub fn best(&mut self, snapshot: &Snapshot, policy: &Policy) -> Option<f64> {
        let network = snapshot.network.network();
        let mut best: Option<f64> = None;
        for candidate in &snapshot.accuracy.candidates {
            let flow = Dataflow::new(&network, &candidate.active);
            let shares = shares(&network, &flow);
            for stages in 1..=snapshot.workers.len() {
                let key = (candidate.active.clone(), stages);
                let shapes =
                    self.shapes.entry(key).or_insert_with(|| derive(&network, &flow, stages, snapshot.batch));
                let pricing =
                    Pricing::new(snapshot, policy, &network, &shares, candidate.loss_points.max(0.0));
                for shape in shapes {
                    pricing.least(shape, &mut Vec::new(), &mut best);
                }
            }
        }
        best
    }
}

fn derive(network: &Network, flow: &Dataflow, stages: usize, batch: u16) -> Vec<Shape> {
    let mut shapes = Vec::new();
    let mut cuts: Vec<LayerId> = (1..stages as u16).map(LayerId).collect();
    let layers = network.layer_count();
    loop {
        let ranges = Partition::new(network, cuts.clone()).unwrap().stages(network);
        let programs = StageProgram::derive(flow, &ranges);
        // A stage with nothing to do is no stage: the plan with one fewer is in the list too.
        if programs.iter().all(|program| !program.is_bypassed()) {
            shapes.push(shape(flow, &ranges, &programs, batch));
        }
        let Some(at) = (0..cuts.len()).rev().find(|&at| cuts[at].0 < layers - (cuts.len() - at) as u16)
        else {
            return shapes;
        };
        cuts[at].0 += 1;
        for later in at + 1..cuts.len() {
            cuts[later].0 = cuts[later - 1].0 + 1;
        }
    }
}

fn shape(flow: &Dataflow, ranges: &[Range<u16>], programs: &[StageProgram], batch: u16) -> Shape {
    let mut bundles: Vec<(usize, usize, [f64; 3], f64, usize)> = Vec::new();
    for (to, program) in programs.iter().enumerate() {
        for inlet in &program.inlets {
            let Node::Stage(StageIndex(from)) = inlet.from else { continue };
            let from = usize::from(from);
            let bytes = Encoding::ALL.map(|e| e.payload_bytes(inlet.shape, usize::from(batch)) as f64);
            let numbers = (inlet.shape.elements() * usize::from(batch)) as f64;
            let known = bundles.iter_mut().find(|bundle| (bundle.0, bundle.1) == (from, to));
            if let Some(bundle) = known {
                bundle.2.iter_mut().zip(bytes).for_each(|(sum, more)| *sum += more);
                bundle.3 += numbers;
            } else {
                let behind = flow.steps().iter().map(|step| step.layer.0).filter(|&l| l >= ranges[from].end);
                let cut = usize::from(behind.min().unwrap());
                bundles.push((from, to, bytes, numbers, cut));
            }
        }
    }
    let peaks = programs.iter().map(|p| (p.peak_elements() * usize::from(batch) * 4) as f64).collect();
    Shape { layers: ranges.to_vec(), peaks, bundles }
}

/// Share of each layer's measured time that is left.
pub fn shares(network: &Network, flow: &Dataflow) -> Vec<f64> {
    let mut kept = vec![None; network.layers().len()];
    for step in flow.steps() {
        let macs = match step.op {
            Op::Stem => network.stem.macs(),
            Op::Conv { block, conv } => network.block(block).branch[usize::from(conv)].macs(),
            Op::Shortcut { block } => network.block(block).projection().map_or(0, |conv| conv.macs()),
            Op::Join { operands: Operands::BranchOnly, .. } => 0,
            Op::Join { block, .. } => {
                let block = network.block(block);
                let late = flow.steps().iter().all(|s| s.op != Op::Shortcut { block: block.id });
                block.projection().filter(|_| late).map_or(0, |conv| conv.macs())
            }
            Op::Head => network.layers().last().unwrap().macs,
        };
        *kept[usize::from(step.layer.0)].get_or_insert(0) += macs;
    }
    let share = |(layer, kept): (&weir_shared::arch::Layer, Option<u64>)| match kept {
        None => 0.0,
        Some(_) if layer.macs == 0 => 1.0,
        Some(kept) => kept as f64 / layer.macs as f64,
    };
    network.layers().iter().zip(kept).map(share).collect()
}

struct Pricing<'a> {
    snapshot: &'a Snapshot,
    policy: &'a Policy,
    network: &'a Network,
    loss: f64,
    /// Seconds before each layer, by worker.
    seconds: Vec<Vec<f64>>,
    links: HashMap<(PeerName, PeerName), (f64, f64)>,
    codec: [f64; 3],
    losses: Vec<[Option<f64>; 3]>,
}

const SLACK: f64 = 1.0 + 1e-9;

impl<'a> Pricing<'a> {
    fn new(
        snapshot: &'a Snapshot,
        policy: &'a Policy,
        network: &'a Network,
        shares: &[f64],
        loss: f64,
    ) -> Self {
        let seconds = snapshot.workers.iter().map(|worker| {
            let layer = |(index, share): (usize, &f64)| worker.layer_seconds[index].unwrap() * share;
            let sums = shares.iter().enumerate().map(layer).scan(0.0, |sum, next| {
                *sum += next;
                Some(*sum)
            });
            std::iter::once(0.0).chain(sums).collect()
        });
        let number = |encoding: Encoding| Encoding::ALL.iter().position(|e| *e == encoding).unwrap();
        let mut codec = [0.0; 3];
        for cost in &snapshot.codec {
            codec[number(cost.encoding)] = cost.seconds_per_element;
        }
        let mut losses = vec![[Some(0.0), None, None]; network.layers().len()];
        for loss in &snapshot.accuracy.encodings {
            if policy.encodings().contains(&loss.encoding) {
                losses[usize::from(loss.cut.0)][number(loss.encoding)] = Some(loss.loss_points.max(0.0));
            }
        }
        let links = snapshot.links.iter();
        let links = links.map(|l| ((l.from.clone(), l.to.clone()), (l.rtt_seconds, l.goodput))).collect();
        Self { snapshot, policy, network, loss, seconds: seconds.collect(), links, codec, losses }
    }

    fn least(&self, shape: &Shape, chosen: &mut Vec<usize>, best: &mut Option<f64>) {
        if chosen.len() < shape.layers.len() {
            for worker in 0..self.snapshot.workers.len() {
                if !chosen.contains(&worker) {
                    chosen.push(worker);
                    self.least(shape, chosen, best);
                    chosen.pop();
                }
            }
            return;
        }
        let worker = |stage: usize| &self.snapshot.workers[chosen[stage]];
        let find = |from: PeerName, to: PeerName| self.links.get(&(from, to)).copied();
        let gateway = &self.snapshot.gateway;
        let last = chosen.len() - 1;
        let (Some(ingress), Some(egress)) =
            (find(gateway.clone(), worker(0).name.peer()), find(worker(last).name.peer(), gateway.clone()))
        else {
            return;
        };
        let links: Option<Vec<(f64, f64)>> = shape
            .bundles
            .iter()
            .map(|bundle| find(worker(bundle.0).name.peer(), worker(bundle.1).name.peer()))
            .collect();
        let Some(links) = links else { return };
        for (stage, layers) in shape.layers.iter().enumerate() {
            let layers = &self.network.layers()[usize::from(layers.start)..usize::from(layers.end)];
            let bytes: u64 = layers.iter().map(|layer| layer.weight_bytes).sum();
            if worker(stage)
                .memory_bytes
                .is_some_and(|most| bytes as f64 + shape.peaks[stage] > most as f64 * SLACK)
            {
                return;
            }
        }
        let mut encodings = vec![0; links.len()];
        loop {
            self.price(shape, chosen, ingress, egress, &links, &encodings, best);
            let Some(at) = encodings.iter().position(|&encoding| encoding < 2) else { return };
            encodings[at] += 1;
            encodings[..at].fill(0);
        }
    }

    #[expect(clippy::too_many_arguments, reason = "a test's inner loop")]
    fn price(
        &self,
        shape: &Shape,
        chosen: &[usize],
        ingress: (f64, f64),
        egress: (f64, f64),
        links: &[(f64, f64)],
        encodings: &[usize],
        best: &mut Option<f64>,
    ) {
        let worker = |stage: usize| -> &WorkerState { &self.snapshot.workers[chosen[stage]] };
        let input = (self.network.input.elements() * usize::from(self.snapshot.batch)) as f64;
        let logits = (self.network.logits().elements() * usize::from(self.snapshot.batch)) as f64;
        let count = chosen.len();
        let mut starts = [0.0f64; 8];
        let mut joules = [0.0f64; 8];
        starts[0] = ingress.0 / 2.0 + input * 4.0 / ingress.1 + input * self.codec[0];
        joules[0] = input * 4.0 * worker(0).joules_per_byte_received;
        let mut period = input * 4.0 / ingress.1;
        let mut loss = self.loss;
        let mut end = 0.0;
        for stage in 0..count {
            let range = &shape.layers[stage];
            let sums = &self.seconds[chosen[stage]];
            let seconds = sums[usize::from(range.end)] - sums[usize::from(range.start)];
            end = starts[stage] + seconds;
            period = period.max(seconds);
            joules[stage] += seconds * worker(stage).active_watts;
            for (index, bundle) in shape.bundles.iter().enumerate().filter(|(_, bundle)| bundle.0 == stage) {
                let encoding = encodings[index];
                let Some(lost) = self.losses[bundle.4][encoding] else { return };
                let bytes = bundle.2[encoding];
                let busy = bytes / links[index].1;
                loss += lost;
                period = period.max(busy);
                let arrives = end + links[index].0 / 2.0 + busy + self.codec[encoding] * bundle.3;
                starts[bundle.1] = starts[bundle.1].max(arrives);
                joules[stage] += bytes * worker(stage).joules_per_byte_sent;
                joules[bundle.1] += bytes * worker(bundle.1).joules_per_byte_received;
            }
        }
        joules[count - 1] += logits * 4.0 * worker(count - 1).joules_per_byte_sent;
        let terms = Terms {
            latency_seconds: end + egress.0 / 2.0 + logits * 4.0 / egress.1 + logits * self.codec[0],
            period_seconds: period.max(logits * 4.0 / egress.1),
            energy_joules: joules[..count].iter().sum(),
            accuracy_loss_points: loss,
        };
        let bounds = self.policy.bounds();
        let load = self.snapshot.offered_load;
        let asked = bounds.throughput.unwrap_or(0.0).max(if bounds.offered_load { load } else { 0.0 });
        let most = |value: f64, limit: Option<f64>| limit.is_none_or(|limit| value <= limit * SLACK);
        let power = |stage: usize| {
            most(worker(stage).idle_watts + load * joules[stage], worker(stage).power_budget_watts)
        };
        let kept = most(terms.latency_seconds, bounds.latency_seconds)
            && most(terms.energy_joules, bounds.energy_joules)
            && most(terms.accuracy_loss_points, bounds.accuracy_loss_points)
            && terms.period_seconds * asked <= SLACK
            && (0..count).all(power);
        if kept {
            let objective = self.policy.objective(&terms);
            *best = Some(best.map_or(objective, |best: f64| best.min(objective)));
        }
    }
}

/// A policy for a seed: every kind of goal, with and without bounds.
pub fn policy_for(seed: u64, snapshot: &Snapshot) -> Policy {
    use weir_orchestrator::planner::{Bounds, Effort, Goal, References, Weights, solve};
    let goals = [
        Goal::Weighted(Weights { latency: 1.0, energy: 0.1, accuracy_loss: 0.05, period: 0.0 }),
        Goal::Minimise(Term::Latency),
        Goal::Weighted(Weights { latency: 1.0, energy: 0.3, accuracy_loss: 0.02, period: 1.0 }),
        Goal::Minimise(Term::Energy),
        Goal::Minimise(Term::AccuracyLoss),
        Goal::Minimise(Term::Period),
    ];
    let goal = goals[seed as usize % goals.len()];
    let free = Bounds { accuracy_loss_points: Some(1.0), ..Bounds::default() };
    let policy = Policy::new(goal, References::default(), free).unwrap();
    // Bounds near what a plan without them costs, so that they matter.
    let Ok(solution) = solve(snapshot, &policy, &Effort::default()) else { return policy };
    let terms = solution.terms;
    let mut bounds = free;
    if seed % 7 == 1 {
        bounds.energy_joules = Some(terms.energy_joules * 0.9);
    }
    if seed % 7 == 3 {
        bounds.latency_seconds = Some(terms.latency_seconds * 0.95);
    }
    if seed % 7 == 5 {
        bounds.accuracy_loss_points = Some(terms.accuracy_loss_points * 0.7);
    }
    policy.with_bounds(bounds).unwrap()
}
