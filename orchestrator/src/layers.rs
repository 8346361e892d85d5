//! Gives workers the layers that they lack, from the checkpoint that the orchestrator was started with.
//!
//! By content: a worker asks for a digest, and only digests of the served network are known. Apart from the control
//! session, so that a directive never waits behind weights.

use std::collections::HashMap;
use std::sync::Arc;

use quinn::VarInt;
use tokio::sync::Semaphore;
use weir_shared::arch::{LayerKind, Network, NetworkSpec};
use weir_shared::digest::Digest;
use weir_shared::ids::Role;
use weir_shared::transport::{PeerConnection, close_code, layers};
use weir_shared::weights::{Checkpoint, LayerTensors};

/// Layers that are in memory at once on their way out, of all workers together: 75 MB of the largest.
const AT_ONCE: usize = 8;

/// Questions that one worker may have open.
const STREAMS: u32 = 4;

/// The served network's layers by digest. Cheap to clone.
#[derive(Clone)]
pub struct LayerServer(Arc<Shelf>);

struct Shelf {
    checkpoint: Checkpoint,
    network: Network,
    by_digest: HashMap<Digest, LayerKind>,
    places: Semaphore,
}

impl LayerServer {
    /// The layers of `spec` in `checkpoint`, with the digest of each in order of layers.
    pub fn new(checkpoint: Checkpoint, spec: NetworkSpec, digests: &[Digest]) -> Self {
        let network = spec.network();
        let kinds = network.layers().iter().map(|layer| layer.kind);
        let by_digest = digests.iter().copied().zip(kinds).collect();
        Self(Arc::new(Shelf { checkpoint, network, by_digest, places: Semaphore::new(AT_ONCE) }))
    }

    /// Answers `peer` until it goes.
    pub async fn serve(self, peer: PeerConnection) {
        if peer.peer.role() != Role::Worker {
            return peer.close(close_code::WRONG_ROLE, "only workers are given weights");
        }
        peer.connection.set_max_concurrent_uni_streams(VarInt::from_u32(0));
        peer.connection.set_max_concurrent_bi_streams(VarInt::from_u32(STREAMS));
        while let Ok(streams) = peer.connection.accept_bi().await {
            let (shelf, name) = (self.0.clone(), peer.peer.clone());
            actix_rt::spawn(async move {
                let place = shelf.places.acquire().await;
                let found = shelf.clone();
                layers::answer(streams, async move |digest| {
                    let read = actix_rt::task::spawn_blocking(move || found.read(digest));
                    match read.await.ok()? {
                        Ok(bytes) => bytes,
                        Err(error) => {
                            let error = weir_shared::chain(&error);
                            tracing::error!(worker = %name, %digest, %error, "cannot read a layer that a worker lacks");
                            None
                        }
                    }
                })
                .await;
                drop(place);
            });
        }
    }
}

impl Shelf {
    /// The bytes of the layer of that digest, if it is one of the network's.
    fn read(&self, digest: Digest) -> Result<Option<Vec<u8>>, weir_shared::weights::CheckpointError> {
        let Some(&layer) = self.by_digest.get(&digest) else { return Ok(None) };
        LayerTensors::read(&self.checkpoint, &self.network, layer).map(|tensors| Some(tensors.to_bytes()))
    }
}
