//! Which limits a plan uses up, and which ones leave no plan.

use super::bound::{Multipliers, Scratch};
use super::evaluate::{StageCost, evaluate};
use super::instance::Instance;
use super::lagrange::Priced;
use super::policy::Weights;
use super::problem::Problem;
use super::set_model::SetModel;
use super::snapshot::{Placement, Terms, WorkerState};
use super::solution::{BINDING, Effort, Infeasible, Limit, Relaxation};
use super::solve::{placement, run};

/// Limits of which less than [`BINDING`] is left.
pub(super) fn binding(
    instance: &Instance<'_>,
    problem: &Problem,
    placement: &Placement,
    terms: &Terms,
) -> Vec<Limit> {
    let tight = |value: f64, limit: f64| limit.is_finite() && value >= limit * (1.0 - BINDING);
    let mut limits = Vec::new();
    let global = [
        (Limit::Latency, terms.latency_seconds, problem.latency_max),
        (Limit::Energy, terms.energy_joules, problem.energy_max),
        (Limit::AccuracyLoss, terms.accuracy_loss_points, problem.loss_max),
        (Limit::Throughput, terms.period_seconds, problem.period_max),
    ];
    limits.extend(
        global.into_iter().filter(|(_, value, limit)| tight(*value, *limit)).map(|(limit, ..)| limit),
    );
    let evaluation = evaluate(instance.snapshot, placement);
    for stage in evaluation.iter().flat_map(|evaluation| &evaluation.stages) {
        for (limit, used, allowed) in worker_limits(instance, stage) {
            if tight(used, allowed) {
                limits.push(limit);
            }
        }
    }
    limits
}

/// A stage's memory and power: what is used and what is allowed.
fn worker_limits(instance: &Instance<'_>, stage: &StageCost) -> Vec<(Limit, f64, f64)> {
    let worker = instance.workers.iter().find(|worker| worker.name == stage.worker);
    let Some(WorkerState { memory_bytes, power_budget_watts, .. }) = worker else { return Vec::new() };
    let memory = memory_bytes.map(|allowed| {
        let used = stage.weight_bytes + stage.activation_bytes;
        (Limit::Memory(stage.worker.clone()), used as f64, allowed as f64)
    });
    let power = power_budget_watts.map(|allowed| (Limit::Power(stage.worker.clone()), stage.watts, allowed));
    memory.into_iter().chain(power).collect()
}

/// Why there is no plan: solves once more for each limit without it, making small what it limits.
pub(super) fn explain(
    instance: &Instance<'_>,
    problem: &Problem,
    models: &[SetModel],
    effort: &Effort,
) -> Infeasible {
    if !connected(instance, models) {
        return Infeasible::NoPath;
    }
    let effort = Effort { nodes: effort.nodes, gap: effort.gap.max(1e-3) };
    let price = |latency, energy, accuracy_loss, period| Weights { latency, energy, accuracy_loss, period };
    let global = [
        (Limit::Latency, problem.latency_max, price(1.0, 0.0, 0.0, 0.0)),
        (Limit::Energy, problem.energy_max, price(0.0, 1.0, 0.0, 0.0)),
        (Limit::AccuracyLoss, problem.loss_max, price(0.0, 0.0, 1.0, 0.0)),
        (Limit::Throughput, problem.period_max, price(0.0, 0.0, 0.0, 1.0)),
    ];
    let mut relaxations = Vec::new();
    for (limit, asked, prices) in global.into_iter().filter(|(_, asked, _)| asked.is_finite()) {
        let relaxed = Problem { prices, ..problem.without(&limit) };
        let Some(found) = run(instance, &relaxed, models, &effort).record.best else { continue };
        let terms = found.terms;
        let relaxation = match limit {
            Limit::Latency => Relaxation { limit, asked, possible: terms.latency_seconds },
            Limit::Energy => Relaxation { limit, asked, possible: terms.energy_joules },
            Limit::AccuracyLoss => Relaxation { limit, asked, possible: terms.accuracy_loss_points },
            _ => Relaxation { limit, asked: 1.0 / asked, possible: 1.0 / terms.period_seconds },
        };
        relaxations.push(relaxation);
    }
    let name = instance.workers[0].name.clone();
    for kind in [Limit::Memory(name.clone()), Limit::Power(name)] {
        relaxations.extend(most_lacking(instance, problem, models, &effort, &kind));
    }
    Infeasible::Limits(relaxations)
}

/// The worker that lacks most in the best plan without memory limits, or without power budgets.
fn most_lacking(
    instance: &Instance<'_>,
    problem: &Problem,
    models: &[SetModel],
    effort: &Effort,
    kind: &Limit,
) -> Option<Relaxation> {
    let found = run(instance, &problem.without(kind), models, effort).record.best?;
    let evaluation = evaluate(instance.snapshot, &placement(instance, models, &found)).ok()?;
    let of_kind = |limit: &Limit| std::mem::discriminant(limit) == std::mem::discriminant(kind);
    let lacking = evaluation.stages.iter().flat_map(|stage| worker_limits(instance, stage));
    let lacking = lacking.filter(|(limit, used, allowed)| of_kind(limit) && used > allowed);
    let most = lacking.max_by(|a, b| (a.1 - a.2).total_cmp(&(b.1 - b.2)))?;
    Some(Relaxation { limit: most.0, asked: most.2, possible: most.1 })
}

/// Whether any plan exists without limits.
fn connected(instance: &Instance<'_>, models: &[SetModel]) -> bool {
    let infinite = f64::INFINITY;
    let free = Problem {
        prices: Weights { latency: 1.0, ..Weights::default() },
        latency_max: infinite,
        energy_max: infinite,
        loss_max: infinite,
        period_max: infinite,
        encodings: [true; 3],
        memory: false,
        power: false,
    };
    let mut scratch = Scratch::default();
    let none = || Multipliers::none(instance.count());
    models
        .iter()
        .any(|model| Priced::new(instance, model, &free, none(), &mut scratch).bound.total.is_finite())
}
