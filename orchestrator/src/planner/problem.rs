//! Goal and limits as numbers.

use super::instance::{Instance, index_of};
use super::policy::{Policy, Weights};
use super::snapshot::Terms;
use super::solution::Limit;

/// Values within this share of a limit respect it: sums in another order differ by rounding.
pub(crate) const ROUNDING: f64 = 1e-9;

/// What one search minimises, and within what.
#[derive(Debug, Clone)]
pub(super) struct Problem {
    pub(super) prices: Weights,
    pub(super) latency_max: f64,
    pub(super) energy_max: f64,
    pub(super) loss_max: f64,
    pub(super) period_max: f64,
    pub(super) encodings: [bool; 3],
    /// Whether memory limits count; they do unless somebody asks what they cost.
    pub(super) memory: bool,
    /// The same of power budgets.
    pub(super) power: bool,
}

impl Problem {
    pub(super) fn new(instance: &Instance<'_>, policy: &Policy) -> Self {
        let bounds = policy.bounds();
        let mut encodings = [false; 3];
        policy.encodings().iter().for_each(|&encoding| encodings[index_of(encoding)] = true);
        Self {
            prices: policy.prices(),
            latency_max: bounds.latency_seconds.unwrap_or(f64::INFINITY),
            energy_max: bounds.energy_joules.unwrap_or(f64::INFINITY),
            loss_max: bounds.accuracy_loss_points.unwrap_or(f64::INFINITY),
            period_max: 1.0 / throughput(policy, instance.snapshot.offered_load),
            encodings,
            memory: true,
            power: true,
        }
    }

    pub(super) fn objective(&self, terms: &Terms) -> f64 {
        self.prices.latency * terms.latency_seconds
            + self.prices.energy * terms.energy_joules
            + self.prices.accuracy_loss * terms.accuracy_loss_points
            + self.prices.period * terms.period_seconds
    }

    /// The same without one limit.
    pub(super) fn without(&self, limit: &Limit) -> Self {
        let mut problem = self.clone();
        match limit {
            Limit::Latency => problem.latency_max = f64::INFINITY,
            Limit::Energy => problem.energy_max = f64::INFINITY,
            Limit::AccuracyLoss => problem.loss_max = f64::INFINITY,
            Limit::Throughput => problem.period_max = f64::INFINITY,
            Limit::Memory(_) => problem.memory = false,
            Limit::Power(_) => problem.power = false,
        }
        problem
    }
}

/// Requests per second that a plan must be able to answer; zero where nothing is asked.
pub(crate) fn throughput(policy: &Policy, offered_load: f64) -> f64 {
    let bounds = policy.bounds();
    let offered = if bounds.offered_load { offered_load } else { 0.0 };
    bounds.throughput.unwrap_or(0.0).max(offered)
}

/// Whether `value` respects `limit`.
pub(crate) fn within(value: f64, limit: f64) -> bool {
    value <= limit * (1.0 + ROUNDING)
}
