//! Chooses partition, placement, active set and encodings. Pure and deterministic: the same input gives the same plan.
//!
//! [`solve`] is the optimisation model's exact solver, [`evaluate`] prices any placement, [`pareto`] shows what each point
//! of accuracy costs; `docs/planner.md` has the equations. [`balanced`] serves while nothing is measured yet, and
//! [`PlanFile`] is what a person wrote.

mod balanced;
mod bound;
mod draft;
mod evaluate;
mod file;
mod instance;
mod label;
mod lagrange;
mod least;
mod limits;
mod memory;
mod pareto;
mod policy;
pub(crate) mod problem;
mod search;
mod set_model;
pub mod snapshot;
mod solution;
mod solve;
mod validate;
mod work;

pub use balanced::balanced;
pub use draft::{Draft, DraftError, LinkMap, LinkMapError};
pub use evaluate::{Evaluation, LinkCost, StageCost, Unusable, evaluate};
pub use file::{PlanFile, PlanFileError};
pub(crate) use least::relaxed;
pub use least::{Overrun, least_overrun};
pub use pareto::pareto;
pub use policy::{Bounds, Goal, Pins, Policy, PolicyError, References, Term, Weights};
pub use solution::{Alternative, BINDING, Effort, Infeasible, Limit, Relaxation, Solution};
pub use solve::{solve, solve_within};
pub use validate::{SnapshotError, WORKERS_MAX};

#[cfg(test)]
pub(crate) mod tests;
