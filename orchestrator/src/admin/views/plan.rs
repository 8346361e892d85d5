//! A plan, as a document.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use weir_shared::plan::{Encoding, Plan};

/// `GET /api/v1/plan`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PlanDocument {
    /// Incarnation of the orchestrator that made it.
    pub term: u64,
    /// Its generation.
    pub epoch: u64,
    /// SHA-256 of everything in it.
    pub hash: String,
    /// The network.
    pub network: String,
    /// Connections that are off, as `F:layer2.1,S:layer1.0`; empty when all are active.
    pub active_off: String,
    /// `folded` or `separate`.
    #[schema(value_type = String)]
    pub batch_norm: weir_shared::plan::plan::BatchNorm,
    /// The most samples in one request.
    pub max_batch: u16,
    /// Whether requests are admitted on it; not while it lacks a worker.
    pub admitting: bool,
    /// Stages in order.
    pub stages: Vec<StageDocument>,
    /// Links that the plan uses.
    pub routes: Vec<RouteDocument>,
}

/// One stage of a plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct StageDocument {
    /// Position.
    pub index: u16,
    /// Who computes it.
    pub worker: String,
    /// Its layers.
    pub layers: LayersDocument,
    /// Name of its first layer.
    pub first: String,
    /// Name of its last layer.
    pub last: String,
    /// Multiply-accumulate operations for one sample, without what is skipped.
    pub macs: u64,
    /// Bytes of checkpoint tensors of its layers.
    pub weight_bytes: u64,
    /// Whether all its layers are skipped, so that it takes no part.
    pub bypassed: bool,
}

/// A range of layers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LayersDocument {
    /// The first.
    pub start: u16,
    /// Behind the last.
    pub end: u16,
}

/// How one peer reaches another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RouteDocument {
    /// Who sends.
    pub from: String,
    /// Who receives.
    pub to: String,
    /// Where the sender dials.
    #[schema(value_type = String)]
    pub address: SocketAddr,
    /// How activations are written.
    #[schema(value_type = String)]
    pub encoding: Encoding,
}

impl PlanDocument {
    /// The document of a plan, and whether requests are `admitting` on it.
    pub fn new(plan: &Plan, admitting: bool) -> Self {
        let draft = plan.draft();
        let network = draft.network.network();
        let stages = draft.stages.iter().zip(plan.programs()).zip(0u16..);
        let stage = |((assignment, program), index): ((&weir_shared::plan::StageAssignment, _), u16)| {
            let program: &weir_shared::plan::StageProgram = program;
            let range = usize::from(assignment.layers.start)..usize::from(assignment.layers.end);
            let layers = &network.layers()[range];
            let computed =
                layers.iter().filter(|layer| program.steps.iter().any(|step| step.layer == layer.id));
            let name = |layer: Option<&weir_shared::arch::Layer>| {
                layer.map_or_else(String::new, |layer| network.layer_name(layer.kind))
            };
            StageDocument {
                index,
                worker: assignment.worker.to_string(),
                layers: LayersDocument { start: assignment.layers.start, end: assignment.layers.end },
                first: name(layers.first()),
                last: name(layers.last()),
                macs: computed.map(|layer| layer.macs).sum(),
                weight_bytes: layers.iter().map(|layer| layer.weight_bytes).sum(),
                bypassed: program.is_bypassed(),
            }
        };
        let route = |route: &weir_shared::plan::Route| RouteDocument {
            from: route.from.short().to_owned(),
            to: route.to.short().to_owned(),
            address: route.address,
            encoding: route.encoding,
        };
        Self {
            term: draft.id.term.0,
            epoch: draft.id.epoch.0,
            hash: plan.hash().0.to_string(),
            network: draft.network.arch().to_string(),
            active_off: draft.active.describe(&network),
            batch_norm: draft.batch_norm,
            max_batch: draft.max_batch,
            admitting,
            stages: stages.map(stage).collect(),
            routes: draft.routes.iter().map(route).collect(),
        }
    }
}
