//! Why a profile cannot be used.

use super::schema::VERSION;
use crate::arch::Arch;
use crate::digest::Digest;
use crate::plan::ActiveSetError;

/// The longest profile that is read, in bytes; a full study of ResNet-110 has about 2 MB.
pub const BYTES_MAX: usize = 16 << 20;

/// What is wrong with a profile.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// Far longer than any profile.
    #[error("{0} bytes are no profile, {BYTES_MAX} is the most that is read; check the path")]
    TooLong(usize),
    /// No profile at all.
    #[error("this is not an accuracy profile; write one with weir-worker study")]
    Json(#[from] serde_json::Error),
    /// Another version of the format.
    #[error(
        "the profile has version {0}, and {VERSION} is read; write it again with this release's weir-worker study"
    )]
    Version(u32),
    /// Of another network.
    #[error("the profile is of {profile}, but the network is {network}; study the network that is served")]
    OtherNetwork {
        /// The profile's.
        profile: String,
        /// The one at hand.
        network: String,
    },
    /// Of the same network with other weights.
    #[error(
        "the profile is of weights {profile}, but those served are {served}; serve the weights that were studied, or \
         run weir-worker study on these"
    )]
    OtherWeights {
        /// The profile's.
        profile: Digest,
        /// The ones at hand.
        served: Digest,
    },
    /// A set names blocks that the network does not have.
    #[error("the active set {off:?} is not one of {arch}; write the profile again with weir-worker study")]
    Set {
        /// Its name.
        off: String,
        /// The network.
        arch: Arch,
        /// What is wrong.
        source: ActiveSetError,
    },
    /// The parts of a profile contradict each other.
    #[error(
        "{what} {which:?} contradicts the rest of the profile; it was edited: write it again with weir-worker study"
    )]
    Contradiction {
        /// What kind of entry.
        what: &'static str,
        /// Which one.
        which: String,
    },
}
