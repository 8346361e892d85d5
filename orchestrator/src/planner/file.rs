//! A plan that a person wrote: cuts, workers, and what departs from the defaults.

use std::collections::BTreeMap;

use serde::Deserialize;
use weir_shared::arch::{LayerId, Network};
use weir_shared::ids::WorkerId;
use weir_shared::plan::plan::BatchNorm;
use weir_shared::plan::{ActiveSet, ActiveSetError, Encoding, Partition, PartitionError};

/// The file given with `--plan`.
///
/// ```toml
/// workers = ["camera", "router", "attic"]
/// cuts = ["layer1.2.conv2", 19]     # the first layer of each later stage, by name or number
/// off = "F:layer2.1,S:layer3.2"     # connections that are not active
/// batch_norm = "folded"             # or "separate"
///
/// [[encoding]]
/// from = "camera"
/// to = "router"
/// encoding = "f16"                  # or "int8"
/// ```
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanFile {
    /// One worker for each stage, in order.
    pub workers: Vec<WorkerId>,
    #[serde(default)]
    cuts: Vec<Cut>,
    #[serde(default)]
    off: String,
    /// What workers do with batch normalisation.
    #[serde(default)]
    pub batch_norm: BatchNorm,
    #[serde(default)]
    encoding: Vec<LinkEncoding>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum Cut {
    Number(u16),
    Name(String),
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct LinkEncoding {
    from: String,
    to: String,
    encoding: Encoding,
}

/// Why a plan file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PlanFileError {
    /// The text is not of the right form.
    #[error("not a plan; workers, cuts, off, batch_norm and [[encoding]] may be written")]
    Malformed(#[from] Box<toml::de::Error>),
    /// A cut names no layer.
    #[error(
        "a cut before {name:?}, which is no layer of {arch}; layers are called stem, layer1.0.conv1, layer1.0.join and so on"
    )]
    NoSuchLayer {
        /// As written.
        name: String,
        /// The network.
        arch: String,
    },
    /// The cuts are impossible.
    #[error(transparent)]
    Partition(#[from] PartitionError),
    /// The connections are impossible.
    #[error(transparent)]
    ActiveSet(#[from] ActiveSetError),
    /// A worker has two stages.
    #[error("worker {0} is named twice; give it one contiguous stage")]
    WorkerTwice(WorkerId),
    /// An encoding is for a link that the plan cannot have.
    #[error(
        "an encoding is given from {from:?} to {to:?}, but both must be workers of the plan; \
         images and logits travel as f32"
    )]
    NoSuchLink {
        /// As written.
        from: String,
        /// As written.
        to: String,
    },
    /// Stages and workers differ in number.
    #[error("there are {stages} stages (one more than its cuts) but {workers} workers are named")]
    Count {
        /// Stages.
        stages: usize,
        /// Workers.
        workers: usize,
    },
}

impl PlanFile {
    /// Reads TOML and checks it against `network`, so that mistakes are found at the start.
    ///
    /// # Errors
    /// Names what is wrong in it.
    pub fn parse(text: &str, network: &Network) -> Result<Self, PlanFileError> {
        let file: Self = toml::from_str(text).map_err(Box::new)?;
        let cuts = Partition::new(network, file.cuts(network)?)?;
        file.active(network)?;
        let (stages, workers) = (cuts.cuts().len() + 1, file.workers.len());
        let twice = file.workers.iter().enumerate().find(|(at, worker)| file.workers[..*at].contains(worker));
        if let Some((_, worker)) = twice {
            return Err(PlanFileError::WorkerTwice(worker.clone()));
        }
        let known = |name: &str| file.workers.iter().any(|worker| worker.as_str() == name);
        if let Some(link) = file.encoding.iter().find(|link| !known(&link.from) || !known(&link.to)) {
            return Err(PlanFileError::NoSuchLink { from: link.from.clone(), to: link.to.clone() });
        }
        if stages == workers { Ok(file) } else { Err(PlanFileError::Count { stages, workers }) }
    }

    /// The cut points.
    ///
    /// # Errors
    /// If a name is no layer's.
    pub fn cuts(&self, network: &Network) -> Result<Vec<LayerId>, PlanFileError> {
        let find = |cut: &Cut| match cut {
            Cut::Number(number) => Ok(LayerId(*number)),
            Cut::Name(name) => {
                let mut layers = network.layers().iter();
                let found =
                    layers.find(|layer| network.layer_name(layer.kind) == *name).map(|layer| layer.id);
                let missing =
                    || PlanFileError::NoSuchLayer { name: name.clone(), arch: network.arch.to_string() };
                found.ok_or_else(missing)
            }
        };
        self.cuts.iter().map(find).collect()
    }

    /// The active connections.
    ///
    /// # Errors
    /// If a name is no connection's, or a block would vanish.
    pub fn active(&self, network: &Network) -> Result<ActiveSet, ActiveSetError> {
        ActiveSet::parse(&self.off, network)
    }

    /// Encodings by short names of sender and receiver.
    pub fn encodings(&self) -> BTreeMap<(String, String), Encoding> {
        let entries = self.encoding.iter();
        entries.map(|link| ((link.from.clone(), link.to.clone()), link.encoding)).collect()
    }
}
