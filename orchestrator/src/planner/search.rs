//! Best-first search over partial plans of one active set (Hart, Nilsson, Raphael 1968), with [`Bound`] as its guide.
//!
//! Labels carry the true cost so far; the bound is admissible, so what is pruned cannot be better. Labels that another
//! one beats in everything are dropped.

use std::cmp::{Ordering, Reverse};
use std::collections::{BinaryHeap, HashMap};

use super::bound::{Bound, Multipliers, Prices, encodings_at};
use super::instance::{Instance, Line};
use super::label::{Bypass, Holder, Kind, Label, Visited};
use super::problem::{Problem, within};
use super::set_model::{Load, SetModel};
use super::snapshot::Terms;

/// One active set with a range of periods, ready to be searched.
pub(super) struct Context<'a> {
    pub(super) instance: &'a Instance<'a>,
    pub(super) model: &'a SetModel,
    pub(super) problem: &'a Problem,
    pub(super) prices: &'a Prices,
    pub(super) multipliers: &'a Multipliers,
    pub(super) bound: &'a Bound,
    /// Least seconds and least joules to the end, where those are bounded.
    pub(super) guards: &'a Guards,
    /// Plans with a smaller period are somebody else's.
    pub(super) period_min: f64,
    /// What the multipliers add to every plan that keeps all limits.
    pub(super) constant: f64,
}

/// Bounds on single terms, for pruning by limits.
#[derive(Default)]
pub(super) struct Guards {
    pub(super) latency: Option<Bound>,
    pub(super) energy: Option<Bound>,
}

/// A whole plan: stages as (worker, start), with encodings by link.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Found {
    pub(super) objective: f64,
    pub(super) terms: Terms,
    pub(super) set: usize,
    pub(super) stages: Vec<(usize, usize)>,
    pub(super) encodings: Vec<(usize, usize, usize)>,
}

/// The state that searches share: the best plan so far and what was spent.
pub(super) struct Record {
    pub(super) best: Option<Found>,
    /// Other plans, best first, one for each active set and choice of workers.
    pub(super) others: Vec<Found>,
    /// The least bound among what was pruned although it lay below the best plan: the gap allows it.
    pub(super) pruned: f64,
    pub(super) gap: f64,
    pub(super) nodes: u64,
    pub(super) nodes_max: u64,
}

/// How many other plans are kept.
const OTHERS: usize = 4;

impl Record {
    pub(super) fn new(gap: f64, nodes_max: u64) -> Self {
        Self { best: None, others: Vec::new(), pruned: f64::INFINITY, gap, nodes: 0, nodes_max }
    }

    pub(super) fn upper(&self) -> f64 {
        self.best.as_ref().map_or(f64::INFINITY, |best| best.objective)
    }

    /// Whether something with this bound need not be looked at.
    pub(super) fn prunes(&mut self, bound: f64) -> bool {
        let upper = self.upper();
        if bound == f64::INFINITY {
            return true;
        }
        // Sums in another order differ in the last digits: equal plans must not be searched for again.
        let hopeless = bound >= upper * (1.0 - self.gap.max(1e-12));
        if hopeless {
            self.pruned = self.pruned.min(bound);
        }
        hopeless
    }

    pub(super) fn exhausted(&self) -> bool {
        self.nodes >= self.nodes_max
    }

    fn offer(&mut self, found: Found) {
        let better = found.objective < self.upper();
        let ousted = if better { self.best.replace(found) } else { Some(found) };
        let Some(other) = ousted else { return };
        let workers = |plan: &Found| plan.stages.iter().map(|stage| stage.0).collect::<Vec<_>>();
        let alike = |one: &Found, two: &Found| one.set == two.set && workers(one) == workers(two);
        if self.best.as_ref().is_some_and(|best| alike(best, &other)) {
            return;
        }
        if let Some(known) = self.others.iter_mut().find(|known| alike(known, &other)) {
            if other.objective < known.objective {
                *known = other;
            }
        } else {
            self.others.push(other);
        }
        let best = self.best.as_ref();
        self.others.retain(|known| best.is_none_or(|best| !alike(best, known)));
        self.others.sort_by(|a, b| a.objective.total_cmp(&b.objective));
        self.others.truncate(OTHERS);
    }
}

/// Orders labels by bound; among equals the older comes first, so that the order is always the same.
struct Entry {
    bound: f64,
    label: u32,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        self.bound.total_cmp(&other.bound).then(self.label.cmp(&other.label))
    }
}

type Settled = HashMap<(usize, usize, Kind, usize), Vec<u32>>;

/// Searches one context to the end, or until the record's effort is spent; then it returns the least open bound.
pub(super) fn search(context: &Context<'_>, set: usize, record: &mut Record) -> f64 {
    let mut arena: Vec<Label> = Vec::new();
    let mut heap: BinaryHeap<Reverse<Entry>> = BinaryHeap::new();
    let mut settled = Settled::new();
    let mut children = Vec::new();
    context.roots(&mut children);
    let push = |arena: &mut Vec<Label>, heap: &mut BinaryHeap<Reverse<Entry>>, label: Label| {
        heap.push(Reverse(Entry { bound: label.bound, label: arena.len() as u32 }));
        arena.push(label);
    };
    for label in children.drain(..) {
        if !record.prunes(label.bound) {
            push(&mut arena, &mut heap, label);
        }
    }
    while let Some(Reverse(Entry { bound, label: index })) = heap.pop() {
        if record.prunes(bound) {
            continue;
        }
        if record.exhausted() {
            return bound;
        }
        let label = arena[index as usize].clone();
        let key = context.key(&label);
        let rivals = settled.entry(key).or_default();
        if rivals.iter().any(|&rival| context.beats(&arena[rival as usize], &label)) {
            continue;
        }
        rivals.push(index);
        record.nodes += 1;
        context.expand(&arena, index, set, record, &mut children);
        if record.nodes.is_multiple_of(PLUNGE_EVERY) {
            plunge(context, &mut arena, &children, set, record);
        }
        for child in children.drain(..) {
            let key = context.key(&child);
            let beaten = settled.get(&key).is_some_and(|rivals| {
                rivals.iter().any(|&rival| context.beats(&arena[rival as usize], &child))
            });
            if !beaten && !record.prunes(child.bound) {
                push(&mut arena, &mut heap, child);
            }
        }
    }
    f64::INFINITY
}

/// One in so many partial plans is followed to its end at once: a good plan prunes more than it costs.
const PLUNGE_EVERY: u64 = 8;

/// Follows the most promising of `children`, and of its children, to a whole plan or a dead end. Proves nothing.
fn plunge(
    context: &Context<'_>,
    arena: &mut Vec<Label>,
    children: &[Label],
    set: usize,
    record: &mut Record,
) {
    let pruned = record.pruned;
    let least = |labels: &[Label]| labels.iter().min_by(|a, b| a.bound.total_cmp(&b.bound)).cloned();
    let mut next = least(children);
    let mut children = Vec::new();
    while let Some(label) = next {
        arena.push(label);
        record.nodes += 1;
        context.expand(arena, arena.len() as u32 - 1, set, record, &mut children);
        next = least(&children);
        children.clear();
    }
    record.pruned = pruned;
}

/// How many children a dive follows at each partial plan.
const DIVE_WIDTH: usize = 3;

/// Goes down the most promising partial plans, to have a good plan early. Looks at `nodes` partial plans.
pub(super) fn dive(context: &Context<'_>, set: usize, record: &mut Record, nodes: u64) {
    let mut arena: Vec<Label> = Vec::new();
    let mut stack: Vec<u32> = Vec::new();
    let mut children = Vec::new();
    context.roots(&mut children);
    let mut left = nodes;
    loop {
        children.sort_by(|a: &Label, b: &Label| a.bound.total_cmp(&b.bound));
        children.truncate(DIVE_WIDTH);
        for child in children.drain(..).rev() {
            stack.push(arena.len() as u32);
            arena.push(child);
        }
        let Some(index) = stack.pop() else { return };
        let bound = arena[index as usize].bound;
        if bound >= record.upper() * (1.0 - record.gap) {
            continue;
        }
        if left == 0 {
            return;
        }
        left -= 1;
        record.nodes += 1;
        let pruned = record.pruned;
        context.expand(&arena, index, set, record, &mut children);
        // A dive proves nothing.
        record.pruned = pruned;
    }
}

/// What one transfer costs.
#[derive(Clone, Copy)]
struct Transfer {
    seconds: f64,
    busy: f64,
    sent_joules: f64,
    received_joules: f64,
    loss: f64,
}

/// A stage that has just been computed.
#[derive(Clone, Copy)]
struct Done {
    worker: usize,
    end: usize,
    seconds: f64,
    joules: f64,
    period: f64,
    own_joules: f64,
}

impl Context<'_> {
    /// The objective and what multipliers add, of a partial plan.
    fn cost(&self, seconds: f64, joules: f64, loss: f64, period: f64) -> f64 {
        self.prices.second * seconds
            + self.prices.joule * joules
            + self.prices.point * loss
            + self.problem.prices.period * period.max(self.period_min)
    }

    fn roots(&self, labels: &mut Vec<Label>) {
        for worker in 0..self.instance.count() {
            let rest = self.bound.with_join[worker];
            let (line, load) = (self.instance.ingress[worker], &self.model.input);
            if !line.half_rtt.is_finite() || !rest.is_finite() || self.instance.twins[worker].is_some() {
                continue;
            }
            let busy = load.bytes[0] * line.seconds_per_byte;
            if !within(busy, self.problem.period_max) {
                continue;
            }
            let seconds = line.half_rtt + busy + self.instance.codec[0] * load.elements;
            let joules = load.bytes[0] * self.instance.workers[worker].joules_per_byte_received;
            let bound = self.cost(seconds, joules, self.model.loss, busy) + rest - self.constant;
            labels.push(Label {
                parent: None,
                start: 0,
                worker,
                kind: Kind::Plain,
                encoding: 0,
                bypass: None,
                visited: Visited::default().with(worker),
                seconds,
                joules,
                loss: self.model.loss,
                period: busy,
                received_joules: joules,
                holder: None,
                use_prices: self.multipliers.workers[worker],
                bound,
            });
        }
    }

    /// Whether it matters who came before: a shortcut's value may have to come from there.
    fn holder_matters(&self, label: &Label) -> bool {
        let model = self.model;
        label.kind == Kind::Without || model.far_open_from(label.start)
    }

    fn key(&self, label: &Label) -> (usize, usize, Kind, usize) {
        let holder = label.holder.filter(|_| self.holder_matters(label)).map_or(usize::MAX, |h| h.worker);
        (label.start, label.worker, label.kind, holder)
    }

    /// Whether every way on from `worse` is open to `better` too, and costs no more from there.
    fn beats(&self, better: &Label, worse: &Label) -> bool {
        let worker = self.instance.workers[worse.worker];
        let problem = self.problem;
        let price = |label: &Label| {
            problem.prices.latency * label.seconds
                + problem.prices.energy * label.joules
                + problem.prices.accuracy_loss * label.loss
        };
        let holders = || match (better.holder, worse.holder) {
            (Some(mine), Some(theirs)) => {
                mine.end_seconds <= theirs.end_seconds
                    && mine.cut == theirs.cut
                    && mine.joules <= theirs.joules
                    && better.seconds <= worse.seconds
            }
            _ => true,
        };
        price(better) <= price(worse)
            && better.visited.is_within(&worse.visited)
            && (problem.latency_max == f64::INFINITY || better.seconds <= worse.seconds)
            && (problem.energy_max == f64::INFINITY || better.joules <= worse.joules)
            && (problem.loss_max == f64::INFINITY || better.loss <= worse.loss)
            && (problem.prices.period == 0.0 || better.period <= worse.period.max(self.period_min))
            && (worker.power_budget_watts.is_none() || better.received_joules <= worse.received_joules)
            && (!self.holder_matters(worse) || holders())
    }

    fn power_allows(&self, worker: usize, joules: f64) -> bool {
        let state = self.instance.workers[worker];
        let budget = state.power_budget_watts.filter(|_| self.problem.power);
        let watts = state.idle_watts + self.instance.snapshot.offered_load * joules;
        budget.is_none_or(|budget| within(watts, budget))
    }

    /// Whether a partial plan that costs this so far, with bounds to go, can still keep the limits.
    fn limits_allow(&self, seconds: f64, joules: f64, loss: f64, period: f64, at: Option<usize>) -> bool {
        let to_go = |guard: &Option<Bound>| match (guard, at) {
            (Some(guard), Some(at)) => guard.with_join[at].min(guard.without_join[at]),
            _ => 0.0,
        };
        within(seconds + to_go(&self.guards.latency), self.problem.latency_max)
            && within(joules + to_go(&self.guards.energy), self.problem.energy_max)
            && within(loss, self.problem.loss_max)
            && within(period, self.problem.period_max)
    }

    /// Every way on from one label by one stage: whole plans go to the record, partial ones to `children`.
    fn expand(
        &self,
        arena: &[Label],
        index: u32,
        set: usize,
        record: &mut Record,
        children: &mut Vec<Label>,
    ) {
        let label = &arena[index as usize];
        let (model, stride) = (self.model, self.instance.stride);
        let layers = self.instance.layers();
        let worker = label.worker;
        let farthest = usize::from(self.bound.ends[label.start * stride + worker]);
        let open = model.far[label.start];
        let (from, to) = match (label.kind, open) {
            (Kind::Without, Some(far)) => (model.next_step[label.start] + 1, far.join.min(farthest)),
            (Kind::Plain, Some(far)) => (far.join + 1, farthest),
            (_, None) => (model.next_step[label.start] + 1, farthest),
        };
        for end in from..=to {
            if end < layers && !model.cuttable[end] {
                continue;
            }
            let seconds = model.seconds(stride, worker, label.start, end);
            let compute_joules = self.instance.workers[worker].active_watts * seconds;
            let done = Done {
                worker,
                end,
                seconds: label.seconds + seconds,
                joules: label.joules + compute_joules,
                period: label.period.max(seconds),
                own_joules: label.received_joules + compute_joules,
            };
            if end == layers {
                self.finish(arena, index, &done, set, record);
                continue;
            }
            let made_here = model.far[end].is_none_or(|far| label.start <= far.maker);
            let rest = if made_here { &self.bound.sent } else { &self.bound.passed };
            let so_far = self.cost(done.seconds, done.joules, label.loss, done.period);
            let bound = so_far + rest[end * stride + worker] - self.constant + label.use_prices;
            if record.prunes(bound) {
                continue;
            }
            for next in 0..self.instance.count() {
                let twin = self.instance.twins[next];
                if !label.visited.contains(next) && twin.is_none_or(|twin| label.visited.contains(twin)) {
                    self.send(label, index, &done, made_here, next, record, children);
                }
            }
        }
    }

    /// Every way to hand a computed stage on to `next`.
    #[expect(clippy::too_many_arguments, reason = "one step of the search, kept whole")]
    fn send(
        &self,
        label: &Label,
        index: u32,
        done: &Done,
        made_here: bool,
        next: usize,
        record: &mut Record,
        children: &mut Vec<Label>,
    ) {
        let (model, end) = (self.model, done.end);
        let line = self.instance.line(done.worker, next);
        let at = end * self.instance.stride + next;
        let (with, without) = (self.bound.with_join[at], self.bound.without_join[at]);
        if !line.half_rtt.is_finite() || !(with.is_finite() || without.is_finite()) {
            return;
        }
        let mut child = |kind: Kind,
                         encoding: usize,
                         near: Transfer,
                         holder: Holder,
                         bypass: Option<(Bypass, Transfer, f64)>| {
            if !self.power_allows(done.worker, done.own_joules + near.sent_joules) {
                return;
            }
            let mut seconds = done.seconds + near.seconds;
            let mut joules = done.joules + near.sent_joules + near.received_joules;
            let mut loss = label.loss + near.loss;
            let mut period = done.period.max(near.busy);
            let mut received_joules = near.received_joules;
            if let Some((_, far, sent_at)) = bypass {
                seconds = seconds.max(sent_at + far.seconds);
                joules += far.sent_joules + far.received_joules;
                loss += far.loss;
                period = period.max(far.busy);
                received_joules += far.received_joules;
            }
            if !self.limits_allow(seconds, joules, loss, period, Some(at)) {
                return;
            }
            let rest = if kind == Kind::Plain { with } else { without };
            let bound = self.cost(seconds, joules, loss, period) + rest - self.constant + label.use_prices;
            if record.prunes(bound) {
                return;
            }
            children.push(Label {
                parent: Some(index),
                start: end,
                worker: next,
                kind,
                encoding,
                bypass: bypass.map(|(bypass, ..)| bypass),
                visited: label.visited.with(next),
                seconds,
                joules,
                loss,
                period,
                received_joules,
                holder: Some(holder),
                use_prices: label.use_prices + self.multipliers.workers[next],
                bound,
            });
        };
        for encoding in encodings_at(model, self.problem, end) {
            let near = self.transfer(line, done.worker, next, &model.near[end], encoding, end);
            let here = |sent_joules: f64| Holder {
                worker: done.worker,
                end_seconds: done.seconds,
                cut: end,
                joules: done.own_joules + sent_joules,
            };
            let Some(far) = model.far[end] else {
                child(Kind::Plain, encoding, near, here(near.sent_joules), None);
                continue;
            };
            let holder = if made_here { Some(here(near.sent_joules)) } else { label.holder };
            let Some(holder) = holder else { continue };
            child(Kind::Without, encoding, near, holder, None);
            if made_here {
                let both = self.transfer(line, done.worker, next, &far.both, encoding, end);
                child(Kind::Plain, encoding, both, here(both.sent_joules), None);
                continue;
            }
            let line = self.instance.line(holder.worker, next);
            if !line.half_rtt.is_finite() {
                continue;
            }
            for far_encoding in encodings_at(model, self.problem, holder.cut) {
                let alone = self.transfer(line, holder.worker, next, &far.alone, far_encoding, holder.cut);
                if self.power_allows(holder.worker, holder.joules + alone.sent_joules) {
                    let bypass = Bypass { from: holder.worker, encoding: far_encoding };
                    let here = here(near.sent_joules);
                    child(Kind::Plain, encoding, near, here, Some((bypass, alone, holder.end_seconds)));
                }
            }
        }
    }

    fn transfer(
        &self,
        line: Line,
        from: usize,
        to: usize,
        load: &Load,
        encoding: usize,
        cut: usize,
    ) -> Transfer {
        let bytes = load.bytes[encoding];
        let busy = bytes * line.seconds_per_byte;
        Transfer {
            seconds: line.half_rtt + busy + self.instance.codec[encoding] * load.elements,
            busy,
            sent_joules: bytes * self.instance.workers[from].joules_per_byte_sent,
            received_joules: bytes * self.instance.workers[to].joules_per_byte_received,
            loss: self.model.losses[cut][encoding],
        }
    }

    fn finish(&self, arena: &[Label], index: u32, done: &Done, set: usize, record: &mut Record) {
        let line = self.instance.egress[done.worker];
        if !line.half_rtt.is_finite() {
            return;
        }
        let label = &arena[index as usize];
        let bytes = self.model.logits.bytes[0];
        let busy = bytes * line.seconds_per_byte;
        let sent_joules = bytes * self.instance.workers[done.worker].joules_per_byte_sent;
        let terms = Terms {
            latency_seconds: done.seconds
                + line.half_rtt
                + busy
                + self.instance.codec[0] * self.model.logits.elements,
            period_seconds: done.period.max(busy),
            energy_joules: done.joules + sent_joules,
            accuracy_loss_points: label.loss,
        };
        let Terms { latency_seconds, period_seconds, energy_joules, accuracy_loss_points } = terms;
        if !self.power_allows(done.worker, done.own_joules + sent_joules)
            || !self.limits_allow(latency_seconds, energy_joules, accuracy_loss_points, period_seconds, None)
        {
            return;
        }
        let (mut stages, mut encodings) = (Vec::new(), Vec::new());
        let mut at = Some(index);
        while let Some(label) = at.map(|at| &arena[at as usize]) {
            stages.push((label.worker, label.start));
            if let Some(bypass) = label.bypass {
                encodings.push((bypass.from, label.worker, bypass.encoding));
            }
            if let Some(parent) = label.parent {
                encodings.push((arena[parent as usize].worker, label.worker, label.encoding));
            }
            at = label.parent;
        }
        stages.reverse();
        let objective = self.problem.objective(&terms);
        record.offer(Found { objective, terms, set, stages, encodings });
    }
}
