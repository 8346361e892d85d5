//! The same optimisation model as a mixed-integer linear program, solved by microlp through `good_lp`.
//!
//! A plan is a path: stages (start, end, worker) and hand-overs (cut, sender, receiver, encoding), each a binary variable,
//! with flow conserved between them. A shortcut that bypasses workers adds a binary for each (holder, receiver,
//! encoding) and, to the latency, how much later than the main path it arrives.

use good_lp::{
    Expression, ProblemVariables, Solution as _, SolverModel, Variable, constraint, microlp, variable,
};
use weir_orchestrator::planner::Policy;
use weir_orchestrator::planner::snapshot::{Candidate, Snapshot, WorkerState};
use weir_shared::arch::Shape;
use weir_shared::ids::PeerName;
use weir_shared::plan::{Dataflow, Encoding, StageProgram, Value};

const ENCODINGS: [Encoding; 3] = Encoding::ALL;

/// The least objective over all candidates.
pub fn best(snapshot: &Snapshot, policy: &Policy) -> Option<f64> {
    let each =
        snapshot.accuracy.candidates.iter().filter_map(|candidate| of_set(snapshot, policy, candidate));
    each.min_by(f64::total_cmp)
}

/// A shortcut's value at a cut.
#[derive(Clone, Copy)]
struct Far {
    shape: Shape,
    maker: usize,
    join: usize,
}

struct Cut {
    near: Shape,
    far: Option<Far>,
    losses: [Option<f64>; 3],
}

/// How a stage begins: with everything it needs, or leaving an open shortcut to others.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Entry {
    Whole,
    Open,
}

struct Stage {
    start: usize,
    end: usize,
    worker: usize,
    entry: Entry,
    /// Whether it made the shortcut's value that is open at its end, or none is open.
    made: bool,
    used: Variable,
    seconds: f64,
}

struct Hand {
    cut: usize,
    from: usize,
    to: usize,
    made: bool,
    entry: Entry,
    used: Variable,
    seconds: f64,
    busy: f64,
    joules: f64,
    loss: f64,
}

struct Bypass {
    cut: usize,
    join: usize,
    from: usize,
    to: usize,
    used: Variable,
    seconds: f64,
    busy: f64,
    joules: f64,
    loss: f64,
}

fn cuts(snapshot: &Snapshot, policy: &Policy, flow: &Dataflow, layers: usize) -> Vec<Option<Cut>> {
    let computes = |layer: usize| flow.steps().iter().any(|step| usize::from(step.layer.0) == layer);
    let users = |value: Value| {
        let uses = flow.steps().iter().filter(move |step| step.inputs.contains(&value));
        uses.map(|step| usize::from(step.layer.0))
    };
    let cut = |at: usize| {
        if at == 0 || !computes(at) {
            return None;
        }
        let live = flow.live_at(weir_shared::arch::LayerId(at as u16));
        // The main value is the one made last; what the very next layer needs.
        let near = *live.iter().max_by_key(|value| (value.made_in(), std::cmp::Reverse(value.0))).unwrap();
        let other = live.iter().copied().find(|value| *value != near);
        let far = other.map(|value| Far {
            shape: flow.shape(value).unwrap(),
            maker: usize::from(value.made_in().unwrap().0),
            join: users(value).max().unwrap(),
        });
        let loss = |encoding: Encoding| {
            if encoding == Encoding::F32 {
                return Some(0.0);
            }
            let known = snapshot.accuracy.encodings.iter().filter(|_| policy.encodings().contains(&encoding));
            let mut known = known.filter(|l| usize::from(l.cut.0) == at && l.encoding == encoding);
            known.next().map(|loss| loss.loss_points.max(0.0))
        };
        Some(Cut { near: flow.shape(near).unwrap(), far, losses: ENCODINGS.map(loss) })
    };
    (0..layers).map(cut).collect()
}

fn of_set(snapshot: &Snapshot, policy: &Policy, candidate: &Candidate) -> Option<f64> {
    let network = snapshot.network.network();
    let layers = network.layers().len();
    let flow = Dataflow::new(&network, &candidate.active);
    let cuts = cuts(snapshot, policy, &flow, layers);
    let bounds = policy.bounds();
    let asked =
        bounds.throughput.unwrap_or(0.0).max(if bounds.offered_load { snapshot.offered_load } else { 0.0 });
    let period = 1.0 / asked * (1.0 + 1e-9);
    let workers = &snapshot.workers;
    let peer = |worker: usize| workers[worker].name.peer();
    let link = |from: &PeerName, to: &PeerName| {
        snapshot.links.iter().find(|link| link.from == *from && link.to == *to)
    };
    let codec = |encoding: Encoding| {
        snapshot
            .codec
            .iter()
            .find(|cost| cost.encoding == encoding)
            .map_or(0.0, |cost| cost.seconds_per_element)
    };
    let batch = usize::from(snapshot.batch);
    // Seconds and bytes of shapes on a link, if it may carry them.
    let carry = |from: &PeerName, to: &PeerName, shapes: &[Shape], encoding: Encoding| {
        let link = link(from, to)?;
        let bytes: usize = shapes.iter().map(|shape| encoding.payload_bytes(*shape, batch)).sum();
        let numbers: usize = shapes.iter().map(|shape| shape.elements() * batch).sum();
        let busy = bytes as f64 / link.goodput;
        let seconds = link.rtt_seconds / 2.0 + busy + codec(encoding) * numbers as f64;
        (busy <= period).then_some((seconds, bytes as f64))
    };
    let kept = crate::brute::shares(&network, &flow);

    let mut variables = ProblemVariables::new();
    let binary = |variables: &mut ProblemVariables| variables.add(variable().binary());
    let computes = |start: usize, end: usize| {
        flow.steps().iter().any(|step| (start..end).contains(&usize::from(step.layer.0)))
    };
    let mut stages = Vec::new();
    for start in 0..layers {
        if start > 0 && cuts[start].is_none() {
            continue;
        }
        for end in start + 1..=layers {
            if (end < layers && cuts[end].is_none()) || !computes(start, end) {
                continue;
            }
            let open = cuts[start].as_ref().and_then(|cut| cut.far);
            let leaves = cuts.get(end).and_then(|cut| cut.as_ref()).and_then(|cut| cut.far);
            let entry = if open.is_some_and(|far| end <= far.join) { Entry::Open } else { Entry::Whole };
            let made = leaves.is_none_or(|far| start <= far.maker);
            let range = start as u16..end as u16;
            // Alone in a partition, its peak is that of the stage.
            let all = partition_with(range.clone(), layers as u16);
            let index = all.iter().position(|layers| *layers == range).unwrap();
            let peak = StageProgram::derive(&flow, &all)[index].peak_elements() * batch * 4;
            let weights: u64 = network.layers()[start..end].iter().map(|layer| layer.weight_bytes).sum();
            for (worker, state) in workers.iter().enumerate() {
                let seconds: f64 = (start..end).map(|l| state.layer_seconds[l].unwrap() * kept[l]).sum();
                let fits = state.memory_bytes.is_none_or(|most| weights + peak as u64 <= most);
                if fits && seconds <= period {
                    let used = binary(&mut variables);
                    stages.push(Stage { start, end, worker, entry, made, used, seconds });
                }
            }
        }
    }
    let mut hands = Vec::new();
    let mut bypasses = Vec::new();
    for (at, cut) in cuts.iter().enumerate().filter_map(|(at, cut)| cut.as_ref().map(|cut| (at, cut))) {
        for (from, to) in pairs(workers.len()) {
            for (index, encoding) in ENCODINGS.into_iter().enumerate() {
                let Some(loss) = cut.losses[index] else { continue };
                let joules = |bytes: f64| {
                    bytes * (workers[from].joules_per_byte_sent + workers[to].joules_per_byte_received)
                };
                let mut hand = |made: bool, entry: Entry, shapes: &[Shape]| {
                    let Some((seconds, bytes)) = carry(&peer(from), &peer(to), shapes, encoding) else {
                        return;
                    };
                    let used = binary(&mut variables);
                    let joules = joules(bytes);
                    let busy = bytes / link(&peer(from), &peer(to)).unwrap().goodput;
                    hands.push(Hand { cut: at, from, to, made, entry, used, seconds, busy, joules, loss });
                };
                match cut.far {
                    None => hand(true, Entry::Whole, &[cut.near]),
                    Some(far) => {
                        hand(true, Entry::Whole, &[cut.near, far.shape]);
                        hand(true, Entry::Open, &[cut.near]);
                        hand(false, Entry::Whole, &[cut.near]);
                        hand(false, Entry::Open, &[cut.near]);
                    }
                }
            }
        }
    }
    // A shortcut leaves its holder where the holder's stage ends: at a cut where it is open, or before the block.
    let joins: Vec<(usize, Far)> = {
        let mut joins: Vec<(usize, Far)> = Vec::new();
        for far in cuts.iter().flatten().filter_map(|cut| cut.far) {
            if joins.iter().all(|(join, _)| *join != far.join) {
                joins.push((far.join, far));
            }
        }
        joins
    };
    for &(join, far) in &joins {
        for (at, cut) in cuts.iter().enumerate().filter_map(|(at, cut)| cut.as_ref().map(|cut| (at, cut))) {
            if at <= far.maker || at >= join {
                continue;
            }
            for (from, to) in pairs(workers.len()) {
                for (index, encoding) in ENCODINGS.into_iter().enumerate() {
                    let Some(loss) = cut.losses[index] else { continue };
                    let Some((seconds, bytes)) = carry(&peer(from), &peer(to), &[far.shape], encoding) else {
                        continue;
                    };
                    let used = binary(&mut variables);
                    let joules =
                        bytes * (workers[from].joules_per_byte_sent + workers[to].joules_per_byte_received);
                    let busy = bytes / link(&peer(from), &peer(to)).unwrap().goodput;
                    bypasses.push(Bypass { cut: at, join, from, to, used, seconds, busy, joules, loss });
                }
            }
        }
    }
    let slowest = variables.add(variable().min(0.0));
    let delays: Vec<Variable> = joins.iter().map(|_| variables.add(variable().min(0.0))).collect();

    let ingress = |worker: usize| carry(&snapshot.gateway, &peer(worker), &[network.input], Encoding::F32);
    let egress = |worker: usize| carry(&peer(worker), &snapshot.gateway, &[network.logits()], Encoding::F32);
    let mut latency = Expression::from(0.0);
    let mut energy = Expression::from(0.0);
    let mut loss = Expression::from(candidate.loss_points.max(0.0));
    let mut constraints = Vec::new();
    let mut begins = Expression::from(0.0);
    for stage in &stages {
        let state: &WorkerState = &workers[stage.worker];
        latency += stage.used * stage.seconds;
        energy += stage.used * (stage.seconds * state.active_watts);
        if stage.start == 0 {
            match ingress(stage.worker) {
                Some((seconds, bytes)) => {
                    latency += stage.used * seconds;
                    energy += stage.used * (bytes * state.joules_per_byte_received);
                }
                None => constraints.push(constraint!(stage.used <= 0.0)),
            }
            begins += stage.used;
        }
        if stage.end == layers {
            match egress(stage.worker) {
                Some((seconds, bytes)) => {
                    latency += stage.used * seconds;
                    energy += stage.used * (bytes * state.joules_per_byte_sent);
                }
                None => constraints.push(constraint!(stage.used <= 0.0)),
            }
        }
    }
    constraints.push(constraint!(begins == 1.0));
    for hand in &hands {
        latency += hand.used * hand.seconds;
        energy += hand.used * hand.joules;
        loss += hand.used * hand.loss;
    }
    for bypass in &bypasses {
        energy += bypass.used * bypass.joules;
        loss += bypass.used * bypass.loss;
    }
    delays.iter().for_each(|delay| latency += *delay);
    for worker in 0..workers.len() {
        let uses: Expression =
            stages.iter().filter(|stage| stage.worker == worker).map(|stage| stage.used).sum();
        constraints.push(constraint!(uses <= 1.0));
        for at in (1..layers).filter(|at| cuts[*at].is_some()) {
            for made in [true, false] {
                let out = hands.iter().filter(|h| (h.cut, h.from, h.made) == (at, worker, made));
                let done = stages.iter().filter(|s| (s.end, s.worker, s.made) == (at, worker, made));
                let out: Expression = out.map(|hand| hand.used).sum();
                let done: Expression = done.map(|stage| stage.used).sum();
                constraints.push(constraint!(out - done == 0.0));
            }
            for entry in [Entry::Whole, Entry::Open] {
                let came = hands.iter().filter(|h| (h.cut, h.to, h.entry) == (at, worker, entry));
                let begun = stages.iter().filter(|s| (s.start, s.worker, s.entry) == (at, worker, entry));
                let came: Expression = came.map(|hand| hand.used).sum();
                let begun: Expression = begun.map(|stage| stage.used).sum();
                constraints.push(constraint!(came - begun == 0.0));
            }
        }
    }
    for (&(join, far), delay) in joins.iter().zip(&delays) {
        let inside = |at: usize| at > far.maker && at <= join;
        // The bypass's receiver is whoever takes in the join without having it from the stage before.
        for worker in 0..workers.len() {
            let needs = hands.iter().filter(|h| {
                inside(h.cut)
                    && cuts[h.cut].as_ref().is_some_and(|cut| cut.far.is_some())
                    && (h.to, h.made, h.entry) == (worker, false, Entry::Whole)
            });
            let needs: Expression = needs.map(|hand| hand.used).sum();
            let gets = bypasses.iter().filter(|b| (b.join, b.to) == (join, worker)).map(|b| b.used);
            let gets: Expression = gets.sum();
            constraints.push(constraint!(gets - needs == 0.0));
        }
        // Its sender is the last stage that begins no later than the value is made.
        for bypass in bypasses.iter().filter(|bypass| bypass.join == join) {
            let holds = stages
                .iter()
                .filter(|s| (s.worker, s.end) == (bypass.from, bypass.cut) && s.start <= far.maker);
            let holds: Expression = holds.map(|stage| stage.used).sum();
            constraints.push(constraint!(bypass.used - holds <= 0.0));
        }
        // What the main value takes meanwhile: hand-overs from the holder's on, and the stages between.
        let mut main = Expression::from(0.0);
        let shortcut: Expression =
            bypasses.iter().filter(|b| b.join == join).map(|bypass| bypass.used * bypass.seconds).sum();
        for stage in stages.iter().filter(|s| s.start > far.maker && s.end <= join && inside(s.end)) {
            main += stage.used * stage.seconds;
        }
        for hand in hands.iter().filter(|h| inside(h.cut)) {
            let open = cuts[hand.cut].as_ref().is_some_and(|cut| cut.far.is_some());
            // Where both values travel together, or nothing bypasses, there is no shortcut to wait for.
            if !(open && hand.made && hand.entry == Entry::Whole) {
                main += hand.used * hand.seconds;
            }
        }
        constraints.push(constraint!(*delay - shortcut + main >= 0.0));
    }
    for (worker, state) in workers.iter().enumerate() {
        let Some(budget) = state.power_budget_watts else { continue };
        let mut joules = Expression::from(0.0);
        for stage in stages.iter().filter(|stage| stage.worker == worker) {
            let mut own = stage.seconds * state.active_watts;
            own += if stage.start == 0 {
                ingress(worker).map_or(0.0, |c| c.1) * state.joules_per_byte_received
            } else {
                0.0
            };
            own += if stage.end == layers {
                egress(worker).map_or(0.0, |c| c.1) * state.joules_per_byte_sent
            } else {
                0.0
            };
            joules += stage.used * own;
        }
        let share = |from: usize, to: usize| {
            let both = workers[from].joules_per_byte_sent + workers[to].joules_per_byte_received;
            let mine =
                if worker == from { state.joules_per_byte_sent } else { state.joules_per_byte_received };
            mine / both
        };
        for hand in hands.iter().filter(|hand| hand.from == worker || hand.to == worker) {
            joules += hand.used * (hand.joules * share(hand.from, hand.to));
        }
        for bypass in bypasses.iter().filter(|bypass| bypass.from == worker || bypass.to == worker) {
            joules += bypass.used * (bypass.joules * share(bypass.from, bypass.to));
        }
        constraints.push(constraint!(joules * snapshot.offered_load <= budget - state.idle_watts));
    }
    let prices = policy.prices();
    if prices.period > 0.0 {
        for worker in 0..workers.len() {
            let own = stages.iter().filter(|stage| stage.worker == worker);
            let seconds: Expression = own.map(|stage| stage.used * stage.seconds).sum();
            constraints.push(constraint!(slowest - seconds >= 0.0));
            for (begins, gate) in [(true, ingress(worker)), (false, egress(worker))] {
                let Some((_, bytes)) = gate else { continue };
                let ends = if begins {
                    link(&snapshot.gateway, &peer(worker))
                } else {
                    link(&peer(worker), &snapshot.gateway)
                };
                let busy = bytes / ends.unwrap().goodput;
                let touches = stages.iter().filter(|stage| {
                    stage.worker == worker && if begins { stage.start == 0 } else { stage.end == layers }
                });
                let used: Expression = touches.map(|stage| stage.used * busy).sum();
                constraints.push(constraint!(slowest - used >= 0.0));
            }
        }
        for (from, to) in pairs(workers.len()) {
            let used = hands.iter().filter(|hand| (hand.from, hand.to) == (from, to));
            let mut busy: Expression = used.map(|hand| hand.used * hand.busy).sum();
            for bypass in bypasses.iter().filter(|bypass| (bypass.from, bypass.to) == (from, to)) {
                busy += bypass.used * bypass.busy;
            }
            constraints.push(constraint!(slowest - busy >= 0.0));
        }
    }
    bounds.latency_seconds.iter().for_each(|most| constraints.push(constraint!(latency.clone() <= *most)));
    bounds.energy_joules.iter().for_each(|most| constraints.push(constraint!(energy.clone() <= *most)));
    bounds.accuracy_loss_points.iter().for_each(|most| constraints.push(constraint!(loss.clone() <= *most)));
    // The period: at least each stage's time and each link's, where it is priced.
    let objective = latency * prices.latency
        + energy * prices.energy
        + loss * prices.accuracy_loss
        + slowest * prices.period;
    let mut model = variables.minimise(objective.clone()).using(microlp);
    for constraint in constraints {
        model = model.with(constraint);
    }
    let solution = model.solve().ok()?;
    Some(solution.eval(objective))
}

fn pairs(count: usize) -> Vec<(usize, usize)> {
    (0..count).flat_map(|from| (0..count).filter(move |to| *to != from).map(move |to| (from, to))).collect()
}

fn partition_with(stage: std::ops::Range<u16>, layers: u16) -> Vec<std::ops::Range<u16>> {
    let parts = [0..stage.start, stage.clone(), stage.end..layers];
    parts.into_iter().filter(|part| !part.is_empty()).collect()
}
