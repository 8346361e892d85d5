//! The manifest of a checkpoint: one digest for each layer.
//!
//! The whole file's digest would force every worker to read the whole file. With one for each layer, the
//! orchestrator names exactly the weights that a plan was made for, and a worker checks what it loads.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Checkpoint, CheckpointError, LayerTensors, atomic};
use crate::arch::NetworkSpec;
use crate::digest::Digest;

/// The version that is written and read.
pub const VERSION: u32 = 1;

/// The longest manifest that is read, in bytes; that of ResNet-152 has 30 KiB.
const BYTES_MAX: u64 = 4 << 20;

/// The digests of a checkpoint's layers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Version of this format.
    pub version: u32,
    /// The network whose weights these are.
    pub network: NetworkSpec,
    /// One entry for each layer, in order of layers.
    pub layers: Vec<LayerWeights>,
}

/// The weights of one layer, by content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LayerWeights {
    /// The layer's name, such as `layer2.0.conv1`.
    pub name: String,
    /// Bytes of its tensors as f32.
    pub bytes: u64,
    /// What [`LayerTensors::digest`] gives.
    pub sha256: Digest,
}

/// Why a manifest cannot be used, or does not describe a checkpoint.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// The file cannot be read or written.
    #[error("cannot read or write the manifest {}; check the path, the rights and the free space", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is far longer than any manifest.
    #[error("{} has more than {BYTES_MAX} bytes and is no manifest; check the path", path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
    },
    /// The file is no manifest.
    #[error("{} is not a manifest of weights; write it again from the checkpoint", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// Another version of the format.
    #[error("{} is a manifest of version {found}, and {VERSION} is read; write it again from the checkpoint", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
    },
    /// The list of layers is not the network's.
    #[error("{} does not list the layers of its network; write it again from the checkpoint", path.display())]
    Layers {
        /// The file.
        path: PathBuf,
    },
    /// The checkpoint lacks something.
    #[error("the checkpoint does not fit the network of its manifest")]
    Checkpoint(#[from] CheckpointError),
    /// The checkpoint's weights are not those of the manifest.
    #[error(
        "layer {layer} in {} has digest {found}, but its manifest says {expected}; \
         put back the checkpoint of the manifest, or write the manifest again and make a new plan",
        checkpoint.display()
    )]
    Differs {
        /// The layer's name.
        layer: String,
        /// The checkpoint.
        checkpoint: PathBuf,
        /// What the manifest says.
        expected: Digest,
        /// What the file holds.
        found: Digest,
    },
}

impl Manifest {
    /// Reads every layer of `checkpoint` once, one at a time, and notes its digest.
    ///
    /// # Errors
    /// If the checkpoint does not fit the network.
    pub fn compute(checkpoint: &Checkpoint, spec: &NetworkSpec) -> Result<Self, CheckpointError> {
        let network = spec.network();
        let describe = |layer: &crate::arch::Layer| {
            let tensors = LayerTensors::read(checkpoint, &network, layer.kind)?;
            let name = network.layer_name(layer.kind);
            Ok(LayerWeights { name, bytes: tensors.bytes(), sha256: tensors.digest() })
        };
        let layers = network.layers().iter().map(describe).collect::<Result<_, CheckpointError>>()?;
        Ok(Self { version: VERSION, network: *spec, layers })
    }

    /// Where the manifest of the checkpoint `weights` lies: `<weights>.manifest.json`.
    pub fn beside(weights: &Path) -> PathBuf {
        let mut name = OsString::from(weights);
        name.push(".manifest.json");
        PathBuf::from(name)
    }

    /// Reads a manifest and checks that it lists the layers of its network.
    ///
    /// # Errors
    /// If the file is absent, too long, no manifest, or of another version.
    pub fn load(path: &Path) -> Result<Self, ManifestError> {
        let at_file = |source| ManifestError::File { path: path.to_owned(), source };
        let mut bytes = Vec::new();
        let read = File::open(path).and_then(|file| file.take(BYTES_MAX + 1).read_to_end(&mut bytes));
        if read.map_err(at_file)? as u64 > BYTES_MAX {
            return Err(ManifestError::TooLong { path: path.to_owned() });
        }
        let at_json = |source| ManifestError::Json { path: path.to_owned(), source };
        // The version comes first: a later one may well have other fields.
        let Versioned { version } = serde_json::from_slice(&bytes).map_err(at_json)?;
        if version != VERSION {
            return Err(ManifestError::Version { path: path.to_owned(), found: version });
        }
        let manifest: Self = serde_json::from_slice(&bytes).map_err(at_json)?;
        if manifest.lists_its_layers() {
            Ok(manifest)
        } else {
            Err(ManifestError::Layers { path: path.to_owned() })
        }
    }

    /// Writes the manifest, replacing a previous one as a whole.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn save(&self, path: &Path) -> Result<(), ManifestError> {
        let json = serde_json::to_vec_pretty(self)
            .map_err(|source| ManifestError::Json { path: path.to_owned(), source })?;
        let written = atomic::replace(path, |file| {
            file.write_all(&json)?;
            file.write_all(b"\n")
        });
        written.map_err(|source| ManifestError::File { path: path.to_owned(), source })
    }

    /// The digest of each layer, in order of layers, as a plan carries them.
    pub fn digests(&self) -> Vec<Digest> {
        self.layers.iter().map(|layer| layer.sha256).collect()
    }

    /// Reads the whole checkpoint and compares it with this manifest.
    ///
    /// # Errors
    /// Names the first layer that differs.
    pub fn verify(&self, checkpoint: &Checkpoint) -> Result<(), ManifestError> {
        let found = Self::compute(checkpoint, &self.network)?;
        let mut pairs = self.layers.iter().zip(&found.layers);
        match pairs.find(|(expected, found)| expected != found) {
            Some((expected, found)) => Err(ManifestError::Differs {
                layer: expected.name.clone(),
                checkpoint: checkpoint.path().to_owned(),
                expected: expected.sha256,
                found: found.sha256,
            }),
            None => Ok(()),
        }
    }

    fn lists_its_layers(&self) -> bool {
        let network = self.network.network();
        let expected =
            network.layers().iter().map(|layer| (network.layer_name(layer.kind), layer.weight_bytes));
        expected.eq(self.layers.iter().map(|layer| (layer.name.clone(), layer.bytes)))
    }
}

#[derive(Deserialize)]
struct Versioned {
    version: u32,
}
