//! Why training can not begin, go on or be kept.

use std::path::PathBuf;

use weir_shared::arch::SpecError;
use weir_shared::plan::ActiveSetError;
use weir_shared::weights::{CheckpointError, ManifestError, WriteError};

use crate::resnet::threads::ThreadError;
use crate::resnet::torch::TchError;

/// A step of training that failed.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// An option is out of range.
    #[error("{name} is {value}, but must be {allowed}")]
    Option {
        /// The option.
        name: &'static str,
        /// What was given.
        value: f64,
        /// What would do.
        allowed: &'static str,
    },
    /// Fewer images than one batch.
    #[error("{images} training images do not fill a batch of {batch}: take more images or a smaller --batch")]
    TooFewImages {
        /// Images there are.
        images: usize,
        /// Images in a step.
        batch: usize,
    },
    /// There is nothing to validate with.
    #[error("there is no validation image; raise --validation")]
    NoValidation,
    /// No such network.
    #[error("no such network can be trained; images of a folder take their size from --image-side")]
    Spec(#[from] SpecError),
    /// `--device cuda` without one.
    #[error("this libtorch sees no CUDA device; use --device cpu, or install a CUDA build of libtorch")]
    NoCuda,
    /// The loss is no number.
    #[error(
        "the loss became {loss} in step {step}: the learning rate is too high or the images are wrong; lower \
         --learning-rate and begin with --resume never"
    )]
    Diverged {
        /// The step, from 0.
        step: u64,
        /// What it became.
        loss: f64,
    },
    /// `--resume always` without a state.
    #[error("there is no state to resume at {}; leave out --resume always to begin", .0.display())]
    NothingToResume(PathBuf),
    /// The state is of another run.
    #[error(
        "{} is the state of a run with other {what}; give the same options to resume it, or --resume never to \
         begin anew",
        path.display()
    )]
    OtherRun {
        /// The state file.
        path: PathBuf,
        /// What differs.
        what: &'static str,
    },
    /// The state can not be read.
    #[error("{} is not a training state or is damaged; begin anew with --resume never", .0.display())]
    DamagedState(PathBuf),
    /// A file is no log.
    #[error("{} is no log of weir-worker train, or is damaged: see line {line}", path.display())]
    NoLog {
        /// The file.
        path: PathBuf,
        /// The first line that is wrong, from 1.
        line: usize,
    },
    /// A file can not be read or written.
    #[error("cannot {action} {}; check the folder and the free space (an earlier file is untouched)", path.display())]
    File {
        /// Read or write.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A sub-network could not be drawn.
    #[error("a sub-network could not be drawn")]
    ActiveSet(#[from] ActiveSetError),
    /// The network could not be written.
    #[error("the trained network could not be written")]
    Write(#[from] WriteError),
    /// The network could not be read back for its manifest.
    #[error("the trained network could not be read back")]
    Checkpoint(#[from] CheckpointError),
    /// The manifest could not be written.
    #[error("the manifest of the trained network could not be written")]
    Manifest(#[from] ManifestError),
    /// Libtorch computes with another number of threads than asked for.
    #[error("the number of threads could not be set")]
    Threads(#[from] ThreadError),
    /// A tensor operation failed.
    #[error("libtorch refused an operation; is there enough memory for this --batch?")]
    Torch(#[from] TchError),
}
