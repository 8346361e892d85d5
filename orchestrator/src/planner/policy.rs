//! What a person wants of a plan: what to make small, and what must hold.

use serde::{Deserialize, Serialize};
use weir_shared::plan::Encoding;

use super::snapshot::Terms;

/// Goals and bounds, changeable at run time. As TOML:
///
/// ```toml
/// # Either weights, each for its term divided by its reference ...
/// [weights]
/// latency = 1.0
/// energy = 0.1
/// [references]
/// latency_seconds = 1.0
/// # ... or one term alone: minimise = "energy"
/// encodings = ["f32", "f16"]
/// [bounds]
/// accuracy_loss_points = 1.0  # also where nothing is written; 100 for no bound
/// throughput = 4.0          # requests per second
/// offered_load = true       # the load that the snapshot states is a bound too
/// [pins]
/// on = ["S:layer2.0"]       # never switched off
/// off = ["F:layer1.1"]      # never computed
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Policy {
    goal: Goal,
    references: References,
    bounds: Bounds,
    encodings: Vec<Encoding>,
    pins: Pins,
}

/// One term of the objective.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Term {
    /// T.
    Latency,
    /// E.
    Energy,
    /// D.
    AccuracyLoss,
    /// P.
    Period,
}

/// What is made small.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Goal {
    /// The sum of all terms, each divided by its reference and times its weight.
    Weighted(Weights),
    /// One term; among equals the others decide, with [`TIE_WEIGHT`].
    Minimise(Term),
}

/// The weight of every other term where one alone is minimised, so that equals are told apart.
pub const TIE_WEIGHT: f64 = 1e-6;

/// How much each term counts; zero where it does not.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Weights {
    /// Of latency.
    pub latency: f64,
    /// Of energy.
    pub energy: f64,
    /// Of accuracy lost.
    pub accuracy_loss: f64,
    /// Of the period.
    pub period: f64,
}

/// What a weight of one is worth: a term equal to its reference adds its weight to the objective.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct References {
    /// Of latency.
    pub latency_seconds: f64,
    /// Of energy.
    pub energy_joules: f64,
    /// Of accuracy lost.
    pub accuracy_loss_points: f64,
    /// Of the period.
    pub period_seconds: f64,
}

/// What must hold. A bound that is not written keeps its default, as everything else in the file does.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Bounds {
    /// T may be at most this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_seconds: Option<f64>,
    /// E may be at most this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub energy_joules: Option<f64>,
    /// D may be at most this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accuracy_loss_points: Option<f64>,
    /// 1/P must be at least this, in requests per second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub throughput: Option<f64>,
    /// Whether 1/P must also be at least the load that the snapshot states.
    pub offered_load: bool,
}

/// Connections that a person has decided on, by name: `F:layer1.1`, `S:layer2.0`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Pins {
    /// Always computed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub on: Vec<String>,
    /// Never computed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub off: Vec<String>,
}

/// The policy as it is written.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Written {
    #[serde(skip_serializing_if = "Option::is_none")]
    minimise: Option<Term>,
    encodings: Vec<Encoding>,
    #[serde(skip_serializing_if = "Option::is_none")]
    weights: Option<Weights>,
    references: References,
    bounds: Bounds,
    pins: Pins,
}

/// Why a policy cannot be used.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PolicyError {
    /// The text is of another form.
    #[error("not a policy: {0}; weights or minimise, references, bounds, encodings and pins may be written")]
    Malformed(String),
    /// Two goals.
    #[error("both weights and minimise are given; write one of them")]
    TwoGoals,
    /// A number that no goal or bound can be.
    #[error("{name} is {value}, but it must be {expect}")]
    Number {
        /// Which.
        name: &'static str,
        /// As written.
        value: f64,
        /// What it must be.
        expect: &'static str,
    },
    /// Nothing is to be made small.
    #[error("every weight is zero; give at least one term a weight, or write minimise = \"latency\"")]
    NoGoal,
    /// Images and logits travel as f32, so it cannot be forbidden.
    #[error("encodings must contain \"f32\": images and logits are never rounded")]
    NoExact,
    /// Two decisions on one connection.
    #[error("{0:?} is pinned both on and off; keep one of them")]
    PinTwice(String),
}

impl Default for References {
    fn default() -> Self {
        Self { latency_seconds: 1.0, energy_joules: 1.0, accuracy_loss_points: 1.0, period_seconds: 1.0 }
    }
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            latency_seconds: None,
            energy_joules: None,
            // Accuracy is given up only as far as somebody has said; 100 lifts it.
            accuracy_loss_points: Some(1.0),
            throughput: None,
            offered_load: true,
        }
    }
}

impl Default for Written {
    fn default() -> Self {
        Self {
            minimise: None,
            encodings: Encoding::ALL.to_vec(),
            weights: None,
            references: References::default(),
            bounds: Bounds::default(),
            pins: Pins::default(),
        }
    }
}

/// The goal where none is written: mostly latency. A joule counts as much as a tenth of a second, and a point of
/// accuracy as much as a twentieth of one.
const DEFAULT_WEIGHTS: Weights = Weights { latency: 1.0, energy: 0.1, accuracy_loss: 0.05, period: 0.0 };

impl Default for Policy {
    /// Mostly latency, some energy, at most one point of accuracy lost, throughput at least the offered load.
    fn default() -> Self {
        Self {
            goal: Goal::Weighted(DEFAULT_WEIGHTS),
            references: References::default(),
            bounds: Bounds::default(),
            encodings: Encoding::ALL.to_vec(),
            pins: Pins::default(),
        }
    }
}

impl Policy {
    /// Reads TOML.
    ///
    /// # Errors
    /// Names what is wrong in it.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        let written: Written =
            toml::from_str(text).map_err(|error| PolicyError::Malformed(error.message().to_owned()))?;
        Self::try_from(written)
    }

    /// A policy of a goal and bounds, with every encoding.
    ///
    /// # Errors
    /// If a number makes no sense.
    pub fn new(goal: Goal, references: References, bounds: Bounds) -> Result<Self, PolicyError> {
        let (minimise, weights) = match goal {
            Goal::Weighted(weights) => (None, Some(weights)),
            Goal::Minimise(term) => (Some(term), None),
        };
        Self::try_from(Written { minimise, weights, references, bounds, ..Written::default() })
    }

    /// The same with other bounds.
    ///
    /// # Errors
    /// If a bound makes no sense.
    pub fn with_bounds(&self, bounds: Bounds) -> Result<Self, PolicyError> {
        Self::try_from(Written { bounds, ..Written::from(self.clone()) })
    }

    /// What is made small.
    pub const fn goal(&self) -> Goal {
        self.goal
    }

    /// What a weight is worth.
    pub const fn references(&self) -> References {
        self.references
    }

    /// What must hold.
    pub const fn bounds(&self) -> Bounds {
        self.bounds
    }

    /// Encodings that a plan may use, f32 among them.
    pub fn encodings(&self) -> &[Encoding] {
        &self.encodings
    }

    /// Connections that are decided.
    pub const fn pins(&self) -> &Pins {
        &self.pins
    }

    /// What one second, joule, point and second of period add to the objective.
    pub fn prices(&self) -> Weights {
        let weights = match self.goal {
            Goal::Weighted(weights) => weights,
            Goal::Minimise(term) => {
                let weight = |of| if of == term { 1.0 } else { TIE_WEIGHT };
                Weights {
                    latency: weight(Term::Latency),
                    energy: weight(Term::Energy),
                    accuracy_loss: weight(Term::AccuracyLoss),
                    period: weight(Term::Period),
                }
            }
        };
        Weights {
            latency: weights.latency / self.references.latency_seconds,
            energy: weights.energy / self.references.energy_joules,
            accuracy_loss: weights.accuracy_loss / self.references.accuracy_loss_points,
            period: weights.period / self.references.period_seconds,
        }
    }

    /// The objective's value.
    pub fn objective(&self, terms: &Terms) -> f64 {
        let prices = self.prices();
        prices.latency * terms.latency_seconds
            + prices.energy * terms.energy_joules
            + prices.accuracy_loss * terms.accuracy_loss_points
            + prices.period * terms.period_seconds
    }
}

impl TryFrom<Written> for Policy {
    type Error = PolicyError;

    fn try_from(written: Written) -> Result<Self, PolicyError> {
        let goal = match (written.minimise, written.weights) {
            (Some(_), Some(_)) => return Err(PolicyError::TwoGoals),
            (Some(term), None) => Goal::Minimise(term),
            (None, Some(weights)) => Goal::Weighted(weights),
            (None, None) => Goal::Weighted(DEFAULT_WEIGHTS),
        };
        if let Goal::Weighted(weights) = goal {
            check_weights(weights)?;
        }
        let references = written.references;
        positive("references.latency_seconds", references.latency_seconds)?;
        positive("references.energy_joules", references.energy_joules)?;
        positive("references.accuracy_loss_points", references.accuracy_loss_points)?;
        positive("references.period_seconds", references.period_seconds)?;
        let bounds = written.bounds;
        bounds.latency_seconds.map_or(Ok(()), |value| positive("bounds.latency_seconds", value))?;
        bounds.energy_joules.map_or(Ok(()), |value| positive("bounds.energy_joules", value))?;
        bounds.throughput.map_or(Ok(()), |value| positive("bounds.throughput", value))?;
        bounds
            .accuracy_loss_points
            .map_or(Ok(()), |value| not_negative("bounds.accuracy_loss_points", value))?;
        let mut encodings = written.encodings;
        encodings.sort_unstable();
        encodings.dedup();
        if !encodings.contains(&Encoding::F32) {
            return Err(PolicyError::NoExact);
        }
        if let Some(name) = written.pins.on.iter().find(|name| written.pins.off.contains(name)) {
            return Err(PolicyError::PinTwice(name.clone()));
        }
        Ok(Self { goal, references, bounds, encodings, pins: written.pins })
    }
}

fn check_weights(weights: Weights) -> Result<(), PolicyError> {
    not_negative("weights.latency", weights.latency)?;
    not_negative("weights.energy", weights.energy)?;
    not_negative("weights.accuracy_loss", weights.accuracy_loss)?;
    not_negative("weights.period", weights.period)?;
    let sum = weights.latency + weights.energy + weights.accuracy_loss + weights.period;
    if sum > 0.0 { Ok(()) } else { Err(PolicyError::NoGoal) }
}

fn positive(name: &'static str, value: f64) -> Result<(), PolicyError> {
    if value.is_finite() && value > 0.0 {
        return Ok(());
    }
    Err(PolicyError::Number { name, value, expect: "a number above zero" })
}

fn not_negative(name: &'static str, value: f64) -> Result<(), PolicyError> {
    if value.is_finite() && value >= 0.0 {
        return Ok(());
    }
    Err(PolicyError::Number { name, value, expect: "zero or a number above" })
}

/// No plan loses more: what stands in a file for no bound, where leaving it out would mean the default.
const ALL_POINTS: f64 = 100.0;

impl From<Policy> for Written {
    fn from(policy: Policy) -> Self {
        let (minimise, weights) = match policy.goal {
            Goal::Weighted(weights) => (None, Some(weights)),
            Goal::Minimise(term) => (Some(term), None),
        };
        Self {
            minimise,
            weights,
            references: policy.references,
            bounds: Bounds {
                accuracy_loss_points: policy.bounds.accuracy_loss_points.or(Some(ALL_POINTS)),
                ..policy.bounds
            },
            encodings: policy.encodings,
            pins: policy.pins,
        }
    }
}
