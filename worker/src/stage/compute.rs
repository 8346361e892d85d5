//! The compute thread: the one thread that runs the stage, fed through a queue of a few jobs.
//!
//! What it runs is behind [`Compute`], so that a simulation can replace libtorch.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

use weir_shared::logging::span::Span;
use weir_shared::plan::{Plan, StageIndex, StageProgram};
use weir_shared::telemetry::LayerReading;
use weir_shared::wire::Header;
use weir_shared::wire::control::Loaded;

/// Jobs that wait inside the thread: with one, the next job is at hand when the last one ends.
const AHEAD: usize = 1;

/// A loaded stage.
pub trait Compute: Send + Sync {
    /// Computes a stage: one array for each inlet of `program` comes in, one for each value that it sends goes
    /// out, in the program's order, each `batch x channels x height x width`.
    ///
    /// # Errors
    /// If the operation fails; other requests are not affected.
    fn run(
        &self,
        program: &StageProgram,
        batch: usize,
        inputs: Vec<Vec<f32>>,
    ) -> Result<Vec<Vec<f32>>, ComputeFailed>;

    /// What loading it took.
    fn loaded(&self) -> Loaded;

    /// Whether the weights were in memory already, and have been tried by then.
    fn was_held(&self) -> bool {
        false
    }

    /// Equal for two that share their weights in memory.
    fn identity(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }
}

/// Loads the stage of a plan. Called off the actor's thread; it may read files and take long.
pub trait LoadStage: Send + Sync {
    /// Loads and verifies the weights of `stage`.
    ///
    /// # Errors
    /// A text for people that names the thing and the remedy.
    fn load(&self, plan: &Plan, stage: StageIndex) -> Result<Arc<dyn Compute>, String>;

    /// Times of the layers that stages of this loader have computed; none where they are not measured.
    fn layer_times(&self) -> Vec<LayerReading> {
        Vec::new()
    }
}

/// A stage execution failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the computation failed: {0}")]
pub struct ComputeFailed(pub String);

/// One stage execution.
pub struct Job {
    /// Header of the request, as it arrived.
    pub header: Header,
    /// When the request must be answered.
    pub deadline: tokio::time::Instant,
    /// The plan and stage to run.
    pub live: Arc<crate::plans::LivePlan>,
    /// One array for each inlet.
    pub inputs: Vec<Vec<f32>>,
    /// The span of this execution, where the request belongs to a trace.
    pub span: Option<Span>,
}

/// What became of a job.
pub struct Outcome {
    /// Header of the request.
    pub header: Header,
    /// When the request must be answered.
    pub deadline: tokio::time::Instant,
    /// The plan and stage that ran.
    pub live: Arc<crate::plans::LivePlan>,
    /// One array for each value that the stage sends.
    pub result: Result<Vec<Vec<f32>>, ComputeFailed>,
    /// Time on the thread.
    pub elapsed: Duration,
    /// The span of this execution, where the request belongs to a trace.
    pub span: Option<Span>,
}

/// Handle of the compute thread. The thread ends when this is dropped.
pub struct ComputeThread {
    jobs: SyncSender<Job>,
}

/// What has become of the jobs, in their order.
pub type Outcomes = tokio::sync::mpsc::Receiver<Outcome>;

impl ComputeThread {
    /// Starts the thread. `prepare` runs first, on it.
    ///
    /// # Errors
    /// If the system has no thread to give.
    pub fn start(prepare: impl FnOnce() + Send + 'static) -> std::io::Result<(Self, Outcomes)> {
        let (jobs, waiting) = sync_channel::<Job>(AHEAD);
        // Room for every job that is under way when the actor is slow to listen; beyond that the thread waits for it.
        let (done, outcomes) = tokio::sync::mpsc::channel(AHEAD + 2);
        let body = move || {
            prepare();
            for job in waiting {
                if done.blocking_send(run(job)).is_err() {
                    return;
                }
            }
        };
        std::thread::Builder::new().name("compute".to_owned()).spawn(body)?;
        Ok((Self { jobs }, outcomes))
    }

    /// Takes a job, or gives it back while the thread has enough.
    ///
    /// # Errors
    /// The job itself.
    pub fn try_run(&self, job: Job) -> Result<(), Box<Job>> {
        self.jobs.try_send(job).map_err(|refused| match refused {
            TrySendError::Full(job) | TrySendError::Disconnected(job) => Box::new(job),
        })
    }
}

/// A panic inside is this request's failure, not the thread's end.
fn run(job: Job) -> Outcome {
    let Job { header, deadline, live, inputs, span } = job;
    let batch = usize::from(header.batch);
    let started = Instant::now();
    let result = catch_unwind(AssertUnwindSafe(|| live.compute.run(live.program(), batch, inputs)));
    let elapsed = started.elapsed();
    let result = result.unwrap_or_else(|_| Err(ComputeFailed("the stage panicked".to_owned())));
    Outcome { header, deadline, live, result, elapsed, span }
}
