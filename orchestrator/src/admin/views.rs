//! What the admin API answers, as documents.

use std::net::SocketAddr;
use std::time::Instant;

use serde::{Deserialize, Serialize};
use weir_shared::ids::PeerName;
use weir_shared::plan::{Encoding, Plan};
use weir_shared::wire::control::LinkReport;

use crate::cluster::{Cluster, WorkerView};
use crate::replan::trace::{Entry, Header};
use crate::supervisor::EventRecord;

/// `GET /api/v1/plan`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LayersDocument {
    /// The first.
    pub start: u16,
    /// Behind the last.
    pub end: u16,
}

/// How one peer reaches another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RouteDocument {
    /// Who sends.
    pub from: String,
    /// Who receives.
    pub to: String,
    /// Where the sender dials.
    pub address: SocketAddr,
    /// How activations are written.
    pub encoding: Encoding,
}

/// `GET /api/v1/workers`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WorkersDocument {
    /// Every worker that has been seen, by name.
    pub workers: Vec<WorkerDocument>,
}

/// One worker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WorkerDocument {
    /// Its name.
    pub name: String,
    /// `connected` or `lost`.
    pub state: String,
    /// Where other peers reach it.
    pub address: SocketAddr,
    /// Compute threads.
    pub threads: u16,
    /// Its release.
    pub release: String,
    /// Why plans are made without it for now.
    pub left_out: Option<String>,
    /// Its stage in the committed plan.
    pub stage: Option<u16>,
    /// Stage executions since its start.
    pub executions: u64,
    /// Seconds spent in them.
    pub compute_seconds: f64,
    /// Requests that wait for its compute thread.
    pub queue_length: u32,
    /// Bytes of weights held.
    pub weight_bytes: u64,
    /// Resident memory of its process.
    pub resident_bytes: u64,
    /// Age of these readings; absent before the first.
    pub report_age_seconds: Option<f64>,
}

/// `GET /api/v1/links`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LinksDocument {
    /// Every open link, by sender and receiver.
    pub links: Vec<LinkDocument>,
}

/// One directed link, as its sender sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LinkDocument {
    /// Who sends.
    pub from: String,
    /// Who receives.
    pub to: String,
    /// Whether it is connected.
    pub up: bool,
    /// Smoothed round-trip time.
    pub rtt_seconds: f64,
    /// Activations sent.
    pub activations: u64,
    /// Bytes of activations sent.
    pub sent_bytes: u64,
    /// Packets sent.
    pub packets_sent: u64,
    /// Packets lost.
    pub packets_lost: u64,
}

/// `GET /api/v1/events`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EventsDocument {
    /// The latest decisions, the oldest first.
    pub events: Vec<EventRecord>,
}

/// `GET /api/v1/trace?after=N`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TraceDocument {
    /// What a trace file begins with.
    pub header: Header,
    /// Entries behind `after`.
    pub entries: Vec<NumberedEntry>,
}

/// An entry of a trace.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NumberedEntry {
    /// Rises by one from entry to entry.
    pub number: u64,
    /// The line of the trace file.
    pub entry: Entry,
}

impl From<(u64, Entry)> for NumberedEntry {
    fn from((number, entry): (u64, Entry)) -> Self {
        Self { number, entry }
    }
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

impl WorkersDocument {
    /// The document of a cluster under a plan.
    pub fn new(cluster: &Cluster, plan: Option<&Plan>, now: Instant) -> Self {
        let worker = |(worker, view): (&weir_shared::ids::WorkerId, &WorkerView)| {
            let report = view.report().map(|(report, _)| report.clone()).unwrap_or_default();
            WorkerDocument {
                name: worker.to_string(),
                state: if view.is_connected() { "connected" } else { "lost" }.to_owned(),
                address: view.hello.data_address,
                threads: view.hello.threads,
                release: view.hello.release.to_string(),
                left_out: view
                    .blame
                    .as_ref()
                    .filter(|blame| blame.until > now)
                    .map(|blame| blame.reason.clone()),
                stage: plan.and_then(|plan| plan.stage_of(worker)).map(|stage| stage.0),
                executions: report.executions,
                compute_seconds: report.compute_seconds,
                queue_length: report.queue_length,
                weight_bytes: report.weight_bytes,
                resident_bytes: report.resident_bytes,
                report_age_seconds: view.report().map(|(_, at)| (now - *at).as_secs_f64()),
            }
        };
        Self { workers: cluster.workers().map(worker).collect() }
    }
}

impl LinkDocument {
    /// The document of one link.
    pub fn new(from: &PeerName, link: &LinkReport) -> Self {
        Self {
            from: from.short().to_owned(),
            to: link.to.short().to_owned(),
            up: link.up,
            rtt_seconds: link.rtt_seconds(),
            activations: link.activations,
            sent_bytes: link.sent_bytes,
            packets_sent: link.packets_sent,
            packets_lost: link.packets_lost,
        }
    }
}
