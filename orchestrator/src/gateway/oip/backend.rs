//! What the HTTP layer needs from the gateway behind it.
//!
//! The trait is the whole seam: tests put a function behind it, the orchestrator its admission and retries.

use std::time::Duration;

use futures_util::future::LocalBoxFuture;
use tokio::sync::OwnedSemaphorePermit;
use weir_shared::arch::Shape;
use weir_shared::plan::PlanId;
use weir_shared::wire::TraceContext;

use super::statistics::StatisticsSnapshot;

/// Computes what clients ask for. One exists per HTTP worker thread, so it need not be `Send`.
pub trait InferBackend: 'static {
    /// The one network that is served.
    fn model(&self) -> &ModelInfo;

    /// Whether a plan is committed, so that a request would be computed.
    fn is_ready(&self) -> bool;

    /// Whether a request would be admitted now; asked before its body is read.
    ///
    /// Under overload this is what keeps a refusal cheap: no body is buffered and no number parsed.
    ///
    /// # Errors
    /// With the failure that [`infer`](Self::infer) would return at once.
    fn admit(&self) -> Result<Permit, InferFailure> {
        if self.is_ready() { Ok(Permit::default()) } else { Err(InferFailure::NoPlan) }
    }

    /// Computes the logits of a batch.
    ///
    /// The future is dropped when the client goes away; it must then leave nothing behind.
    fn infer(&self, job: InferJob) -> LocalBoxFuture<'static, Result<InferDone, InferFailure>>;

    /// What was counted since the start.
    fn statistics(&self) -> StatisticsSnapshot;
}

/// A place for one request, held from before its body is read until it is answered, so that the bodies in memory
/// are bounded too.
#[derive(Debug, Default)]
pub struct Permit {
    _place: Option<OwnedSemaphorePermit>,
}

impl From<OwnedSemaphorePermit> for Permit {
    fn from(place: OwnedSemaphorePermit) -> Self {
        Self { _place: Some(place) }
    }
}

/// The network as clients see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelInfo {
    /// Name in URLs: `resnet20`.
    pub name: String,
    /// Version in URLs: `1`.
    pub version: String,
    /// Name of the input tensor, FP32 `[batch, channels, height, width]`.
    pub input_name: String,
    /// Shape of one image.
    pub image: Shape,
    /// Name of the output tensor, FP32 `[batch, classes]`.
    pub output_name: String,
    /// Logits per image.
    pub classes: u32,
    /// To how many pixels the shorter side of a photograph is brought before its middle is cut out.
    pub shorter_side: u32,
    /// Names of the classes in order of index, for the classification extension.
    pub labels: Option<Vec<String>>,
    /// The most images in one request, at least 1.
    pub max_batch: u16,
}

/// A checked request.
#[derive(Debug, Clone, PartialEq)]
pub struct InferJob {
    /// The images, NCHW: `batch * image.elements()` numbers.
    pub images: Vec<f32>,
    /// Number of images, 1 to `max_batch`.
    pub batch: u16,
    /// How long the client is willing to wait, if it said so.
    pub timeout: Option<Duration>,
    /// The trace that it belongs to, at the span in which it is answered.
    pub trace: Option<TraceContext>,
}

/// A computed answer.
#[derive(Debug, Clone, PartialEq)]
pub struct InferDone {
    /// The logits, `batch * classes` numbers, image by image.
    pub logits: Vec<f32>,
    /// The plan on which the whole request ran.
    pub plan: PlanId,
    /// How often the request was sent into the pipeline, at least 1.
    pub attempts: u8,
    /// From admission until the first stage got the request.
    pub queue: Duration,
    /// From then until the logits arrived.
    pub compute: Duration,
    /// Set where survivors answered in a dead worker's place.
    pub degraded: Option<Degraded>,
}

/// An answer without the layers of a worker that died.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Degraded {
    /// The accuracy to expect, 0 to 1, where the profile tells.
    pub expected_accuracy: Option<f64>,
}

/// Why there are no logits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InferFailure {
    /// More was offered than the cluster computes; nothing was tried.
    #[error("the cluster is overloaded: send the request again after {} ms", retry_after.as_millis())]
    Overloaded {
        /// When a new try is likely to be admitted.
        retry_after: Duration,
    },
    /// No plan is committed.
    #[error("no plan is committed yet: wait until GET /v2/health/ready answers 200")]
    NoPlan,
    /// The orchestrator is shutting down and admits nothing.
    #[error("the server is shutting down: send the request to another one, or again after it has restarted")]
    Draining,
    /// The time that the client or the server allows ran out.
    #[error("the request was not answered within {} ms: allow more in parameters.timeout", allowed.as_millis())]
    DeadlineExceeded {
        /// What was allowed.
        allowed: Duration,
    },
    /// Every attempt failed.
    #[error("the request failed after {attempts} attempts: {reason}")]
    Failed {
        /// How often it was sent into the pipeline.
        attempts: u8,
        /// What went wrong last, in words for the client.
        reason: String,
    },
}

impl ModelInfo {
    /// Bytes of one image as FP32.
    pub const fn image_bytes(&self) -> usize {
        self.image.elements() * size_of::<f32>()
    }

    /// Numbers in the largest batch of images.
    pub const fn max_elements(&self) -> usize {
        self.image.elements() * self.max_batch as usize
    }

    /// The input's shape as the protocol writes it: `[-1, channels, height, width]`.
    pub fn input_shape(&self) -> [i64; 4] {
        let Shape { channels, height, width } = self.image;
        [-1, channels.into(), height.into(), width.into()]
    }
}
