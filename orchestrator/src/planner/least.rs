//! Where no plan meets every limit: the one that overruns its limits least.
//!
//! A cluster has to go on answering when a worker's death or a smaller budget leaves no plan within the policy. Then
//! every bound of the policy and every power budget gives way by the same share, and the least such share is looked for
//! at which a plan is possible: the min-max form of goal attainment (Gembicki and Haimes 1975). Memory and pins never
//! give way: what does not fit does not run.

use super::evaluate::evaluate;
use super::policy::{Bounds, Policy};
use super::problem::{throughput, within};
use super::snapshot::Snapshot;
use super::solution::{Effort, Infeasible, Limit, Relaxation, Solution};
use super::solve::solve_within;

/// Shares that are tried, from the smallest; the last lifts every limit that can give way.
const SHARES: [f64; 7] = [0.05, 0.15, 0.4, 1.0, 3.0, 10.0, f64::INFINITY];

/// How often the distance between the last share without a plan and the first with one is halved.
const HALVINGS: u32 = 2;

/// A plan, and the limits that it keeps.
#[derive(Debug, Clone)]
pub struct Overrun {
    /// By what share limits gave way, above zero; infinite where they were lifted.
    pub share: f64,
    /// The snapshot with the power budgets that the plan keeps.
    pub snapshot: Snapshot,
    /// The policy with the bounds that the plan keeps.
    pub policy: Policy,
    /// The best plan within those.
    pub solution: Solution,
    /// The limits that the plan overruns, and what it needs of each: with all of these it would be within the policy.
    pub relaxations: Vec<Relaxation>,
}

impl Overrun {
    /// What to relax so that the plan is within the policy, for people.
    pub fn advice(&self) -> String {
        let each: Vec<String> = self.relaxations.iter().map(ToString::to_string).collect();
        format!("to have the plan that overruns limits least, {}", each.join(" and "))
    }
}

/// Share, limits that are kept, and the best plan within them.
type Found = (f64, Snapshot, Policy, Solution);

/// The best plan within limits that give way by the least share, to within a step of [`SHARES`] halved twice.
///
/// For a snapshot on which [`solve`](super::solve()) finds none.
///
/// # Errors
/// If no plan is possible however far limits give way, or the snapshot or the pins make no sense.
pub fn least_overrun(snapshot: &Snapshot, policy: &Policy, effort: &Effort) -> Result<Overrun, Infeasible> {
    let attempt = |share: f64| -> Result<Option<Found>, Infeasible> {
        let Some((snapshot, policy)) = relaxed(snapshot, policy, share) else { return Ok(None) };
        match solve_within(&snapshot, &policy, effort) {
            Ok(solution) => Ok(solution.map(|solution| (share, snapshot, policy, solution))),
            Err(Infeasible::Unfinished(_)) => Ok(None),
            Err(other) => Err(other),
        }
    };
    let mut too_small = 0.0;
    for share in SHARES {
        let Some(mut found) = attempt(share)? else {
            too_small = share;
            continue;
        };
        for _ in 0..HALVINGS {
            if !found.0.is_finite() {
                break;
            }
            let middle = f64::midpoint(too_small, found.0);
            match attempt(middle)? {
                Some(closer) => found = closer,
                None => too_small = middle,
            }
        }
        let (share, snapshot_kept, policy_kept, solution) = found;
        let relaxations = overruns(snapshot, policy, &solution);
        return Ok(Overrun { share, snapshot: snapshot_kept, policy: policy_kept, solution, relaxations });
    }
    Err(Infeasible::Limits(Vec::new()))
}

/// Every limit that the plan overruns.
fn overruns(snapshot: &Snapshot, policy: &Policy, solution: &Solution) -> Vec<Relaxation> {
    let (bounds, terms) = (policy.bounds(), &solution.terms);
    let asked = throughput(policy, snapshot.offered_load);
    let of_policy = [
        (Limit::Latency, bounds.latency_seconds, terms.latency_seconds),
        (Limit::Energy, bounds.energy_joules, terms.energy_joules),
        (Limit::AccuracyLoss, bounds.accuracy_loss_points, terms.accuracy_loss_points),
    ];
    let over = |(limit, bound, value): (Limit, Option<f64>, f64)| {
        let asked = bound.filter(|bound| !within(value, *bound))?;
        Some(Relaxation { limit, asked, possible: value })
    };
    let mut found: Vec<Relaxation> = of_policy.into_iter().filter_map(over).collect();
    if !within(terms.period_seconds * asked, 1.0) {
        let possible = 1.0 / terms.period_seconds;
        found.push(Relaxation { limit: Limit::Throughput, asked, possible });
    }
    let evaluation = evaluate(snapshot, &solution.placement);
    for stage in evaluation.iter().flat_map(|evaluation| &evaluation.stages) {
        let worker = snapshot.workers.iter().find(|worker| worker.name == stage.worker);
        let budget = worker.and_then(|worker| worker.power_budget_watts);
        found.extend(over((Limit::Power(stage.worker.clone()), budget, stage.watts)));
    }
    found
}

/// Snapshot and policy with limits that are wider by `share`; none if a bound would be no number.
pub(crate) fn relaxed(snapshot: &Snapshot, policy: &Policy, share: f64) -> Option<(Snapshot, Policy)> {
    let wider = |bound: Option<f64>| bound.filter(|_| share.is_finite()).map(|bound| bound * (1.0 + share));
    let mut snapshot = snapshot.clone();
    for worker in &mut snapshot.workers {
        worker.power_budget_watts = wider(worker.power_budget_watts);
    }
    let bounds = policy.bounds();
    let asked = throughput(policy, snapshot.offered_load) / (1.0 + share);
    let policy = policy.with_bounds(Bounds {
        latency_seconds: wider(bounds.latency_seconds),
        energy_joules: wider(bounds.energy_joules),
        // A bound of nothing is broken by all there is.
        accuracy_loss_points: if bounds.accuracy_loss_points == Some(0.0) && share.is_finite() {
            Some(share)
        } else {
            wider(bounds.accuracy_loss_points)
        },
        throughput: Some(asked).filter(|asked| *asked > 0.0),
        offered_load: false,
    });
    Some((snapshot, policy.ok()?))
}
