//! The planner under a policy, as the rules of re-planning ask it.

use weir_shared::plan::ActiveSet;

use super::question::{Judged, Model, Solved};
use super::rules::Rules;
use crate::checker::{check, check_placement};
use crate::planner::snapshot::{Placement, Snapshot, Terms};
use crate::planner::{
    Effort, Evaluation, Goal, Policy, Solution, Term, evaluate, least_overrun, relaxed, solve, solve_within,
};

/// The search is bounded by counting, so that the same snapshot gives the same plan; a proven per cent is enough where
/// a change needs several.
const EFFORT: Effort = Effort { nodes: 200_000, gap: 0.005 };

/// Where accuracy alone is made small, less than this many points is as good as nothing.
const FLOOR_POINTS: f64 = 0.5;

/// The planner under one policy.
#[derive(Debug, Clone)]
pub struct PlannerModel {
    policy: Policy,
}

/// Reads a policy file: the rules of re-planning, and the policy itself.
///
/// # Errors
/// Says what is wrong in it.
pub fn read(text: &str) -> Result<(Rules, PlannerModel), String> {
    let (rules, rest) = Rules::split(text).map_err(|error| weir_shared::chain(&error))?;
    let policy = Policy::parse(&rest.to_string()).map_err(|error| weir_shared::chain(&error))?;
    Ok((rules, PlannerModel { policy }))
}

impl Model for PlannerModel {
    fn solve(&self, snapshot: &Snapshot) -> Result<Solved, String> {
        // Why there is none takes as long to find out as several plans: it is asked only where nothing helps.
        match solve_within(snapshot, &self.policy, &EFFORT).map_err(|error| weir_shared::chain(&error))? {
            Some(solution) => self.solved(snapshot, (snapshot, &self.policy), solution, None),
            None => {
                let Ok(overrun) = least_overrun(snapshot, &self.policy, &EFFORT) else {
                    let why = solve(snapshot, &self.policy, &EFFORT).err();
                    return Err(why.map_or_else(String::new, |why| weir_shared::chain(&why)));
                };
                let unmet = format!("no plan meets every limit; {}", overrun.advice());
                self.solved(snapshot, (&overrun.snapshot, &overrun.policy), overrun.solution, Some(unmet))
            }
        }
    }

    fn judge(&self, snapshot: &Snapshot, placement: &Placement) -> Result<Judged, String> {
        let found = evaluate(snapshot, placement).map_err(|error| weir_shared::chain(&error))?;
        let excess = self.excess(snapshot, placement, &found);
        let objective = self.policy.objective(&found.terms);
        let tie = self.tie(&found.terms);
        Ok(Judged { placement: placement.clone(), terms: found.terms, objective, excess, tie })
    }

    fn check(&self, snapshot: &Snapshot, judged: &Judged) -> Result<(), String> {
        let limits = if judged.excess > 0.0 { relaxed(snapshot, &self.policy, judged.excess) } else { None };
        let (snapshot, policy) =
            limits.as_ref().map_or((snapshot, &self.policy), |(snapshot, policy)| (snapshot, policy));
        let checked = check_placement(snapshot, policy, &judged.placement);
        checked.map(drop).map_err(|violation| weir_shared::chain(&violation))
    }

    fn floor(&self) -> f64 {
        match self.policy.goal() {
            Goal::Minimise(Term::AccuracyLoss) => {
                let points = Terms {
                    latency_seconds: 0.0,
                    period_seconds: 0.0,
                    energy_joules: 0.0,
                    accuracy_loss_points: FLOOR_POINTS,
                };
                self.policy.objective(&points)
            }
            _ => 0.0,
        }
    }
}

impl PlannerModel {
    /// What is best, and what must hold.
    pub const fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Where accuracy alone is made small, most plans lose none, and what they cost otherwise tells them apart.
    fn tie(&self, terms: &Terms) -> Option<f64> {
        let prices = self.policy.prices();
        matches!(self.policy.goal(), Goal::Minimise(Term::AccuracyLoss)).then(|| {
            prices.latency * terms.latency_seconds
                + prices.energy * terms.energy_joules
                + prices.period * terms.period_seconds
        })
    }

    /// A solution after the checker has looked at it: code of its own, so that a mistake of the solver's reaches nobody.
    fn solved(
        &self,
        snapshot: &Snapshot,
        kept: (&Snapshot, &Policy),
        solution: Solution,
        unmet: Option<String>,
    ) -> Result<Solved, String> {
        check(kept.0, kept.1, &solution).map_err(|violation| {
            format!("the checker refuses the plan: {}", weir_shared::chain(&violation))
        })?;
        let others = solution.runners_up.into_iter().map(|other| other.placement);
        let judged = std::iter::once(solution.placement).chain(others);
        let found = judged.map(|placement| self.judge(snapshot, &placement)).collect::<Result<_, _>>()?;
        Ok(Solved { found, unmet })
    }

    /// Whether the policy's pins and encodings allow the placement. A pin that names nothing is the planner's to refuse.
    fn allows(&self, snapshot: &Snapshot, placement: &Placement) -> bool {
        let network = snapshot.network.network();
        let is_off = |name: &String| {
            let single = ActiveSet::parse(name, &network).ok().and_then(|set| set.off().next());
            single.map(|pinned| placement.active.off().any(|off| off == pinned))
        };
        let pins = self.policy.pins();
        pins.on.iter().all(|name| is_off(name) != Some(true))
            && pins.off.iter().all(|name| is_off(name) != Some(false))
            && placement.encodings.iter().all(|link| self.policy.encodings().contains(&link.encoding))
    }

    /// By what share the worst broken bound is broken.
    fn excess(&self, snapshot: &Snapshot, placement: &Placement, found: &Evaluation) -> f64 {
        let (bounds, terms) = (self.policy.bounds(), &found.terms);
        let over = |value: f64, bound: Option<f64>| match bound {
            // A bound of nothing is broken by all there is.
            Some(bound) if bound > 0.0 => value / bound - 1.0,
            Some(_) => value,
            None => 0.0,
        };
        let load = bounds.offered_load.then_some(snapshot.offered_load);
        let asked = bounds.throughput.into_iter().chain(load).fold(0.0, f64::max);
        let of_stages = found.stages.iter().flat_map(|stage| {
            let worker = snapshot.workers.iter().find(|worker| worker.name == stage.worker);
            let held = (stage.weight_bytes + stage.activation_bytes) as f64;
            let memory = worker.and_then(|worker| worker.memory_bytes).map(|bytes| bytes as f64);
            let power = worker.and_then(|worker| worker.power_budget_watts);
            [over(held, memory), over(stage.watts, power)]
        });
        let of_terms = [
            over(terms.latency_seconds, bounds.latency_seconds),
            over(terms.energy_joules, bounds.energy_joules),
            over(terms.accuracy_loss_points, bounds.accuracy_loss_points),
            terms.period_seconds * asked - 1.0,
        ];
        if !self.allows(snapshot, placement) {
            return 1.0;
        }
        // Rounding breaks no bound.
        let worst = of_terms.into_iter().chain(of_stages).fold(0.0, f64::max);
        if worst > 1e-6 { worst } else { 0.0 }
    }
}
