//! One activation on one QUIC stream: written by its maker, read and checked by its user.
//!
//! The reader learns from the header which plan and value are meant, asks the caller what the plan says about
//! them, and only then allocates. Numbers sent as f32 are read straight into place.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use quinn::{Connection, ReadError, ReadExactError, RecvStream, WriteError};
use tokio::time::Instant;

use super::close_code;
use crate::arch::Shape;
use crate::ids::PeerName;
use crate::plan::{Encoding, Node, Plan, Value};
use crate::wire::codec::{self, CodecError};
use crate::wire::control::FailureKind;
use crate::wire::header::{HeaderError, MismatchError, PREAMBLE_BYTES};
use crate::wire::{Header, binary};

/// The longest time that one activation may take to arrive, whatever deadline its header states: 3.2 MB, the largest of
/// ResNet-50 at batch 1, take 26 s at 1 Mbit/s.
const RECEIVE_MAX: Duration = Duration::from_secs(60);

/// The longest deadline that is believed. Nobody waits longer, and a queue must not hold a request for ever.
const DEADLINE_MAX: Duration = Duration::from_secs(3600);

/// The header must come at once: a stream that trickles is not one of ours.
const HEADER_MAX_TIME: Duration = Duration::from_secs(5);

/// An activation that has arrived whole and unharmed.
#[derive(Debug)]
pub struct Activation {
    /// What it is.
    pub header: Header,
    /// Its numbers, `batch x channels x height x width`.
    pub values: Vec<f32>,
    /// When the request must be answered.
    pub deadline: Instant,
}

/// What a plan says about a value that is about to be read.
#[derive(Debug, Clone, Copy)]
pub struct Expected {
    /// Shape of one sample.
    pub shape: Shape,
    /// How it is written on this link.
    pub encoding: Encoding,
}

/// Why an activation was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum ReceiveError {
    /// The stream does not begin with a header.
    #[error("no activation header")]
    Header(#[from] HeaderError),
    /// The stream ended before the header did.
    #[error("the stream ended within the header, after {0} bytes")]
    Cut(usize),
    /// The stream broke, or its sender gave it up.
    #[error("the stream broke before the activation was complete")]
    Stream(#[source] ReadError),
    /// The header took too long.
    #[error("no header within {HEADER_MAX_TIME:?}")]
    Slow,
    /// The request is known, and it cannot go on here.
    #[error("request {}: {cause}", header.request)]
    Request {
        /// Its header.
        header: Box<Header>,
        /// Why.
        cause: Refusal,
    },
}

/// Why a request cannot go on here.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The plan is not alive here.
    #[error("plan {0} is not alive here")]
    StalePlan(crate::plan::PlanId),
    /// The plan does not send this value to us, or not from this peer.
    #[error("the plan has no such value on this link")]
    NotInPlan,
    /// The header contradicts the plan.
    #[error(transparent)]
    Mismatch(#[from] MismatchError),
    /// The payload is damaged.
    #[error("the payload's checksum is {found:08x}, the header says {expected:08x}")]
    Checksum {
        /// As computed.
        found: u32,
        /// As announced.
        expected: u32,
    },
    /// The sender ended the stream too early.
    #[error("the payload ends after {0} bytes, and more had to come")]
    Cut(usize),
    /// Bytes follow where the activation had to end.
    #[error("the stream goes on behind the payload")]
    Trailing,
    /// The payload cannot be decoded.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// The deadline passed while it arrived.
    #[error("the deadline passed while the activation arrived")]
    Expired,
    /// It trickled in.
    #[error("the activation took longer than {RECEIVE_MAX:?} to arrive")]
    Trickled,
}

/// Why an activation could not be written.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The connection is gone.
    #[error("the link is down")]
    Connection(#[from] quinn::ConnectionError),
    /// The receiver stopped reading, or the connection went while writing.
    #[error("the receiver stopped reading")]
    Write(#[from] WriteError),
    /// The receiver did not take it before the deadline.
    #[error("the receiver did not take it in time")]
    Late,
    /// The header is too large.
    #[error("the header cannot be written")]
    Header(#[from] binary::EncodeError),
}

impl Expected {
    /// What `plan` says about `value` when `from` sends it to the node `to`.
    ///
    /// # Errors
    /// If the plan does not send that value there from there.
    pub fn in_plan(plan: &Plan, value: Value, from: &PeerName, to: Node) -> Result<Self, Refusal> {
        let shape = match (plan.node(from), to) {
            (Some(Node::Stage(stage)), _) => {
                let mut outlets = plan.program(stage).outlets.iter();
                outlets.find(|outlet| outlet.value == value && outlet.to == to).map(|outlet| outlet.shape)
            }
            (Some(Node::Gateway), Node::Stage(stage)) => {
                let inlet = plan.program(stage).inlet(value);
                inlet.filter(|inlet| inlet.from == Node::Gateway).map(|inlet| inlet.shape)
            }
            (Some(Node::Gateway), Node::Gateway) | (None, _) => None,
        };
        let route = plan.node(from).and_then(|from| plan.route(from, to));
        match (shape, route) {
            (Some(shape), Some(route)) => Ok(Self { shape, encoding: route.encoding }),
            _ => Err(Refusal::NotInPlan),
        }
    }
}

impl Refusal {
    /// What the gateway should make of it.
    pub const fn kind(&self) -> FailureKind {
        match self {
            Self::StalePlan(_) | Self::NotInPlan | Self::Mismatch(MismatchError::Plan { .. }) => {
                FailureKind::StalePlan
            }
            Self::Expired => FailureKind::Expired,
            Self::Trickled => FailureKind::LinkDown,
            Self::Mismatch(_) | Self::Checksum { .. } | Self::Cut(_) | Self::Trailing | Self::Codec(_) => {
                FailureKind::Broken
            }
        }
    }
}

/// Opens a stream and writes one activation. Returns when the last byte is handed to QUIC; the stream resolves
/// [`stopped`](quinn::SendStream::stopped) once the peer has everything.
///
/// # Errors
/// If the connection is gone, the peer stops reading, or it does not read in time.
pub async fn send(
    connection: &Connection,
    header: &Header,
    payload: Bytes,
    deadline: Instant,
) -> Result<quinn::SendStream, SendError> {
    let opened = tokio::time::timeout_at(deadline, connection.open_uni()).await;
    let mut stream = opened.map_err(|_| SendError::Late)??;
    let header = header.to_bytes()?;
    let written = tokio::time::timeout_at(deadline, async {
        stream.write_all(&header).await?;
        stream.write_chunk(payload).await
    });
    match written.await {
        Ok(written) => written?,
        Err(_) => {
            // A stream that is merely dropped would end as if it were complete.
            let _ = stream.reset(quinn::VarInt::from_u32(close_code::LATE));
            return Err(SendError::Late);
        }
    }
    // Fails only on a stream that was finished before.
    let _ = stream.finish();
    Ok(stream)
}

/// Reads one activation. `expect` looks the header up in the live plans, with its plan for the final check.
///
/// # Errors
/// If the stream holds no activation, or one that `expect` refuses, or damaged bytes. Nothing is allocated for
/// the payload before the header has passed every check.
pub async fn receive(
    stream: &mut RecvStream,
    expect: impl FnOnce(&Header) -> Result<(Arc<Plan>, Expected), Refusal>,
) -> Result<Activation, ReceiveError> {
    let header = tokio::time::timeout(HEADER_MAX_TIME, read_header(stream)).await;
    let header = header.map_err(|_| ReceiveError::Slow)??;
    let refuse = |header: &Header, cause| ReceiveError::Request { header: Box::new(header.clone()), cause };
    let (plan, expected) = expect(&header).map_err(|cause| refuse(&header, cause))?;
    let checked = header.check(&plan, expected.encoding);
    checked.map_err(|mismatch| refuse(&header, mismatch.into()))?;

    let now = Instant::now();
    let deadline = now + header.remaining().min(DEADLINE_MAX);
    let until = deadline.min(now + RECEIVE_MAX);
    match tokio::time::timeout_at(until, read_payload(stream, &header, expected)).await {
        Ok(Ok(values)) => Ok(Activation { header, values, deadline }),
        Ok(Err(Unread::Refused(cause))) => Err(refuse(&header, cause)),
        Ok(Err(Unread::Stream(error))) => Err(ReceiveError::Stream(error)),
        Err(_) if until < deadline => Err(refuse(&header, Refusal::Trickled)),
        Err(_) => Err(refuse(&header, Refusal::Expired)),
    }
}

async fn read_header(stream: &mut RecvStream) -> Result<Header, ReceiveError> {
    let whole = |read: Result<(), ReadExactError>| {
        read.map_err(|error| match error {
            ReadExactError::FinishedEarly(read) => ReceiveError::Cut(read),
            ReadExactError::ReadError(error) => ReceiveError::Stream(error),
        })
    };
    let mut preamble = [0; PREAMBLE_BYTES];
    whole(stream.read_exact(&mut preamble).await)?;
    let mut body = vec![0; Header::length(preamble)?];
    whole(stream.read_exact(&mut body).await)?;
    Ok(Header::from_bytes(&body)?)
}

/// Why a payload was not read: the stream broke, which its sender knows, or what came is no payload.
enum Unread {
    Stream(ReadError),
    Refused(Refusal),
}

impl From<ReadExactError> for Unread {
    fn from(error: ReadExactError) -> Self {
        match error {
            ReadExactError::FinishedEarly(read) => Self::Refused(Refusal::Cut(read)),
            ReadExactError::ReadError(error) => Self::Stream(error),
        }
    }
}

async fn read_payload(
    stream: &mut RecvStream,
    header: &Header,
    expected: Expected,
) -> Result<Vec<f32>, Unread> {
    let batch = usize::from(header.batch);
    let Expected { shape, encoding } = expected;
    let (checksum, values) = if encoding == Encoding::F32 {
        let mut values = vec![0f32; shape.elements() * batch];
        let bytes: &mut [u8] = bytemuck::cast_slice_mut(&mut values);
        stream.read_exact(bytes).await?;
        let checksum = codec::checksum(bytes);
        codec::f32_from_le_in_place(&mut values);
        (checksum, Ok(values))
    } else {
        let mut bytes = vec![0; encoding.payload_bytes(shape, batch)];
        stream.read_exact(&mut bytes).await?;
        (codec::checksum(&bytes), codec::decode(encoding, &bytes, shape, batch))
    };
    match stream.read(&mut [0]).await {
        Ok(None) => {}
        Ok(Some(_)) => return Err(Unread::Refused(Refusal::Trailing)),
        Err(error) => return Err(Unread::Stream(error)),
    }
    if checksum != header.checksum {
        return Err(Unread::Refused(Refusal::Checksum { found: checksum, expected: header.checksum }));
    }
    values.map_err(|error| Unread::Refused(error.into()))
}

/// The numbers of an activation as they go on the wire. f32 is shared, not copied, where the byte order allows.
pub fn payload(encoding: Encoding, values: &Arc<Vec<f32>>, shape: Shape) -> Bytes {
    match codec::encode(encoding, values, shape) {
        Cow::Owned(bytes) => Bytes::from(bytes),
        Cow::Borrowed(_) => Bytes::from_owner(Numbers(values.clone())),
    }
}

/// Owns numbers that are lent out as bytes.
struct Numbers(Arc<Vec<f32>>);

impl AsRef<[u8]> for Numbers {
    fn as_ref(&self) -> &[u8] {
        bytemuck::cast_slice(&self.0)
    }
}
