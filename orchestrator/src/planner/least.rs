//! Where no plan meets every limit: the one that overruns its limits least.
//!
//! A cluster has to go on answering when a worker's death or a smaller budget leaves no plan within the policy. Then
//! every bound of the policy and every power budget gives way by the same share, and the least such share is looked for
//! at which a plan is possible: the min-max form of goal attainment (Gembicki and Haimes 1975). Memory and pins never
//! give way: what does not fit does not run.

use super::instance::Instance;
use super::policy::{Bounds, Policy};
use super::problem::{Problem, throughput};
use super::set_model::SetModel;
use super::snapshot::Snapshot;
use super::solution::{Effort, Infeasible, Solution};
use super::solve::solve_or;

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
}

/// The best plan within limits that give way by the least share, to within a step of [`SHARES`] halved twice.
///
/// For a snapshot on which [`solve`](super::solve()) answers [`Infeasible::Limits`].
///
/// # Errors
/// If no plan is possible however far limits give way, or the snapshot or the pins make no sense.
pub fn least_overrun(snapshot: &Snapshot, policy: &Policy, effort: &Effort) -> Result<Overrun, Infeasible> {
    let attempt = |share: f64| -> Result<Option<Overrun>, Infeasible> {
        let Some((snapshot, policy)) = relaxed(snapshot, policy, share) else { return Ok(None) };
        match solve_or(&snapshot, &policy, effort, unexplained) {
            Ok(solution) => Ok(Some(Overrun { share, snapshot, policy, solution })),
            Err(Infeasible::Limits(_) | Infeasible::Unfinished(_)) => Ok(None),
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
            if !found.share.is_finite() {
                break;
            }
            let middle = f64::midpoint(too_small, found.share);
            match attempt(middle)? {
                Some(closer) => found = closer,
                None => too_small = middle,
            }
        }
        return Ok(found);
    }
    Err(Infeasible::Limits(Vec::new()))
}

/// What to relax is asked once, for the limits as they are.
fn unexplained(_: &Instance<'_>, _: &Problem, _: &[SetModel]) -> Infeasible {
    Infeasible::Limits(Vec::new())
}

/// Snapshot and policy with limits that are wider by `share`; none if a bound would be no number.
fn relaxed(snapshot: &Snapshot, policy: &Policy, share: f64) -> Option<(Snapshot, Policy)> {
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
