//! The header in front of every activation.
//!
//! On the wire: four bytes `WEIR`, the protocol version and the header's length as big-endian u16, the header,
//! then the numbers. Everything that decides how much to read or allocate is checked against the plan first.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ids::{Attempt, RequestId};
use crate::plan::{Encoding, Plan, PlanId, Value};

use super::{PROTOCOL_VERSION, TraceContext, binary};

/// Bytes in front of the header.
pub const PREAMBLE_BYTES: usize = 8;

/// The most bytes that a header may take. A header of today takes about 80, and 600 with the longest trace context.
pub const HEADER_MAX: usize = 4096;

const MAGIC: [u8; 4] = *b"WEIR";

/// Says to which request, plan and value the numbers behind it belong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// The request.
    pub request: RequestId,
    /// Which attempt at it.
    pub attempt: Attempt,
    /// The plan that the request runs on.
    pub plan: PlanId,
    /// First bytes of the plan's hash, so that two plans of one number cannot be mixed up.
    pub plan_prefix: u32,
    /// Which value follows.
    pub value: Value,
    /// Samples in it.
    pub batch: u16,
    /// How it is written.
    pub encoding: Encoding,
    /// Time left to answer, in microseconds. Relative, so that clocks need not agree.
    pub remaining_micros: u64,
    /// CRC-32 (ISO-HDLC) of the payload: the cipher guards the link, this guards the memory at both ends.
    pub checksum: u32,
    /// The trace that the request belongs to, if its client said so.
    #[serde(deserialize_with = "super::trace::read_lenient")]
    pub trace: Option<TraceContext>,
}

/// Why the start of a stream is not a header.
#[derive(Debug, thiserror::Error)]
pub enum HeaderError {
    /// The stream does not begin as ours do.
    #[error("the stream does not begin with WEIR: the peer speaks something else")]
    Magic,
    /// The peer is of another version.
    #[error(
        "the peer speaks protocol version {found}, this program version {PROTOCOL_VERSION}; run the same release on both"
    )]
    Version {
        /// The peer's version.
        found: u16,
    },
    /// The announced length is impossible.
    #[error("a header of {0} bytes was announced; 1 to {HEADER_MAX} are allowed")]
    Length(u16),
    /// The header's bytes are damaged.
    #[error("the header cannot be read")]
    Malformed(#[from] binary::DecodeError),
}

/// Why a well-formed header does not fit the plan that it names.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MismatchError {
    /// Another plan has the same number.
    #[error("the header means another plan {plan}: its hash begins {found:08x}, ours {expected:08x}")]
    Plan {
        /// The number they share.
        plan: PlanId,
        /// The header's.
        found: u32,
        /// Ours.
        expected: u32,
    },
    /// Empty, or beyond the plan's limit.
    #[error("a batch of {found} samples; the plan allows 1 to {max}")]
    Batch {
        /// The header's.
        found: u16,
        /// The plan's.
        max: u16,
    },
    /// Not the encoding of this link.
    #[error("encoded as {found}, but the plan says {expected} on this link")]
    Encoding {
        /// The header's.
        found: Encoding,
        /// The plan's.
        expected: Encoding,
    },
}

impl Header {
    /// The preamble and the header as they stand on the wire.
    ///
    /// # Errors
    /// If the header exceeds its limit, which no field allows today.
    pub fn to_bytes(&self) -> Result<Vec<u8>, binary::EncodeError> {
        let body = binary::encode(self)?;
        let mut bytes = Vec::with_capacity(PREAMBLE_BYTES + body.len());
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&PROTOCOL_VERSION.to_be_bytes());
        bytes.extend_from_slice(&(body.len() as u16).to_be_bytes());
        bytes.extend_from_slice(&body);
        Ok(bytes)
    }

    /// Reads a preamble and returns the length of the header behind it.
    ///
    /// # Errors
    /// If it is not ours, of another version, or announces an impossible length.
    pub fn length(preamble: [u8; PREAMBLE_BYTES]) -> Result<usize, HeaderError> {
        let [m0, m1, m2, m3, v0, v1, l0, l1] = preamble;
        if [m0, m1, m2, m3] != MAGIC {
            return Err(HeaderError::Magic);
        }
        let found = u16::from_be_bytes([v0, v1]);
        if found != PROTOCOL_VERSION {
            return Err(HeaderError::Version { found });
        }
        let length = u16::from_be_bytes([l0, l1]);
        if length == 0 || usize::from(length) > HEADER_MAX {
            return Err(HeaderError::Length(length));
        }
        Ok(usize::from(length))
    }

    /// Reads the bytes behind the preamble.
    ///
    /// # Errors
    /// If they are not exactly one header.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, HeaderError> {
        Ok(binary::decode(bytes)?)
    }

    /// Checks that the header means `plan`, with an encoding and a batch that it allows.
    ///
    /// # Errors
    /// Names what does not fit.
    pub fn check(&self, plan: &Plan, encoding: Encoding) -> Result<(), MismatchError> {
        let expected = plan.hash().0.prefix();
        if self.plan_prefix != expected {
            return Err(MismatchError::Plan { plan: plan.id(), found: self.plan_prefix, expected });
        }
        let max = plan.draft().max_batch;
        if !(1..=max).contains(&self.batch) {
            return Err(MismatchError::Batch { found: self.batch, max });
        }
        if self.encoding != encoding {
            return Err(MismatchError::Encoding { found: self.encoding, expected: encoding });
        }
        Ok(())
    }

    /// Time left to answer.
    pub const fn remaining(&self) -> Duration {
        Duration::from_micros(self.remaining_micros)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ids::{Epoch, Term};

    fn header() -> Header {
        Header {
            request: RequestId(u128::MAX),
            attempt: Attempt(2),
            plan: PlanId { term: Term(3), epoch: Epoch(u64::MAX) },
            plan_prefix: 0xdead_beef,
            value: Value(9),
            batch: 8,
            encoding: Encoding::Int8,
            remaining_micros: 1_000_000,
            checksum: 7,
            trace: None,
        }
    }

    #[test]
    fn a_header_survives_the_wire() {
        let bytes = header().to_bytes().unwrap();
        let (preamble, body) = bytes.split_at(PREAMBLE_BYTES);
        assert_eq!(Header::length(preamble.try_into().unwrap()).unwrap(), body.len());
        assert_eq!(Header::from_bytes(body).unwrap(), header());
    }

    #[test]
    fn a_trace_context_travels_and_a_bad_one_is_no_error() {
        let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let trace = TraceContext::from_headers(parent, &"x".repeat(512));
        let traced = Header { trace, ..header() };
        let body = traced.to_bytes().unwrap().split_off(PREAMBLE_BYTES);
        assert!(body.len() < 700, "{} bytes", body.len());
        assert_eq!(Header::from_bytes(&body).unwrap(), traced);
        // The last thing in a header: nothing, or a context whose numbers are all 0, as a hostile peer may write it.
        let mut without = header().to_bytes().unwrap().split_off(PREAMBLE_BYTES);
        assert_eq!(without.pop(), Some(0));
        without.extend([1, 0, 0, 0, 0]);
        assert_eq!(Header::from_bytes(&without).unwrap(), header());
    }

    #[test]
    fn another_version_is_named() {
        let error = Header::length(*b"WEIR\x00\x09\x00\x10").unwrap_err().to_string();
        assert!(error.contains("version 9") && error.contains("this program version 3"), "{error}");
        assert!(matches!(Header::length(*b"HTTP\x00\x01\x00\x10"), Err(HeaderError::Magic)));
        assert!(matches!(Header::length(*b"WEIR\x00\x03\x00\x00"), Err(HeaderError::Length(0))));
        assert!(matches!(Header::length(*b"WEIR\x00\x03\xff\xff"), Err(HeaderError::Length(0xffff))));
    }

    proptest! {
        #[test]
        fn hostile_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
            let _ = Header::from_bytes(&bytes);
        }

        #[test]
        fn a_truncated_header_is_refused(cut in 0usize..80) {
            let body = header().to_bytes().unwrap().split_off(PREAMBLE_BYTES);
            prop_assume!(cut < body.len());
            prop_assert!(Header::from_bytes(&body[..cut]).is_err());
        }
    }
}
