//! Prices on using a worker twice and on breaking global bounds, found by subgradient steps (Held and Karp 1971).
//!
//! With prices `l` on each use of a worker, the relaxed optimum minus the sum of `l` is a lower bound: a plan that uses
//! each worker at most once pays at most that sum. The same holds for a bounded term and its bound.

use std::rc::Rc;

use super::bound::{Bound, Multipliers, Prices, Scratch, encodings_at};
use super::instance::Instance;
use super::problem::Problem;
use super::set_model::{Load, SetModel};

/// What the cheapest relaxed plan does.
#[derive(Debug, Clone, Default)]
pub(super) struct Walk {
    /// Stages on each worker.
    pub(super) uses: Vec<u32>,
    pub(super) seconds: f64,
    pub(super) joules: f64,
    pub(super) loss: f64,
}

/// Multipliers with the bound that they give.
pub(super) struct Priced {
    pub(super) multipliers: Multipliers,
    pub(super) prices: Rc<Prices>,
    pub(super) bound: Bound,
    /// What the multipliers add to plans that keep every limit.
    pub(super) constant: f64,
}

impl Multipliers {
    pub(super) fn none(count: usize) -> Self {
        Self { latency: 0.0, energy: 0.0, loss: 0.0, workers: vec![0.0; count] }
    }

    fn constant(&self, problem: &Problem) -> f64 {
        let of = |price: f64, limit: f64| if price > 0.0 { price * limit } else { 0.0 };
        self.workers.iter().sum::<f64>()
            + of(self.latency, problem.latency_max)
            + of(self.energy, problem.energy_max)
            + of(self.loss, problem.loss_max)
    }
}

impl Priced {
    pub(super) fn new(
        instance: &Instance<'_>,
        model: &SetModel,
        problem: &Problem,
        multipliers: Multipliers,
        scratch: &mut Scratch,
    ) -> Self {
        let prices = scratch.prices(instance, problem, &multipliers);
        let bound = Bound::new(instance, model, problem, &prices, &multipliers, scratch);
        let constant = multipliers.constant(problem);
        Self { multipliers, prices, bound, constant }
    }

    /// No plan of this set, with a period of at least `period_min`, costs less.
    pub(super) fn value(&self, model: &SetModel, problem: &Problem, period_min: f64) -> f64 {
        self.bound.total - self.constant + self.prices.point * model.loss + problem.prices.period * period_min
    }
}

/// Steps that are tried from nothing; the bound rises quickly at first and then hardly.
const STEPS: usize = 40;

/// Steps that are tried from the prices of another active set, which are nearly right.
const WARM_STEPS: usize = 10;

/// Where no plan is known, the optimum is taken to be this many times the bound.
const TARGET: f64 = 1.2;

/// Raises the bound of one set until it reaches `upper`, the cheapest relaxed plan is a plan, or steps run out.
pub(super) fn raise(
    instance: &Instance<'_>,
    model: &SetModel,
    problem: &Problem,
    start: Priced,
    period_min: f64,
    upper: f64,
    scratch: &mut Scratch,
) -> Priced {
    if !start.bound.total.is_finite() {
        return start;
    }
    let mut best_value = start.value(model, problem, period_min);
    let mut best = start;
    let mut multipliers = best.multipliers.clone();
    let mut current: Option<Priced> = None;
    let cold = multipliers.workers.iter().all(|price| *price == 0.0);
    let (steps, patience) = if cold { (STEPS, 4) } else { (WARM_STEPS, 2) };
    let mut scale = 1.0;
    let mut stale = 0;
    for _ in 0..steps {
        let priced = current.as_ref().unwrap_or(&best);
        let walk = priced.bound.walk(instance, model, problem, &priced.prices);
        let value = priced.value(model, problem, period_min);
        let excess = |used: f64, limit: f64, price: f64| {
            let slope = if limit.is_finite() { used - limit } else { 0.0 };
            if slope < 0.0 && price <= 0.0 { 0.0 } else { slope }
        };
        let latency = excess(walk.seconds, problem.latency_max, multipliers.latency);
        let energy = excess(walk.joules, problem.energy_max, multipliers.energy);
        let loss = excess(model.loss + walk.loss, problem.loss_max, multipliers.loss);
        let workers: Vec<f64> = walk
            .uses
            .iter()
            .zip(&multipliers.workers)
            .map(|(&uses, &price)| if uses == 0 && price <= 0.0 { 0.0 } else { f64::from(uses) - 1.0 })
            .collect();
        let squares = workers.iter().map(|slope| slope * slope).sum::<f64>()
            + latency * latency
            + energy * energy
            + loss * loss;
        if squares <= 1e-18 || value >= upper {
            break;
        }
        // Polyak's step length; where no plan is known yet, the bound itself gives the scale.
        let target = if upper.is_finite() { upper * 1.01 } else { value.abs() * TARGET };
        let step = scale * (target - value).max(target * 1e-6) / squares;
        multipliers.latency = (multipliers.latency + step * latency).max(0.0);
        multipliers.energy = (multipliers.energy + step * energy).max(0.0);
        multipliers.loss = (multipliers.loss + step * loss).max(0.0);
        for (price, slope) in multipliers.workers.iter_mut().zip(workers) {
            *price = (*price + step * slope).max(0.0);
        }
        let next = Priced::new(instance, model, problem, multipliers.clone(), scratch);
        let next_value = next.value(model, problem, period_min);
        if next_value > best_value + 1e-9 * best_value.abs() {
            best_value = next_value;
            best = next;
            current = None;
            stale = 0;
        } else {
            current = Some(next);
            stale += 1;
            if stale % patience == 0 {
                scale *= 0.5;
            }
        }
        if !best.bound.total.is_finite() || best_value >= upper || scale < 0.02 {
            break;
        }
    }
    best
}

impl Bound {
    /// The cheapest relaxed plan, followed from the gateway on.
    pub(super) fn walk(
        &self,
        instance: &Instance<'_>,
        model: &SetModel,
        problem: &Problem,
        prices: &Prices,
    ) -> Walk {
        let layers = instance.layers();
        let mut walk = Walk { uses: vec![0; instance.count()], ..Walk::default() };
        let stride = instance.stride;
        let least = (0..instance.count()).min_by(|&a, &b| self.first[a].total_cmp(&self.first[b]));
        let Some(mut worker) = least.filter(|&worker| self.first[worker].is_finite()) else { return walk };
        let line = instance.ingress[worker];
        walk.seconds += line.half_rtt + model.input.bytes[0] * line.seconds_per_byte;
        walk.joules += model.input.bytes[0] * instance.workers[worker].joules_per_byte_received;
        let (mut start, mut leaves_join) = (0, false);
        loop {
            walk.uses[worker] += 1;
            let Some(end) = self.next_end(model, prices, start, worker, leaves_join, layers) else {
                return walk;
            };
            let seconds = model.seconds(stride, worker, start, end);
            walk.seconds += seconds;
            walk.joules += seconds * instance.workers[worker].active_watts;
            if end == layers {
                let line = instance.egress[worker];
                walk.seconds += line.half_rtt + model.logits.bytes[0] * line.seconds_per_byte;
                walk.joules += model.logits.bytes[0] * instance.workers[worker].joules_per_byte_sent;
                return walk;
            }
            let made_here = model.far[end].is_none_or(|far| start <= far.maker);
            let mut best: Option<(f64, usize, bool, Load, usize)> = None;
            for next in (0..instance.count()).filter(|&next| next != worker) {
                let (base, slope) = prices.link(stride, worker, next);
                for encoding in encodings_at(model, problem, end) {
                    for leaves in [false, true] {
                        let rest = if leaves { &self.without_join } else { &self.with_join };
                        let both = model.far[end].filter(|_| made_here && !leaves);
                        let load = both.map_or(model.near[end], |far| far.both);
                        let busy = load.bytes[encoding] * instance.line(worker, next).seconds_per_byte;
                        let cost = base
                            + slope * load.bytes[encoding]
                            + prices.second * instance.codec[encoding] * load.elements
                            + prices.point * model.losses[end][encoding]
                            + rest[end * stride + next];
                        let allowed = super::problem::within(busy, problem.period_max);
                        if allowed && cost.is_finite() && best.as_ref().is_none_or(|best| cost < best.0) {
                            best = Some((cost, next, leaves, load, encoding));
                        }
                    }
                }
            }
            let Some((_, next, leaves, load, encoding)) = best else { return walk };
            let line = instance.line(worker, next);
            let bytes = load.bytes[encoding];
            walk.seconds +=
                line.half_rtt + bytes * line.seconds_per_byte + instance.codec[encoding] * load.elements;
            walk.joules += bytes
                * (instance.workers[worker].joules_per_byte_sent
                    + instance.workers[next].joules_per_byte_received);
            walk.loss += model.losses[end][encoding];
            (start, worker, leaves_join) = (end, next, leaves);
        }
    }

    fn next_end(
        &self,
        model: &SetModel,
        prices: &Prices,
        start: usize,
        worker: usize,
        leaves_join: bool,
        layers: usize,
    ) -> Option<usize> {
        let stride = self.stride();
        let farthest = usize::from(self.ends[start * stride + worker]);
        let (from, to) = match model.far[start] {
            Some(far) if leaves_join => (start + 1, far.join.min(farthest)),
            Some(far) => (far.join + 1, farthest),
            None => (start + 1, farthest),
        };
        let cost = |end: usize| {
            let made_here = end == layers || model.far[end].is_none_or(|far| start <= far.maker);
            let rest = if made_here { &self.sent } else { &self.passed };
            model.seconds(stride, worker, start, end) * prices.compute[worker] + rest[end * stride + worker]
        };
        let ends = (from..=to).filter(|&end| end == layers || model.cuttable[end]);
        let least = ends.map(|end| (cost(end), end)).min_by(|a, b| a.0.total_cmp(&b.0))?;
        least.0.is_finite().then_some(least.1)
    }
}
