//! Finds the layers that a plan names, wherever they are.

use std::path::PathBuf;

use tokio::runtime::Handle;
use weir_shared::arch::{LayerId, Network};
use weir_shared::digest::Digest;
use weir_shared::plan::Plan;
use weir_shared::weights::{Checkpoint, CheckpointError, LayerTensors};

use super::remote::{Loan, RemoteError};
use super::{Remote, Store};

/// Where layers may be found. They are looked for in this order.
#[derive(Debug, Default)]
pub struct Sources {
    /// A checkpoint that a person put here. Opened at each load, so it may be replaced.
    pub checkpoint: Option<PathBuf>,
    /// What was fetched before.
    pub store: Option<Store>,
    /// The orchestrator.
    pub remote: Option<Remote>,
}

/// Finds layers by content.
#[derive(Debug)]
pub struct Library(Sources);

/// Why a layer cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum LibraryError {
    /// The checkpoint cannot be read.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The checkpoint holds other weights, and there is nobody to ask.
    #[error(
        "layer {layer} in {} has digest {found}, but the plan names {expected}; give this worker the checkpoint that \
         the orchestrator serves, or a folder to fetch into with --cache",
        checkpoint.display()
    )]
    Differs {
        /// The layer's name.
        layer: String,
        /// The file.
        checkpoint: PathBuf,
        /// What the plan names.
        expected: Digest,
        /// What the file holds.
        found: Digest,
    },
    /// It is nowhere.
    #[error("layer {layer} is not here, and nobody may be asked; give this worker --weights or --cache")]
    Nowhere {
        /// The layer's name.
        layer: String,
    },
    /// The plan names no digest for it.
    #[error("the plan names no weights for layer {layer}; it is of another network")]
    Unnamed {
        /// The layer's name.
        layer: String,
    },
    /// The orchestrator did not give it.
    #[error("layer {layer} cannot be fetched from the orchestrator")]
    Remote {
        /// The layer's name.
        layer: String,
        /// Why.
        #[source]
        source: Box<RemoteError>,
    },
}

/// One visit for the layers of a stage: opens the checkpoint and the connection once, and only if they are needed.
pub(crate) struct Visit<'a> {
    sources: &'a Sources,
    plan: &'a Plan,
    network: &'a Network,
    checkpoint: Option<Checkpoint>,
    loan: Option<Loan>,
}

impl Library {
    /// A library of `sources`.
    pub const fn new(sources: Sources) -> Self {
        Self(sources)
    }

    /// Begins a visit for layers of `plan`, whose network is `network`.
    ///
    /// # Errors
    /// If the checkpoint cannot be opened and nothing else is there to replace it.
    pub(crate) fn visit<'a>(
        &'a self,
        plan: &'a Plan,
        network: &'a Network,
    ) -> Result<Visit<'a>, LibraryError> {
        let sources = &self.0;
        let checkpoint = match sources.checkpoint.as_ref().map(Checkpoint::open).transpose() {
            Ok(checkpoint) => checkpoint,
            Err(error) if sources.remote.is_none() => return Err(error.into()),
            Err(error) => {
                tracing::warn!(error = %weir_shared::chain(&error), "weights are fetched instead");
                None
            }
        };
        if let Some(store) = &sources.store {
            store.needed(&plan.draft().weights);
        }
        Ok(Visit { sources, plan, network, checkpoint, loan: None })
    }
}

impl Visit<'_> {
    /// The weights of layer `id`, with the digest that the plan names.
    ///
    /// Blocks while a layer is fetched: call it where blocking is allowed, under a tokio runtime.
    ///
    /// # Errors
    /// If no source has it.
    pub(crate) fn layer(&mut self, id: LayerId) -> Result<LayerTensors, LibraryError> {
        let kind = self.network.layers()[usize::from(id.0)].kind;
        let name = || self.network.layer_name(kind);
        let weights = &self.plan.draft().weights;
        let &digest =
            weights.get(usize::from(id.0)).ok_or_else(|| LibraryError::Unnamed { layer: name() })?;
        if LayerTensors::bytes_of(self.network, kind) == 0 {
            return Ok(LayerTensors::make(self.network, kind, |_| Vec::new()));
        }
        let mut differs = None;
        if let Some(checkpoint) = &self.checkpoint {
            match LayerTensors::read(checkpoint, self.network, kind) {
                Ok(tensors) => {
                    let found = tensors.digest();
                    if found == digest {
                        return Ok(tensors);
                    }
                    let checkpoint = checkpoint.path().to_owned();
                    differs =
                        Some(LibraryError::Differs { layer: name(), checkpoint, expected: digest, found });
                }
                Err(error) => differs = Some(error.into()),
            }
        }
        if let Some(kept) =
            self.sources.store.as_ref().and_then(|store| store.find(self.network, kind, digest))
        {
            return Ok(kept);
        }
        let Some(remote) = &self.sources.remote else {
            return Err(differs.unwrap_or_else(|| LibraryError::Nowhere { layer: name() }));
        };
        let runtime = Handle::current();
        let loan = &mut self.loan;
        let fetched = runtime.block_on(async {
            let open = match loan.take() {
                Some(open) => open,
                None => remote.open().await?,
            };
            loan.insert(open).layer(self.network, kind, digest).await
        });
        let tensors =
            fetched.map_err(|source| LibraryError::Remote { layer: name(), source: Box::new(source) })?;
        tracing::info!(layer = name(), bytes = tensors.bytes(), "layer fetched");
        if let Some(store) = &self.sources.store
            && let Err(error) = store.keep(&tensors, digest)
        {
            // It can be computed with all the same, and is fetched again after a restart.
            tracing::warn!(error = %weir_shared::chain(&error), "a fetched layer could not be kept");
        }
        Ok(tensors)
    }
}
