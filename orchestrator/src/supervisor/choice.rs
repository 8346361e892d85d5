//! What to compute where without the optimisation model: spread evenly, or as a person wrote it. Pure.

use std::collections::BTreeMap;
use std::time::Instant;

use weir_shared::arch::{LayerId, NetworkSpec};
use weir_shared::ids::WorkerId;
use weir_shared::plan::plan::BatchNorm;
use weir_shared::plan::{ActiveSet, Encoding};

use crate::cluster::{Cluster, Member};
use crate::planner::snapshot::{LinkEncoding, Placement};
use crate::planner::{PlanFile, PlanFileError, balanced};

/// Where plans come from.
#[derive(Debug, Clone)]
pub enum PlanSource {
    /// Balanced over everybody who is there.
    Balanced,
    /// As a person wrote it.
    File(PlanFile),
}

/// What a plan should hold, before numbers and routes.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    /// Active connections.
    pub active: ActiveSet,
    /// Cut points.
    pub cuts: Vec<LayerId>,
    /// One worker for each stage.
    pub workers: Vec<Member>,
    /// What workers do with batch normalisation.
    pub batch_norm: BatchNorm,
    /// Encodings that are not f32.
    pub encodings: BTreeMap<(String, String), Encoding>,
}

impl Choice {
    /// The same, as planners name it.
    pub fn placement(&self) -> Placement {
        let peer =
            |name: &str| self.workers.iter().map(|m| m.worker.peer()).find(|peer| peer.short() == name);
        let encodings = self.encodings.iter().filter_map(|((from, to), &encoding)| {
            Some(LinkEncoding { from: peer(from)?, to: peer(to)?, encoding })
        });
        Placement {
            active: self.active.clone(),
            cuts: self.cuts.clone(),
            workers: self.workers.iter().map(|member| member.worker.clone()).collect(),
            encodings: encodings.collect(),
        }
    }
}

impl PlanSource {
    /// The choice for the workers that are there, or nothing while somebody is missing.
    ///
    /// # Errors
    /// If the file does not fit the network, which [`PlanFile::parse`] has ruled out.
    pub fn choose(
        &self,
        network: NetworkSpec,
        cluster: &Cluster,
        now: Instant,
    ) -> Result<Option<Choice>, PlanFileError> {
        let network = network.network();
        match self {
            Self::Balanced => {
                let members = cluster.members(now);
                if members.is_empty() {
                    return Ok(None);
                }
                let active = ActiveSet::full();
                let cuts = balanced(&network, &active, members.len());
                let workers = members.into_iter().take(cuts.len() + 1).collect();
                let batch_norm = BatchNorm::default();
                Ok(Some(Choice { active, cuts, workers, batch_norm, encodings: BTreeMap::new() }))
            }
            Self::File(file) => {
                let member = |worker: &WorkerId| cluster.heard(worker);
                let Some(workers) = file.workers.iter().map(member).collect() else { return Ok(None) };
                Ok(Some(Choice {
                    active: file.active(&network)?,
                    cuts: file.cuts(&network)?,
                    workers,
                    batch_norm: file.batch_norm,
                    encodings: file.encodings(),
                }))
            }
        }
    }
}
