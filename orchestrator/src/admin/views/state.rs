//! Everything that the live page shows, as one small document.

use std::time::Instant;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use weir_shared::arch::{Block, LayerId, Shortcut};
use weir_shared::plan::{Connection, Plan};
use weir_shared::wire::control::LinkReport;

use super::{LinkDocument, LinksDocument, PlanDocument, WorkerDocument, WorkersDocument};
use crate::gateway::Admission;
use crate::planner::Pins;
use crate::planner::snapshot::Terms;
use crate::supervisor::{AccuracyStatus, AnswerRates, ReplanningState, Status};

/// `GET /api/v1/state`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct StateDocument {
    /// When this was so, in milliseconds since 1970.
    pub unix_ms: u64,
    /// `open`, `no_plan`, `holding` or `draining`.
    pub admission: String,
    /// Whether the plan adapts.
    pub replanning: ReplanningState,
    /// Why a better plan, or any, is not run; for people.
    pub blocked: Option<String>,
    /// The policy's ETag, as `GET /api/v1/policy` has it; null where plans do not adapt.
    pub policy_etag: Option<String>,
    /// The committed plan.
    pub plan: Option<PlanDocument>,
    /// Every worker that has been seen.
    pub workers: Vec<WorkerDocument>,
    /// Every link that is known.
    pub links: Vec<LinkDocument>,
    /// What is asked of the cluster.
    pub load: LoadDocument,
    /// How answers went in the last ten seconds; null where there was none.
    pub answers: Option<AnswerRates>,
    /// What the profile says of the answers; null without a profile or a plan.
    pub accuracy: Option<AccuracyDocument>,
    /// What the optimisation model states for the plan; null where it has not judged it.
    pub predicted: Option<PredictedDocument>,
    /// Connections that a person has decided on.
    pub pins: PinsDocument,
    /// The network, block by block.
    pub network: NetworkDocument,
    /// Who computes the stem.
    pub stem_worker: Option<String>,
    /// Who computes the head.
    pub head_worker: Option<String>,
}

/// What is asked of the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LoadDocument {
    /// Requests per second that are offered, as plans reckon.
    pub offered_per_second: f64,
    /// Requests that are in.
    pub in_flight: u64,
    /// Images in one request.
    pub batch: u16,
}

/// What the profile says of the answers.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AccuracyDocument {
    /// With everything active and f32, 0 to 1.
    pub full: f64,
    /// Of the running plan, 0 to 1; null where nobody knows.
    pub expected: Option<f64>,
    /// Points between the two.
    pub points_lost: Option<f64>,
    /// Whether survivors answer in a dead worker's place.
    pub degraded: bool,
}

/// What the optimisation model states.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PredictedDocument {
    /// From the gateway's first byte to the logits, one request in flight.
    pub latency_seconds: f64,
    /// For one request, idle power not included.
    pub energy_joules: f64,
    /// Points lost against everything active in f32.
    pub accuracy_loss_points: f64,
    /// The most requests per second.
    pub throughput_per_second: Option<f64>,
}

/// Connections that a person has decided on, by name, as in `F:layer2.1`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PinsDocument {
    /// Always computed.
    #[serde(default)]
    pub on: Vec<String>,
    /// Never computed.
    #[serde(default)]
    pub off: Vec<String>,
}

/// The network, block by block.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct NetworkDocument {
    /// Its name.
    pub arch: String,
    /// Residual blocks in order.
    pub blocks: Vec<BlockDocument>,
}

/// One residual block.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct BlockDocument {
    /// As in `layer1.0`.
    pub name: String,
    /// The residual branch: `on`, `off`, or `mandatory` where nobody knows what it would cost to drop it.
    pub residual: String,
    /// The shortcut, in the same words.
    pub shortcut: String,
    /// The shortcut's form: `identity`, `projection` or `pad`.
    pub kind: String,
    /// Who computes its layers, in order.
    pub workers: Vec<String>,
}

/// What a state is made of, besides the supervisor's.
#[derive(Debug)]
pub struct Surroundings<'a> {
    /// Whether requests are admitted.
    pub admission: Admission,
    /// Requests that are in.
    pub in_flight: usize,
    /// The gateway's own links.
    pub own_links: &'a [LinkReport],
    /// The policy's ETag.
    pub policy_etag: Option<String>,
    /// The calendar's time.
    pub unix_ms: u64,
    /// The time of the readings.
    pub now: Instant,
}

impl StateDocument {
    /// The document of a moment.
    pub fn new(status: &Status, around: Surroundings<'_>) -> Self {
        let plan = status.plan.as_deref();
        let layers = status.network.network().layer_count();
        let of_layer = |layer: u16| plan.and_then(|plan| worker_of(plan, LayerId(layer)));
        Self {
            unix_ms: around.unix_ms,
            admission: admission(around.admission).to_owned(),
            replanning: status.replanning,
            blocked: status.blocked.clone(),
            policy_etag: around.policy_etag,
            plan: plan.map(|plan| PlanDocument::new(plan, status.admitting)),
            workers: WorkersDocument::new(status, around.now).workers,
            links: LinksDocument::new(status, around.own_links, around.now).links,
            load: LoadDocument {
                offered_per_second: status.offered_per_second,
                in_flight: around.in_flight as u64,
                batch: status.batch,
            },
            answers: status.answers,
            accuracy: status.accuracy.map(Into::into),
            predicted: status.predicted.map(Into::into),
            pins: status.pins.clone().into(),
            network: NetworkDocument::new(status),
            stem_worker: of_layer(0),
            head_worker: of_layer(layers.saturating_sub(1)),
        }
    }
}

impl NetworkDocument {
    fn new(status: &Status) -> Self {
        let network = status.network.network();
        let plan = status.plan.as_deref();
        let state = |connection: Connection| {
            let off = plan.is_some_and(|plan| plan.draft().active.off().any(|off| off == connection));
            match (off, status.droppable.contains(&connection)) {
                (true, _) => "off",
                (false, true) => "on",
                (false, false) => "mandatory",
            }
        };
        let block = |block: &Block| {
            let layers = block.first_layer.0..=block.join_layer().0;
            let mut workers: Vec<String> =
                layers.filter_map(|layer| worker_of(plan?, LayerId(layer))).collect();
            workers.dedup();
            BlockDocument {
                name: block.name.clone(),
                residual: state(Connection::Branch(block.id)).to_owned(),
                shortcut: state(Connection::Shortcut(block.id)).to_owned(),
                kind: match block.shortcut {
                    Shortcut::Identity => "identity",
                    Shortcut::Projection(_) => "projection",
                    Shortcut::ZeroPad { .. } => "pad",
                }
                .to_owned(),
                workers,
            }
        };
        Self { arch: network.arch.to_string(), blocks: network.blocks.iter().map(block).collect() }
    }
}

impl From<Pins> for PinsDocument {
    fn from(Pins { on, off }: Pins) -> Self {
        Self { on, off }
    }
}

impl From<PinsDocument> for Pins {
    fn from(PinsDocument { on, off }: PinsDocument) -> Self {
        Self { on, off }
    }
}

impl From<AccuracyStatus> for AccuracyDocument {
    fn from(status: AccuracyStatus) -> Self {
        let AccuracyStatus { full, expected, points_lost, degraded } = status;
        Self { full, expected, points_lost, degraded }
    }
}

impl From<Terms> for PredictedDocument {
    fn from(terms: Terms) -> Self {
        Self {
            latency_seconds: terms.latency_seconds,
            energy_joules: terms.energy_joules,
            accuracy_loss_points: terms.accuracy_loss_points,
            throughput_per_second: (terms.period_seconds > 0.0).then(|| 1.0 / terms.period_seconds),
        }
    }
}

const fn admission(admission: Admission) -> &'static str {
    match admission {
        Admission::Open => "open",
        Admission::NoPlan => "no_plan",
        Admission::Holding => "holding",
        Admission::Draining => "draining",
    }
}

fn worker_of(plan: &Plan, layer: LayerId) -> Option<String> {
    let stages = &plan.draft().stages;
    let stage = stages.iter().find(|stage| (stage.layers.start..stage.layers.end).contains(&layer.0))?;
    Some(stage.worker.to_string())
}
