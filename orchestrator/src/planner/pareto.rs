//! What each point of accuracy costs: plans of which none is better in latency, energy and accuracy at once.

use super::instance::Instance;
use super::policy::{Policy, Weights};
use super::problem::Problem;
use super::set_model::SetModel;
use super::snapshot::{Snapshot, Terms};
use super::solution::{Effort, Solution};
use super::solve::{candidates, models, run, solution};

/// Bounds on accuracy lost, as shares of the largest that the policy allows or a candidate loses.
const LOSS_LEVELS: [f64; 6] = [0.0, 0.1, 0.25, 0.5, 0.75, 1.0];

/// Shares of latency in the sum of latency and energy, each divided by its least value.
const LATENCY_SHARES: [f64; 5] = [1.0, 0.8, 0.5, 0.2, 0.0];

/// The weight of what a share leaves out, so that among equals the frugal plan is taken.
const TIE_SHARE: f64 = 1e-4;

/// Plans of the Pareto front of latency, energy and accuracy lost, within the policy's bounds; fastest first.
///
/// The front is sampled: at each of six bounds on accuracy lost (epsilon-constraint method, Haimes et al. 1971), the
/// plans that are best for five weightings of latency and energy. Each is as good as `effort` proves; none of those
/// returned is beaten by another in all three terms. Empty where no plan exists.
pub fn pareto(snapshot: &Snapshot, policy: &Policy, effort: &Effort) -> Vec<Solution> {
    if snapshot.check().is_err() {
        return Vec::new();
    }
    let instance = Instance::new(snapshot);
    let Ok(candidates) = candidates(&instance, policy) else { return Vec::new() };
    let models = models(&instance, &candidates);
    let problem = Problem::new(&instance, policy);
    let most = most_loss(&problem, &models, &instance);
    let mut front: Vec<Solution> = Vec::new();
    for level in LOSS_LEVELS {
        let bounded = Problem { loss_max: problem.loss_max.min(level * most), ..problem.clone() };
        let price = |latency, energy| Problem {
            prices: Weights { latency, energy, accuracy_loss: 1e-9, period: 0.0 },
            ..bounded.clone()
        };
        let alone = |latency, energy| run(&instance, &price(latency, energy), &models, effort).record.best;
        let (Some(fastest), Some(frugal)) = (alone(1.0, TIE_SHARE), alone(TIE_SHARE, 1.0)) else { continue };
        let latency = fastest.terms.latency_seconds.max(f64::MIN_POSITIVE);
        let energy = frugal.terms.energy_joules.max(1e-12);
        for share in LATENCY_SHARES {
            let share = f64::clamp(share, TIE_SHARE, 1.0 - TIE_SHARE);
            let priced = price(share / latency, (1.0 - share) / energy);
            let outcome = run(&instance, &priced, &models, effort);
            if outcome.record.best.is_some() {
                front.push(solution(&instance, &priced, &models, outcome));
            }
        }
    }
    front.sort_by(|a, b| key(&a.terms).partial_cmp(&key(&b.terms)).unwrap_or(std::cmp::Ordering::Equal));
    front.dedup_by(|a, b| a.placement == b.placement);
    let beaten = |plan: &Solution| front.iter().any(|other| beats(&other.terms, &plan.terms));
    let kept: Vec<Solution> = front.iter().filter(|plan| !beaten(plan)).cloned().collect();
    kept
}

fn key(terms: &Terms) -> (f64, f64, f64) {
    (terms.latency_seconds, terms.accuracy_loss_points, terms.energy_joules)
}

/// Whether `one` is nowhere worse and somewhere better.
fn beats(one: &Terms, two: &Terms) -> bool {
    let (a, b) = (key(one), key(two));
    a.0 <= b.0 && a.1 <= b.1 && a.2 <= b.2 && a != b
}

fn most_loss(problem: &Problem, models: &[SetModel], instance: &Instance<'_>) -> f64 {
    if problem.loss_max.is_finite() {
        return problem.loss_max;
    }
    let sets = models.iter().map(|model| model.loss).fold(0.0, f64::max);
    let encodings = instance.losses.iter().flatten().copied().filter(|loss| loss.is_finite());
    sets + encodings.fold(0.0, f64::max)
}
