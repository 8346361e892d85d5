//! The planner's front: every candidate set in order of its bound, each searched until nothing better can be left.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use weir_shared::arch::LayerId;
use weir_shared::plan::{ActiveSet, ActiveSetError, Connection};

use super::bound::{Bound, Multipliers, Prices, Scratch};
use super::evaluate::evaluate;
use super::instance::Instance;
use super::lagrange::{Priced, raise};
use super::limits::{binding, explain};
use super::policy::{Policy, Weights};
use super::problem::Problem;
use super::search::{Context, Found, Guards, Record, dive, search};
use super::set_model::SetModel;
use super::snapshot::{LinkEncoding, Placement, Snapshot};
use super::solution::{Alternative, Effort, Infeasible, Solution};

/// The best plan for `snapshot` under `policy`, with its proof. The same input gives the same plan.
///
/// # Errors
/// If the snapshot or the policy's pins make no sense, if there is no plan (then with what to relax), or if `effort`
/// was spent before one was found.
pub fn solve(snapshot: &Snapshot, policy: &Policy, effort: &Effort) -> Result<Solution, Infeasible> {
    solve_or(snapshot, policy, effort, |instance, problem, models| explain(instance, problem, models, effort))
}

/// As [`solve`], without an explanation where there is no plan.
///
/// # Errors
/// As [`solve`], but for limits that leave nothing.
pub fn solve_within(
    snapshot: &Snapshot,
    policy: &Policy,
    effort: &Effort,
) -> Result<Option<Solution>, Infeasible> {
    match solve_or(snapshot, policy, effort, |_, _, _| Infeasible::Limits(Vec::new())) {
        Ok(solution) => Ok(Some(solution)),
        Err(Infeasible::Limits(_)) => Ok(None),
        Err(other) => Err(other),
    }
}

/// [`solve`]; `why` says what to answer where there is no plan.
fn solve_or(
    snapshot: &Snapshot,
    policy: &Policy,
    effort: &Effort,
    why: impl FnOnce(&Instance<'_>, &Problem, &[SetModel]) -> Infeasible,
) -> Result<Solution, Infeasible> {
    snapshot.check().map_err(|error| Infeasible::Snapshot(weir_shared::chain(&error)))?;
    let instance = Instance::new(snapshot);
    let candidates = candidates(&instance, policy)?;
    let problem = Problem::new(&instance, policy);
    let models = models(&instance, &candidates);
    let outcome = run(&instance, &problem, &models, effort);
    match outcome.record.best {
        Some(_) => Ok(solution(&instance, &problem, &models, outcome)),
        None if outcome.record.exhausted() => Err(Infeasible::Unfinished(outcome.record.nodes)),
        None => Err(why(&instance, &problem, &models)),
    }
}

/// The candidates that agree with the pins: set and loss.
pub(super) fn candidates(
    instance: &Instance<'_>,
    policy: &Policy,
) -> Result<Vec<(ActiveSet, f64)>, Infeasible> {
    let pinned = |names: &[String]| -> Result<Vec<Connection>, Infeasible> {
        let read = |name: &String| {
            let set = ActiveSet::parse(name, &instance.network);
            let single = set.map(|set| set.off().collect::<Vec<_>>());
            match single {
                Ok(found) if found.len() == 1 => Ok(found[0]),
                Ok(_) | Err(ActiveSetError::BadName(_)) => Err(Infeasible::Pin(name.clone())),
                Err(_) => Err(Infeasible::Pin(name.clone())),
            }
        };
        names.iter().map(read).collect()
    };
    let (on, off) = (pinned(&policy.pins().on)?, pinned(&policy.pins().off)?);
    let agrees = |set: &ActiveSet| {
        let gone: Vec<Connection> = set.off().collect();
        on.iter().all(|pin| !gone.contains(pin)) && off.iter().all(|pin| gone.contains(pin))
    };
    let known = instance.snapshot.accuracy.candidates.iter();
    let mut found: Vec<(ActiveSet, f64)> = known
        .filter(|candidate| agrees(&candidate.active))
        .map(|candidate| (candidate.active.clone(), candidate.loss_points.max(0.0)))
        .collect();
    // Names, not places in the list, tell equals apart.
    found.sort_by_cached_key(|(set, _)| (set.off().count(), set.describe(&instance.network)));
    if found.is_empty() { Err(Infeasible::Pins) } else { Ok(found) }
}

pub(super) fn models(instance: &Instance<'_>, candidates: &[(ActiveSet, f64)]) -> Vec<SetModel> {
    candidates.iter().map(|(active, loss)| SetModel::new(instance, active, *loss)).collect()
}

/// What a run over all sets found.
pub(super) struct Outcome {
    pub(super) record: Record,
    /// The least bound of what was not searched.
    pub(super) open: f64,
}

/// A set with a range of periods that is still to be searched.
struct Open {
    bound: f64,
    set: usize,
    period_min: f64,
    period_max: f64,
}

impl PartialEq for Open {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Open {}

impl PartialOrd for Open {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Open {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        let period = self.period_min.total_cmp(&other.period_min);
        self.bound.total_cmp(&other.bound).then(self.set.cmp(&other.set)).then(period)
    }
}

/// Where the period has a price, a set is searched by ranges of periods no wider than this.
const PERIOD_RANGE: f64 = 1.02;

/// A range of periods below this, in seconds, is not divided again.
const PERIOD_LEAST: f64 = 1e-7;

/// Partial plans in a dive.
const DIVE_NODES: u64 = 40;

/// Searches every set.
pub(super) fn run(
    instance: &Instance<'_>,
    problem: &Problem,
    models: &[SetModel],
    effort: &Effort,
) -> Outcome {
    let mut record = Record::new(effort.gap.max(0.0), effort.nodes);
    let mut scratch = Scratch::default();
    let mut open = BinaryHeap::new();
    for (set, model) in models.iter().enumerate() {
        if !super::problem::within(model.loss, problem.loss_max) {
            continue;
        }
        let priced = Priced::new(instance, model, problem, Multipliers::none(instance.count()), &mut scratch);
        let priced_period = problem.prices.period > 0.0;
        let (least, most) = if priced_period { periods(instance, model) } else { (0.0, f64::INFINITY) };
        let (period_min, period_max) = (least, problem.period_max.min(most * (1.0 + 1e-6)));
        let bound = priced.value(model, problem, period_min);
        if bound.is_finite() {
            open.push(Reverse(Open { bound, set, period_min, period_max }));
        }
    }
    let mut left = f64::INFINITY;
    let mut warm = Multipliers::none(instance.count());
    while let Some(Reverse(next)) = open.pop() {
        if record.prunes(next.bound) {
            continue;
        }
        if record.exhausted() && record.best.is_some() {
            left = left.min(next.bound);
            break;
        }
        let model = &models[next.set];
        let wide = problem.prices.period > 0.0
            && next.period_max > next.period_min * PERIOD_RANGE
            && next.period_max > PERIOD_LEAST;
        let range = Problem { period_max: next.period_max, ..problem.clone() };
        // What held for the set before is a good guess: sets differ in little.
        let mut priced = Priced::new(instance, model, &range, warm.clone(), &mut scratch);
        if priced.value(model, &range, next.period_min) < next.bound {
            priced = Priced::new(instance, model, &range, Multipliers::none(instance.count()), &mut scratch);
        }
        let value = priced.value(model, &range, next.period_min);
        if record.prunes(value) {
            continue;
        }
        let guards = guards(instance, model, &range, &mut scratch);
        let dive_nodes = DIVE_NODES.min(record.nodes_max.saturating_sub(record.nodes)).max(1);
        dive(
            &context(instance, model, &range, &priced, &guards, next.period_min),
            next.set,
            &mut record,
            dive_nodes,
        );
        if wide {
            split(&next, value, problem, &record, &mut open);
            continue;
        }
        let upper = record.upper() * (1.0 - record.gap);
        let priced = raise(instance, model, &range, priced, next.period_min, upper, &mut scratch);
        if record.prunes(priced.value(model, &range, next.period_min)) {
            continue;
        }
        let before = record.upper();
        dive(
            &context(instance, model, &range, &priced, &guards, next.period_min),
            next.set,
            &mut record,
            dive_nodes,
        );
        let priced = if record.upper() < before {
            // The length of the steps follows the best plan.
            let upper = record.upper() * (1.0 - record.gap);
            raise(instance, model, &range, priced, next.period_min, upper, &mut scratch)
        } else {
            priced
        };
        warm = priced.multipliers.clone();
        let context = context(instance, model, &range, &priced, &guards, next.period_min);
        left = left.min(search(&context, next.set, &mut record));
    }
    Outcome { record, open: left }
}

fn context<'a>(
    instance: &'a Instance<'a>,
    model: &'a SetModel,
    problem: &'a Problem,
    priced: &'a Priced,
    guards: &'a Guards,
    period_min: f64,
) -> Context<'a> {
    Context {
        instance,
        model,
        problem,
        prices: &priced.prices,
        multipliers: &priced.multipliers,
        bound: &priced.bound,
        guards,
        period_min,
        constant: priced.constant,
    }
}

/// Halves a range of periods on the logarithmic scale.
fn split(whole: &Open, value: f64, problem: &Problem, record: &Record, open: &mut BinaryHeap<Reverse<Open>>) {
    let price = problem.prices.period;
    // A period beyond this costs more than the best plan does.
    let hopeless = whole.period_min + (record.upper() - value).max(0.0) / price;
    let period_max = whole.period_max.min(hopeless).max(whole.period_min);
    let least = whole.period_min.max(PERIOD_LEAST / 8.0);
    let middle = (least * period_max).sqrt().max(least * PERIOD_RANGE.sqrt());
    let (set, period_min) = (whole.set, whole.period_min);
    open.push(Reverse(Open { bound: value, set, period_min, period_max: middle.min(period_max) }));
    if middle < period_max {
        let bound = value + price * (middle - whole.period_min);
        open.push(Reverse(Open { bound, set, period_min: middle, period_max }));
    }
}

/// No plan has a smaller period than the largest layer on the fastest worker, and none a larger one than everything
/// on the slowest worker, or everything on the slowest link.
fn periods(instance: &Instance<'_>, model: &SetModel) -> (f64, f64) {
    let (stride, layers) = (instance.stride, instance.layers());
    let fastest = |layer: usize| {
        let seconds = (0..instance.count()).map(|worker| model.seconds(stride, worker, layer, layer + 1));
        seconds.fold(f64::INFINITY, f64::min)
    };
    let slowest = (0..instance.count()).map(|worker| model.seconds(stride, worker, 0, layers));
    let shortcuts = model.far.iter().flatten().map(|far| far.both.bytes[0]);
    let loads = model.near.iter().map(|load| load.bytes[0]);
    let ends = [model.input.bytes[0], model.logits.bytes[0]];
    let largest = loads.chain(shortcuts).chain(ends).fold(0.0, f64::max);
    let lines = instance.links.seconds_per_byte.iter().copied();
    let gates = instance.ingress.iter().chain(&instance.egress).map(|line| line.seconds_per_byte);
    let busy = lines.chain(gates).filter(|seconds| seconds.is_finite()).fold(0.0, f64::max) * largest;
    let least = (0..layers).map(fastest).fold(0.0, f64::max);
    (least, slowest.fold(busy, f64::max))
}

fn guards(instance: &Instance<'_>, model: &SetModel, problem: &Problem, scratch: &mut Scratch) -> Guards {
    let mut guard = |bounded: bool, latency: f64, energy: f64| {
        bounded.then(|| {
            let prices = Weights { latency, energy, accuracy_loss: 0.0, period: 0.0 };
            let alone = Problem { prices, ..problem.clone() };
            let none = Multipliers::none(instance.count());
            let prices = Prices::new(instance, &alone, &none);
            Bound::new(instance, model, &alone, &prices, &none, scratch)
        })
    };
    Guards {
        latency: guard(problem.latency_max.is_finite(), 1.0, 0.0),
        energy: guard(problem.energy_max.is_finite(), 0.0, 1.0),
    }
}

/// A plan as the rest of the orchestrator knows it.
pub(super) fn placement(instance: &Instance<'_>, models: &[SetModel], found: &Found) -> Placement {
    use weir_shared::plan::Encoding;
    let name = |worker: usize| instance.workers[worker].name.clone();
    let encodings = found.encodings.iter().filter(|entry| entry.2 > 0);
    let mut encodings: Vec<LinkEncoding> = encodings
        .map(|&(from, to, encoding)| LinkEncoding {
            from: name(from).peer(),
            to: name(to).peer(),
            encoding: Encoding::ALL[encoding],
        })
        .collect();
    encodings.sort();
    Placement {
        active: models[found.set].active.clone(),
        cuts: found.stages.iter().skip(1).map(|stage| LayerId(stage.1 as u16)).collect(),
        workers: found.stages.iter().map(|stage| name(stage.0)).collect(),
        encodings,
    }
}

pub(super) fn solution(
    instance: &Instance<'_>,
    problem: &Problem,
    models: &[SetModel],
    outcome: Outcome,
) -> Solution {
    let Outcome { record, open } = outcome;
    let alternative = |found: &Found| {
        let placement = placement(instance, models, found);
        // The evaluator's sums are the ones that everybody else sees.
        let terms =
            evaluate(instance.snapshot, &placement).map_or(found.terms, |evaluation| evaluation.terms);
        Alternative { placement, terms, objective: problem.objective(&terms) }
    };
    let runners_up = record.others.iter().map(alternative).collect();
    let best = record.best.as_ref().map(alternative);
    let Some(Alternative { placement, terms, objective }) = best else {
        unreachable!("only called with a plan")
    };
    let bound = open.min(record.pruned).min(objective);
    // Where nothing was left to search, what was pruned is within rounding of the best plan.
    let bound = if objective - bound <= 1e-9 * objective { objective } else { bound };
    let gap = if objective > 0.0 { (objective - bound) / objective } else { 0.0 };
    let binding = binding(instance, problem, &placement, &terms);
    Solution { placement, terms, objective, bound, gap, binding, runners_up, nodes: record.nodes }
}
