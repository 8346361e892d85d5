//! What a planner answers: the plan, its terms, its bound, what binds it, and the next best; or what to relax.

use std::fmt;

use serde::{Deserialize, Serialize};
use weir_shared::ids::WorkerId;

use super::snapshot::{Placement, Terms};

/// How long to search. Never by the clock: the same input gives the same plan on any machine.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Effort {
    /// Partial plans that may be looked at.
    pub nodes: u64,
    /// Stop when the best plan is proven to be within this share of the optimum.
    pub gap: f64,
}

impl Default for Effort {
    /// Within one hundredth of a per cent of the optimum; two million partial plans are about a second or two.
    fn default() -> Self {
        Self { nodes: 2_000_000, gap: 1e-4 }
    }
}

impl Effort {
    /// Until the optimum is proven, up to rounding.
    pub const fn exact() -> Self {
        Self { nodes: u64::MAX, gap: 0.0 }
    }
}

/// A plan with its proof.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Solution {
    /// What to do.
    pub placement: Placement,
    /// What it costs.
    pub terms: Terms,
    /// The policy's value of the terms.
    pub objective: f64,
    /// No plan has a smaller value.
    pub bound: f64,
    /// `(objective - bound) / objective`; zero where the plan is proven to be the best.
    pub gap: f64,
    /// Limits that this plan uses up to within [`BINDING`] of their value.
    #[schema(value_type = Vec<serde_json::Value>)]
    pub binding: Vec<Limit>,
    /// The best other plans that were met: of other active sets, or on other workers.
    pub runners_up: Vec<Alternative>,
    /// Partial plans that were looked at.
    pub nodes: u64,
}

/// A limit counts as binding when less than this share of it is left.
pub const BINDING: f64 = 0.02;

/// Another plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Alternative {
    /// What it would do.
    pub placement: Placement,
    /// What it would cost.
    pub terms: Terms,
    /// The policy's value of the terms.
    pub objective: f64,
}

/// Something that plans must respect.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// The policy's bound on latency.
    Latency,
    /// The policy's bound on energy.
    Energy,
    /// The policy's bound on accuracy lost.
    AccuracyLoss,
    /// The policy's bound on throughput, or the offered load.
    Throughput,
    /// A worker's memory.
    Memory(WorkerId),
    /// A worker's power budget.
    Power(WorkerId),
}

/// One limit that would make a plan possible, were it relaxed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Relaxation {
    /// Which; of memory and power, the one that lacks most.
    pub limit: Limit,
    /// What is asked: seconds, joules, points, requests per second, bytes or watts.
    pub asked: f64,
    /// The nearest value for which a plan was found with every other limit in place.
    pub possible: f64,
}

/// Why there is no plan.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Infeasible {
    /// The snapshot cannot be planned on.
    #[error("the snapshot cannot be planned on: {0}")]
    Snapshot(String),
    /// A pin names no connection of the network.
    #[error(
        "the pin {0:?} names no connection; write F:<block> for a residual branch or S:<block> for a shortcut"
    )]
    Pin(String),
    /// No candidate agrees with the pins.
    #[error("no active set of the accuracy profile agrees with the pins; take one away")]
    Pins,
    /// The links lead nowhere.
    #[error("no chain of links leads from the gateway over workers and back; check `weir links`")]
    NoPath,
    /// Limits leave nothing, and each of these alone would help.
    #[error("no plan meets every limit; {}", advice(.0))]
    Limits(Vec<Relaxation>),
    /// The search ended before a plan was found or excluded.
    #[error("no plan was found among {0} partial ones; allow more effort")]
    Unfinished(u64),
}

fn advice(relaxations: &[Relaxation]) -> String {
    if relaxations.is_empty() {
        return "relaxing any one alone does not help".to_owned();
    }
    let each = relaxations.iter().map(ToString::to_string).collect::<Vec<_>>();
    format!("any one of these would do: {}", each.join("; or "))
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Latency => f.write_str("latency"),
            Self::Energy => f.write_str("energy"),
            Self::AccuracyLoss => f.write_str("accuracy loss"),
            Self::Throughput => f.write_str("throughput"),
            Self::Memory(worker) => write!(f, "memory of {worker}"),
            Self::Power(worker) => write!(f, "power of {worker}"),
        }
    }
}

impl fmt::Display for Relaxation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { limit, asked, possible } = self;
        match limit {
            Limit::Latency => write!(f, "allow {possible:.4} s of latency instead of {asked:.4} s"),
            Limit::Energy => write!(f, "allow {possible:.4} J for a request instead of {asked:.4} J"),
            Limit::AccuracyLoss => {
                write!(f, "allow {possible:.3} points of accuracy loss instead of {asked:.3}")
            }
            Limit::Throughput => {
                write!(f, "ask for {possible:.4} requests per second instead of {asked:.4}")
            }
            Limit::Memory(worker) => {
                write!(f, "give {worker} {possible:.0} bytes of memory instead of {asked:.0}")
            }
            Limit::Power(worker) => write!(f, "allow {worker} {possible:.3} W instead of {asked:.3} W"),
        }
    }
}
