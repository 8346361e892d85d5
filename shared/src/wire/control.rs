//! What worker and orchestrator say to each other, and how a message is framed.
//!
//! One bidirectional stream per worker. Each direction begins with a [`preamble`] that names the protocol's version,
//! so that peers of different releases understand at least that. Then come frames: a big-endian u32 length and a
//! [`binary`] structure. The worker speaks first, with [`Hello`]; every later message may come at any time.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::ids::{Attempt, PeerName, RequestId, Term};
use crate::plan::{Plan, PlanHash, PlanId};
use crate::telemetry::{Calibration, StartId};

pub use crate::telemetry::{LinkReport, Report};

use super::{Header, PROTOCOL_VERSION, binary};

/// Bytes of the preamble.
pub const PREAMBLE_BYTES: usize = 6;

const MAGIC: [u8; 4] = *b"WEIR";

/// Plans that a worker may say it holds: it holds two at most, and one may be on its way out.
const LIVE_MAX: usize = 4;

/// Peers that one worker probes, or is probed by. All of a small cluster; of a large one some neighbours, so that a
/// cluster of n workers has O(n) probes and no report grows with n.
pub const MEASURED_MAX: usize = 17;

/// Characters of a [`Reason`].
const REASON_MAX: usize = 500;

/// A text for people, from a peer: cut to a bounded length and without control characters when it is read, so that
/// it can be logged and shown as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(from = "String")]
pub struct Reason(String);

impl From<String> for Reason {
    fn from(text: String) -> Self {
        let visible = text.chars().map(|c| if c.is_control() { ' ' } else { c });
        Self(visible.take(REASON_MAX).collect())
    }
}

impl From<&str> for Reason {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl std::ops::Deref for Reason {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// A worker introduces itself. Who it is, its certificate has said already.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hello {
    /// Its release, for people.
    pub release: Reason,
    /// Where other peers reach it. An unspecified address (`0.0.0.0`) means: where this connection comes from.
    pub data_address: SocketAddr,
    /// Threads that it computes with.
    pub threads: u16,
    /// The highest term that it has obeyed.
    pub term: Term,
    /// Plans that it holds.
    pub live: Vec<PlanId>,
    /// The start of its process from which its counters rise.
    pub start: StartId,
    /// How often it sends readings, in milliseconds.
    pub report_period_millis: u32,
    /// What it measured before its first plan, unless that was turned off or failed.
    pub calibration: Option<Calibration>,
}

/// From worker to orchestrator.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum FromWorker {
    /// The first message.
    Hello(Hello),
    /// The weights of a plan are loaded, verified and tried on a canary input.
    Prepared {
        /// The plan.
        plan: PlanId,
        /// Its hash, as this worker computes it.
        hash: PlanHash,
        /// What was loaded.
        loaded: Loaded,
    },
    /// Every peer that this worker sends to is reached.
    Connected {
        /// The plan.
        plan: PlanId,
    },
    /// The plan cannot be carried out here.
    Refused {
        /// The plan.
        plan: PlanId,
        /// Why, for people: it names the thing and the remedy.
        reason: Reason,
        /// Peers that could not be reached, where that is the reason; otherwise the fault is the worker's own.
        unreachable: Vec<PeerName>,
    },
    /// The plan is forgotten.
    Retired {
        /// The plan.
        plan: PlanId,
    },
    /// A request cannot be completed here; the gateway decides whether to try again.
    Failed(RequestFailure),
    /// Readings since the last report.
    Report(Report),
}

/// From orchestrator to worker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum ToWorker {
    /// Answers [`Hello`].
    Welcome {
        /// Its term; the worker obeys no lower one from now on.
        term: Term,
    },
    /// Load, verify and try this plan, and let its peers in.
    Prepare(Box<Plan>),
    /// Reach every peer that the plan sends to.
    Connect {
        /// The plan.
        plan: PlanId,
    },
    /// New requests use this plan from now on.
    Commit {
        /// The plan.
        plan: PlanId,
    },
    /// Forget this plan: it is drained, or was never committed.
    Retire {
        /// The plan.
        plan: PlanId,
    },
    /// Measure the links to some peers while no plan uses them, and let some peers measure theirs to here. Replaces what
    /// was said before.
    Measure {
        /// Whom to probe, at most [`MEASURED_MAX`].
        probe: Vec<ProbeTarget>,
        /// Who may probe, at most [`MEASURED_MAX`].
        admit: Vec<PeerName>,
    },
    /// The orchestrator does not want this worker; it says why and closes.
    Reject {
        /// Why, for people.
        reason: Reason,
    },
}

/// A peer to probe.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ProbeTarget {
    /// Who.
    pub peer: PeerName,
    /// Where this worker reaches it; through a relay or an emulator where plans go through one too.
    pub address: SocketAddr,
}

/// What preparing a plan has loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Loaded {
    /// Bytes of weights held for this plan's stage.
    pub weight_bytes: u64,
    /// The largest sum of tensors alive at once for one sample, in bytes.
    pub peak_activation_bytes: u64,
}

/// Why a worker gave a request up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestFailure {
    /// The request.
    pub request: RequestId,
    /// The attempt that failed.
    pub attempt: Attempt,
    /// The plan that it ran on.
    pub plan: PlanId,
    /// The kind, which decides what the gateway does.
    pub kind: FailureKind,
    /// Details for people.
    pub reason: Reason,
}

/// What kind of failure it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum FailureKind {
    /// The worker does not hold that plan, or no longer.
    StalePlan,
    /// A bounded queue was full.
    Overloaded,
    /// No time was left.
    Expired,
    /// The next worker could not be reached.
    LinkDown,
    /// The numbers were damaged or the computation failed.
    Broken,
}

impl RequestFailure {
    /// The failure of the request that `header` belongs to.
    pub fn of(header: &Header, kind: FailureKind, reason: impl Into<Reason>) -> Self {
        let Header { request, attempt, plan, .. } = *header;
        Self { request, attempt, plan, kind, reason: reason.into() }
    }
}

impl FailureKind {
    /// Every kind.
    pub const ALL: [Self; 5] =
        [Self::StalePlan, Self::Overloaded, Self::Expired, Self::LinkDown, Self::Broken];

    /// The value of the metric label `kind`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::StalePlan => "stale_plan",
            Self::Overloaded => "overloaded",
            Self::Expired => "expired",
            Self::LinkDown => "link_down",
            Self::Broken => "broken",
        }
    }
}

/// Why a frame cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The stream does not begin as ours do.
    #[error("the control stream does not begin with WEIR: the peer speaks something else")]
    Magic,
    /// The peer is of another version.
    #[error(
        "the peer speaks protocol version {found}, this program version {PROTOCOL_VERSION}; run the same release on both"
    )]
    Version {
        /// The peer's version.
        found: u16,
    },
    /// The announced length is beyond the limit.
    #[error("a control message of {0} bytes was announced; at most {limit} are allowed", limit = binary::LIMIT)]
    Length(u32),
    /// The stream ended or broke.
    #[error("the control stream broke")]
    Stream(#[source] std::io::Error),
    /// The bytes are not a message.
    #[error("a control message cannot be read")]
    Malformed(#[from] binary::DecodeError),
    /// The message cannot be written.
    #[error("a control message cannot be written")]
    Unwritable(#[from] binary::EncodeError),
}

impl Hello {
    /// Whether the worker claims to hold more plans than any worker does.
    pub const fn is_absurd(&self) -> bool {
        self.live.len() > LIVE_MAX
    }
}

/// What a direction of a control stream begins with.
pub fn preamble() -> [u8; PREAMBLE_BYTES] {
    let ([m0, m1, m2, m3], [v0, v1]) = (MAGIC, PROTOCOL_VERSION.to_be_bytes());
    [m0, m1, m2, m3, v0, v1]
}

/// Checks what the peer's direction begins with.
///
/// # Errors
/// If it is not ours, or of another version.
pub fn check_preamble(bytes: [u8; PREAMBLE_BYTES]) -> Result<(), FrameError> {
    let [m0, m1, m2, m3, v0, v1] = bytes;
    if [m0, m1, m2, m3] != MAGIC {
        return Err(FrameError::Magic);
    }
    match u16::from_be_bytes([v0, v1]) {
        PROTOCOL_VERSION => Ok(()),
        found => Err(FrameError::Version { found }),
    }
}

/// A message with its length in front.
///
/// # Errors
/// If it exceeds [`binary::LIMIT`].
pub fn frame<T: Serialize>(message: &T) -> Result<Vec<u8>, FrameError> {
    let body = binary::encode(message)?;
    let mut bytes = Vec::with_capacity(4 + body.len());
    bytes.extend_from_slice(&(body.len() as u32).to_be_bytes());
    bytes.extend_from_slice(&body);
    Ok(bytes)
}

/// Reads the length in front of a message.
///
/// # Errors
/// If it is beyond [`binary::LIMIT`].
pub fn frame_length(prefix: [u8; 4]) -> Result<usize, FrameError> {
    let length = u32::from_be_bytes(prefix);
    if length as usize > binary::LIMIT { Err(FrameError::Length(length)) } else { Ok(length as usize) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_frame_carries_a_message() {
        let message = ToWorker::Reject { reason: "unknown".into() };
        let bytes = frame(&message).unwrap();
        let (prefix, body) = bytes.split_at(4);
        assert_eq!(frame_length(prefix.try_into().unwrap()).unwrap(), body.len());
        assert_eq!(binary::decode::<ToWorker>(body).unwrap(), message);
    }

    #[test]
    fn a_peers_text_is_cut_and_cannot_forge_a_line() {
        let hostile = format!("ok\n2026 ERROR forged {}", "x".repeat(10_000));
        let bytes = binary::encode(&hostile).unwrap();
        let read: Reason = binary::decode(&bytes).unwrap();
        assert!(!read.contains('\n') && read.chars().count() == REASON_MAX);
    }

    #[test]
    fn another_version_is_named_before_anything_else_is_read() {
        assert!(check_preamble(preamble()).is_ok());
        let error = check_preamble(*b"WEIR\x00\x63").unwrap_err().to_string();
        assert!(error.contains("version 99") && error.contains("same release"), "{error}");
    }

    #[test]
    fn a_giant_frame_is_refused_by_its_length() {
        assert!(matches!(frame_length([0xff; 4]), Err(FrameError::Length(u32::MAX))));
    }

    proptest! {
        #[test]
        fn hostile_messages_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
            let _ = binary::decode::<ToWorker>(&bytes);
            let _ = binary::decode::<FromWorker>(&bytes);
        }
    }
}
