//! The weights of one layer on a stream, asked for by content.
//!
//! A worker that lacks a layer asks the orchestrator for it, on a connection of its own so that neither directives nor
//! activations wait behind megabytes. One bidirectional stream for each layer: the 32 bytes of its digest one way, its
//! numbers the other way. The asking side knows from the plan which layer it is, so it knows the length before it
//! allocates, and it compares the digest before it uses anything.

use std::time::Duration;

use quinn::{Connection, ReadToEndError, VarInt};

use super::close_code;
use crate::arch::{LayerKind, Network};
use crate::digest::Digest;
use crate::weights::LayerTensors;

/// One layer may take this long. The largest of the catalogue (9.4 MB) then needs 0.16 MB/s.
const LAYER_MAX: Duration = Duration::from_secs(60);

const DIGEST_BYTES: usize = 32;

/// Why a layer was not received.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The connection broke.
    #[error("the connection broke")]
    Connection(#[from] quinn::ConnectionError),
    /// The question could not be written.
    #[error("the stream broke while asking")]
    Ask(#[source] quinn::WriteError),
    /// The answer could not be read.
    #[error("the stream broke while reading")]
    Answer(#[source] ReadToEndError),
    /// The other end does not have it.
    #[error(
        "the orchestrator has no layer of digest {0}; restart it with the checkpoint that the plan was made for"
    )]
    Unknown(Digest),
    /// It is not what was asked for.
    #[error("the layer arrived damaged: {found} instead of {expected}")]
    Differs {
        /// What was asked for.
        expected: Digest,
        /// What came.
        found: Digest,
    },
    /// The answer has another length than the layer.
    #[error("{found} bytes arrived for a layer of {expected}")]
    Length {
        /// Bytes of the layer.
        expected: usize,
        /// Bytes that came.
        found: usize,
    },
    /// It took too long.
    #[error("the layer did not arrive within {LAYER_MAX:?}")]
    Slow,
}

/// Asks for the weights of `layer`, which must have `digest`, and returns them once they have been compared with it.
///
/// # Errors
/// If they do not arrive whole, in time, and as they should be.
pub async fn fetch(
    connection: &Connection,
    network: &Network,
    layer: LayerKind,
    digest: Digest,
) -> Result<LayerTensors, FetchError> {
    let expected = LayerTensors::bytes_of(network, layer);
    let answer = async {
        let (mut send, mut receive) = connection.open_bi().await?;
        send.write_all(digest.as_bytes()).await.map_err(FetchError::Ask)?;
        // Nobody but us could have finished it.
        let _ = send.finish();
        receive.read_to_end(expected).await.map_err(FetchError::Answer)
    };
    let bytes = tokio::time::timeout(LAYER_MAX, answer).await.map_err(|_| FetchError::Slow)??;
    if bytes.is_empty() {
        return Err(FetchError::Unknown(digest));
    }
    let tensors = LayerTensors::from_bytes(network, layer, &bytes);
    let tensors = tensors.ok_or(FetchError::Length { expected, found: bytes.len() })?;
    let found = tensors.digest();
    if found == digest { Ok(tensors) } else { Err(FetchError::Differs { expected: digest, found }) }
}

/// Answers one question with what `find` gives for the digest; with nothing if it gives nothing.
///
/// A peer that asks for nothing sensible, or does not read, costs no more than a stream and the time of one layer.
pub async fn answer(
    (mut send, mut receive): (quinn::SendStream, quinn::RecvStream),
    find: impl AsyncFnOnce(Digest) -> Option<Vec<u8>>,
) {
    let answered = async {
        let mut digest = [0; DIGEST_BYTES];
        receive.read_exact(&mut digest).await.ok()?;
        if let Some(bytes) = find(Digest::from(digest)).await {
            send.write_all(&bytes).await.ok()?;
        }
        send.finish().ok()?;
        // Dropped unfinished, the stream would be reset under what is still on the way.
        send.stopped().await.ok()
    };
    if tokio::time::timeout(LAYER_MAX, answered).await.is_err() {
        let _ = send.reset(VarInt::from_u32(close_code::LATE));
    }
}
