//! Why a study cannot begin, go on or be kept.

use std::path::PathBuf;

use weir_shared::plan::ActiveSetError;
use weir_shared::profile::{ProfileError, score::ScoreError};

use crate::resnet::ComputeError;
use crate::study::evaluate::EvaluateError;

/// A step of a study that failed.
#[derive(Debug, thiserror::Error)]
pub enum SurveyError {
    /// Network and images do not fit.
    #[error("the network can not be studied on these images")]
    Fit(#[from] EvaluateError),
    /// The network failed.
    #[error("the network could not be computed; a smaller --batch needs less memory")]
    Compute(#[from] ComputeError),
    /// The ledger is of another study.
    #[error(
        "{} is the state of a study of other {what}; give the same options to resume it, or --resume never to begin \
         anew",
        path.display()
    )]
    OtherStudy {
        /// The state file.
        path: PathBuf,
        /// What differs.
        what: &'static str,
    },
    /// The ledger can not be read.
    #[error("{} is not the state of a study or is damaged; begin anew with --resume never", .0.display())]
    DamagedState(PathBuf),
    /// There is no ledger.
    #[error("there is no state to resume at {}; leave out --resume always to begin", .0.display())]
    NothingToResume(PathBuf),
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
    /// A set could not be made.
    #[error("an active set could not be made")]
    ActiveSet(#[from] ActiveSetError),
    /// A score could not be made.
    #[error("nothing was measured; raise --images-validation and --images-test")]
    Score(#[from] ScoreError),
    /// The profile contradicts itself.
    #[error("the measurements make no profile")]
    Profile(#[from] ProfileError),
    /// A computing thread ended early.
    #[error(
        "a computing thread ended before its work was done; run the command again, it goes on where it stopped"
    )]
    Lost,
}
