//! Lower bounds on the rest of a plan, by dynamic programming from the last layer backwards.
//!
//! The relaxation: a worker may be used again later on, a shortcut that bypasses a worker arrives in no time, and
//! global bounds are priced (Lagrange) instead of kept. Everything that one stage decides is exact: its time, memory,
//! computing power and period, and a shortcut that travels beside the main value.
//! `docs/planner.md` has the equations.

use std::rc::Rc;

use super::instance::{Instance, LANES};
use super::problem::{Problem, within};
use super::set_model::{Load, SetModel};

/// Prices on what the relaxation does not keep.
#[derive(Debug, Clone)]
pub(super) struct Multipliers {
    pub(super) latency: f64,
    pub(super) energy: f64,
    pub(super) loss: f64,
    /// For each use of a worker.
    pub(super) workers: Vec<f64>,
}

/// What seconds, joules and points cost on each link and worker, multipliers included.
pub(super) struct Prices {
    pub(super) second: f64,
    pub(super) joule: f64,
    pub(super) point: f64,
    /// Cost of a byte, row by sender.
    slope: Vec<f64>,
    /// Cost of half a round trip; infinite where there is no link.
    base: Vec<f64>,
    /// Seconds for each byte; a huge number where there is no link.
    busy: Vec<f64>,
    /// Cost of a second of computing, by worker.
    pub(super) compute: Vec<f64>,
}

impl Prices {
    pub(super) fn new(instance: &Instance<'_>, problem: &Problem, multipliers: &Multipliers) -> Self {
        let second = problem.prices.latency + multipliers.latency;
        let joule = problem.prices.energy + multipliers.energy;
        let point = problem.prices.accuracy_loss + multipliers.loss;
        let (count, stride) = (instance.count(), instance.stride);
        let mut slope = vec![0.0; count * stride];
        let mut base = vec![f64::INFINITY; count * stride];
        let mut busy = vec![f64::INFINITY; count * stride];
        for from in 0..count {
            for to in (0..count).filter(|&to| to != from) {
                let line = instance.line(from, to);
                if line.half_rtt.is_finite() {
                    let joules = instance.workers[from].joules_per_byte_sent
                        + instance.workers[to].joules_per_byte_received;
                    slope[from * stride + to] = second * line.seconds_per_byte + joule * joules;
                    base[from * stride + to] = second * line.half_rtt;
                    busy[from * stride + to] = line.seconds_per_byte;
                }
            }
        }
        let compute = instance.workers.iter().map(|worker| second + joule * worker.active_watts).collect();
        Self { second, joule, point, slope, base, busy, compute }
    }

    /// What a load costs on a link, encodings aside.
    pub(super) fn link(&self, stride: usize, from: usize, to: usize) -> (f64, f64) {
        (self.base[from * stride + to], self.slope[from * stride + to])
    }
}

/// One encoding of what travels at a cut: bytes, what they cost wherever they go, and the slowest link allowed.
#[derive(Debug, Clone, Copy)]
struct Choice {
    bytes: f64,
    cost: f64,
    busy_max: f64,
}

/// The encodings that may be used for `load` at `cut`.
pub(super) fn encodings_at<'a>(
    model: &'a SetModel,
    problem: &'a Problem,
    cut: usize,
) -> impl Iterator<Item = usize> + 'a {
    let fits = move |encoding: &usize| {
        let loss = model.losses[cut][*encoding];
        problem.encodings[*encoding] && loss.is_finite() && within(model.loss + loss, problem.loss_max)
    };
    (0..3).filter(fits)
}

/// Lower bounds of one active set under one set of multipliers.
pub(super) struct Bound {
    stride: usize,
    /// Cost from the start of a stage that takes in the join, or where no shortcut is open: `[cut * stride + worker]`.
    pub(super) with_join: Vec<f64>,
    /// Cost from the start of a stage that leaves an open shortcut to later ones; infinite where none is open.
    pub(super) without_join: Vec<f64>,
    /// Cost from the end of a stage that made every value that leaves.
    pub(super) sent: Vec<f64>,
    /// Cost from the end of a stage that did not make the shortcut's value.
    pub(super) passed: Vec<f64>,
    /// The farthest end of a stage.
    pub(super) ends: Vec<u16>,
    /// Cost from the gateway on, by first worker.
    pub(super) first: Vec<f64>,
    /// The least of them, multipliers' constants not taken off.
    pub(super) total: f64,
}

/// Memory that is used again from one bound to the next.
#[derive(Default)]
pub(super) struct Scratch {
    queue: Vec<(f64, u16)>,
    heads: Vec<u32>,
    tails: Vec<u32>,
    /// The last prices of links: they change only with the prices of seconds, joules and points.
    prices: Option<Rc<Prices>>,
}

impl Bound {
    pub(super) const fn stride(&self) -> usize {
        self.stride
    }

    pub(super) fn new(
        instance: &Instance<'_>,
        model: &SetModel,
        problem: &Problem,
        prices: &Prices,
        multipliers: &Multipliers,
        scratch: &mut Scratch,
    ) -> Self {
        let (layers, stride, count) = (instance.layers(), instance.stride, instance.count());
        let size = (layers + 1) * stride;
        let mut bound = Self {
            stride,
            with_join: vec![f64::INFINITY; size],
            without_join: vec![f64::INFINITY; size],
            sent: vec![f64::INFINITY; size],
            passed: vec![f64::INFINITY; size],
            ends: stage_ends(instance, model, problem),
            first: vec![f64::INFINITY; count],
            total: f64::INFINITY,
        };
        for worker in 0..count {
            bound.sent[layers * stride + worker] = egress_cost(instance, model, problem, prices, worker);
        }
        let jumps = jumps(model, layers);
        scratch.reset(count, layers + 2);
        let mut pushed = layers + 1;
        for start in (0..layers).rev() {
            let window = jumps[start].map_or(start + 1, |join| join + 1);
            while pushed > window {
                pushed -= 1;
                if pushed == layers || model.cuttable[pushed] {
                    bound.push(model, prices, scratch, pushed, layers + 2, count);
                }
            }
            if start > 0 && !model.cuttable[start] {
                continue;
            }
            bound.start_stages(model, prices, multipliers, scratch, start, jumps[start], layers + 2);
            if start > 0 {
                bound.end_stages(instance, model, problem, prices, start);
            }
        }
        for worker in 0..count {
            let cost = ingress_cost(instance, model, problem, prices, worker);
            bound.first[worker] = cost + bound.with_join[worker];
            bound.total = bound.total.min(bound.first[worker]);
        }
        bound
    }

    /// Lets stages end at `end`.
    fn push(
        &self,
        model: &SetModel,
        prices: &Prices,
        scratch: &mut Scratch,
        end: usize,
        width: usize,
        count: usize,
    ) {
        let row = end * self.stride;
        for worker in 0..count {
            let value = model.seconds_before[row + worker] * prices.compute[worker] + self.sent[row + worker];
            if value < f64::INFINITY {
                scratch.push(worker, width, value, end);
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "one step of the recursion, kept whole for speed")]
    fn start_stages(
        &mut self,
        model: &SetModel,
        prices: &Prices,
        multipliers: &Multipliers,
        scratch: &mut Scratch,
        start: usize,
        jump: Option<usize>,
        width: usize,
    ) {
        let row = start * self.stride;
        for (worker, &use_price) in multipliers.workers.iter().enumerate() {
            let farthest = usize::from(self.ends[row + worker]);
            let before = model.seconds_before[row + worker] * prices.compute[worker];
            let beyond = scratch.least(worker, width, farthest);
            let mut inside = f64::INFINITY;
            if let Some(join) = jump {
                for end in model.next_step[start] + 1..=join.min(farthest) {
                    let at = end * self.stride + worker;
                    inside = inside.min(model.seconds_before[at] * prices.compute[worker] + self.passed[at]);
                }
            }
            let (beyond, inside) = (beyond - before + use_price, inside - before + use_price);
            if model.far[start].is_some() {
                self.with_join[row + worker] = beyond;
                self.without_join[row + worker] = inside;
            } else {
                self.with_join[row + worker] = beyond.min(inside);
            }
        }
    }

    fn end_stages(
        &mut self,
        instance: &Instance<'_>,
        model: &SetModel,
        problem: &Problem,
        prices: &Prices,
        cut: usize,
    ) {
        let (stride, count) = (self.stride, instance.count());
        let near = choices(instance, model, problem, prices, cut, &model.near[cut]);
        let row = cut * stride;
        match model.far[cut] {
            None => {
                let next = &self.with_join[row..row + stride];
                for worker in 0..count {
                    let at = worker * stride;
                    let arcs = prices.row(at, stride);
                    let [least] = least_of(arcs, &near, [next], problem.period_max);
                    self.sent[row + worker] = least;
                    self.passed[row + worker] = least;
                }
            }
            Some(far) => {
                let both = choices(instance, model, problem, prices, cut, &far.both);
                let with = &self.with_join[row..row + stride];
                let without = &self.without_join[row..row + stride];
                let either: Vec<f64> = with.iter().zip(without).map(|(a, b)| a.min(*b)).collect();
                for worker in 0..count {
                    let arcs = prices.row(worker * stride, stride);
                    let beside = least_of(arcs, &both, [with], problem.period_max)[0];
                    let [later, passed] = least_of(arcs, &near, [without, &either], problem.period_max);
                    self.sent[row + worker] = beside.min(later);
                    self.passed[row + worker] = passed;
                }
            }
        }
    }
}

type Row<'a> = (&'a [f64], &'a [f64], &'a [f64]);

impl Prices {
    fn row(&self, at: usize, stride: usize) -> Row<'_> {
        let range = at..at + stride;
        (&self.base[range.clone()], &self.slope[range.clone()], &self.busy[range])
    }
}

/// The least cost over receivers and encodings, for each of several costs from the receivers on. All rows have the same
/// length, a multiple of [`LANES`].
fn least_of<const N: usize>(
    row: Row<'_>,
    choices: &[Choice],
    nexts: [&[f64]; N],
    period_max: f64,
) -> [f64; N] {
    // The common case without a limit, and the common numbers of encodings, get loops of their own.
    match (period_max == f64::INFINITY, choices) {
        (true, [a, b, c]) => least_over(row, &[*a, *b, *c], nexts, |_, _| true),
        (true, _) => least_over(row, choices, nexts, |_, _| true),
        (false, [a, b, c]) => least_over(row, &[*a, *b, *c], nexts, |busy, most| busy <= most),
        (false, [a, b]) => least_over(row, &[*a, *b], nexts, |busy, most| busy <= most),
        (false, _) => least_over(row, choices, nexts, |busy, most| busy <= most),
    }
}

#[inline(always)]
fn least_over<const N: usize>(
    (base, slope, busy): Row<'_>,
    choices: &[Choice],
    nexts: [&[f64]; N],
    allowed: impl Fn(f64, f64) -> bool,
) -> [f64; N] {
    let mut least = [[f64::INFINITY; LANES]; N];
    let rows = base.as_chunks::<LANES>().0.iter().zip(slope.as_chunks::<LANES>().0);
    let rows = rows.zip(busy.as_chunks::<LANES>().0).enumerate();
    let nexts = nexts.map(|next| next.as_chunks::<LANES>().0);
    for (chunk, ((base, slope), busy)) in rows {
        let mut cheapest = [f64::INFINITY; LANES];
        for choice in choices {
            for lane in 0..LANES {
                let cost = slope[lane] * choice.bytes + choice.cost;
                let cost = if allowed(busy[lane], choice.busy_max) { cost } else { f64::INFINITY };
                cheapest[lane] = if cost < cheapest[lane] { cost } else { cheapest[lane] };
            }
        }
        for (least, next) in least.iter_mut().zip(nexts) {
            let Some(next) = next.get(chunk) else { continue };
            for lane in 0..LANES {
                let cost = base[lane] + cheapest[lane] + next[lane];
                least[lane] = if cost < least[lane] { cost } else { least[lane] };
            }
        }
    }
    least.map(|lanes| lanes.into_iter().fold(f64::INFINITY, f64::min))
}

fn choices(
    instance: &Instance<'_>,
    model: &SetModel,
    problem: &Problem,
    prices: &Prices,
    cut: usize,
    load: &Load,
) -> Vec<Choice> {
    let choice = |encoding: usize| {
        let codec = prices.second * instance.codec[encoding] * load.elements;
        let bytes = load.bytes[encoding];
        Choice {
            bytes,
            cost: codec + prices.point * model.losses[cut][encoding],
            busy_max: problem.period_max * (1.0 + super::problem::ROUNDING) / bytes,
        }
    };
    encodings_at(model, problem, cut).map(choice).collect()
}

/// For starts behind the maker of a shortcut's value and not behind its join: that join.
fn jumps(model: &SetModel, layers: usize) -> Vec<Option<usize>> {
    let mut jumps = vec![None; layers + 1];
    for far in model.far.iter().flatten() {
        jumps[far.maker + 1..=far.join].fill(Some(far.join));
    }
    jumps
}

/// The farthest end of a stage by its start and worker; the start itself where not even one layer fits.
fn stage_ends(instance: &Instance<'_>, model: &SetModel, problem: &Problem) -> Vec<u16> {
    let (layers, stride) = (instance.layers(), instance.stride);
    let mut ends = vec![0u16; (layers + 1) * stride];
    for (index, worker) in instance.workers.iter().enumerate() {
        let budget = worker.power_budget_watts.filter(|_| problem.power).unwrap_or(f64::INFINITY);
        let watts = worker.active_watts * instance.snapshot.offered_load;
        let memory =
            worker.memory_bytes.filter(|_| problem.memory).map_or(f64::INFINITY, |bytes| bytes as f64);
        let fits = |start: usize, end: usize| {
            let seconds = model.seconds(stride, index, start, end);
            within(seconds, problem.period_max)
                && within(worker.idle_watts + watts * seconds, budget)
                && (memory == f64::INFINITY || !model.peaks.matter() || {
                    let weights = instance.weights_before[end] - instance.weights_before[start];
                    within(weights + model.peaks.bytes(start, end), memory)
                })
        };
        let mut end = layers;
        for start in (0..layers).rev() {
            while end > start && !fits(start, end) {
                end -= 1;
            }
            ends[start * stride + index] = end as u16;
        }
    }
    ends
}

pub(super) fn ingress_cost(
    instance: &Instance<'_>,
    model: &SetModel,
    problem: &Problem,
    prices: &Prices,
    worker: usize,
) -> f64 {
    let joules = instance.workers[worker].joules_per_byte_received;
    gateway_cost(instance, problem, prices, instance.ingress[worker], &model.input, joules)
}

pub(super) fn egress_cost(
    instance: &Instance<'_>,
    model: &SetModel,
    problem: &Problem,
    prices: &Prices,
    worker: usize,
) -> f64 {
    let joules = instance.workers[worker].joules_per_byte_sent;
    gateway_cost(instance, problem, prices, instance.egress[worker], &model.logits, joules)
}

fn gateway_cost(
    instance: &Instance<'_>,
    problem: &Problem,
    prices: &Prices,
    line: super::instance::Line,
    load: &Load,
    joules_per_byte: f64,
) -> f64 {
    let busy = load.bytes[0] * line.seconds_per_byte;
    if !line.half_rtt.is_finite() || !within(busy, problem.period_max) {
        return f64::INFINITY;
    }
    let seconds = line.half_rtt + busy + instance.codec[0] * load.elements;
    prices.second * seconds + prices.joule * load.bytes[0] * joules_per_byte
}

/// A queue for each worker that holds ends of stages by falling value: the least end in reach is at its back.
impl Scratch {
    /// The prices for a problem and multipliers.
    pub(super) fn prices(
        &mut self,
        instance: &Instance<'_>,
        problem: &Problem,
        multipliers: &Multipliers,
    ) -> Rc<Prices> {
        let second = problem.prices.latency + multipliers.latency;
        let joule = problem.prices.energy + multipliers.energy;
        let point = problem.prices.accuracy_loss + multipliers.loss;
        match &self.prices {
            Some(known) if (known.second, known.joule, known.point) == (second, joule, point) => {
                known.clone()
            }
            _ => self.prices.insert(Rc::new(Prices::new(instance, problem, multipliers))).clone(),
        }
    }

    fn reset(&mut self, count: usize, width: usize) {
        self.queue.resize(count * width, (0.0, 0));
        self.heads.clear();
        self.heads.resize(count, width as u32);
        self.tails.clear();
        self.tails.resize(count, width as u32);
    }

    /// Ends come in falling order, and what is farther leaves first; so a farther one that is no cheaper is useless.
    fn push(&mut self, worker: usize, width: usize, value: f64, end: usize) {
        let base = worker * width;
        let (mut head, tail) = (self.heads[worker] as usize, self.tails[worker] as usize);
        while head < tail && self.queue[base + head].0 >= value {
            head += 1;
        }
        head -= 1;
        self.queue[base + head] = (value, end as u16);
        self.heads[worker] = head as u32;
    }

    fn least(&mut self, worker: usize, width: usize, farthest: usize) -> f64 {
        let base = worker * width;
        let (head, mut tail) = (self.heads[worker] as usize, self.tails[worker] as usize);
        while head < tail && usize::from(self.queue[base + tail - 1].1) > farthest {
            tail -= 1;
        }
        self.tails[worker] = tail as u32;
        if head < tail { self.queue[base + tail - 1].0 } else { f64::INFINITY }
    }
}
