//! The file `*.profile.json`, field by field. docs/profile.md shows it to people.
//!
//! These are the bare fields; [`Profile`](super::Profile) is what has been checked.

use serde::{Deserialize, Serialize};

use super::{Errors, Score};
use crate::arch::{LayerId, NetworkSpec};
use crate::digest::Digest;
use crate::plan::plan::BatchNorm;
use crate::plan::{ActiveSet, Encoding};

/// The version that is written and read.
pub const VERSION: u32 = 1;

/// A whole file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// Version of this format.
    pub version: u32,
    /// The network.
    pub network: NetworkSpec,
    /// Its weights: [`weights_digest`](super::weights_digest) of the digests of its layers.
    pub weights: Digest,
    /// What was measured on.
    pub data: StudyData,
    /// Everything active, on the validation split.
    pub full_validation: Score,
    /// Everything active, on the test split.
    pub full_test: Score,
    /// Measured active sets; the full one is not among them.
    pub sets: Vec<SetResult>,
    /// Orders of dropping: the first `k` connections of one are the best set of `k` that greed found.
    pub orders: Vec<Order>,
    /// One entry for each cut and each encoding that rounds; f32 is exact and has none.
    pub encodings: Vec<EncodingResult>,
    /// How far predictions for unmeasured sets are off, on sets held out; none where too few were measured.
    pub surrogate: Option<Errors>,
    /// Who made this file and how.
    pub provenance: Provenance,
}

/// The images of a study.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StudyData {
    /// The data set's name.
    pub name: String,
    /// The seed of a data set that is drawn.
    pub seed: Option<u64>,
    /// Choices were made on these.
    pub validation: SplitData,
    /// Reported figures are of these.
    pub test: SplitData,
}

/// The images of one split: its first `images`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SplitData {
    /// Number of images.
    pub images: u32,
    /// SHA-256 of their records.
    pub sha256: Digest,
}

/// A measured active set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetResult {
    /// What is off, by name, as `weir-worker eval --active` takes it.
    pub off: String,
    /// The same by block number, as a plan carries it.
    pub active: ActiveSet,
    /// Why it was measured.
    pub kind: Kind,
    /// Share of the network's multiply-accumulate operations that are still computed, 0 to 1.
    pub macs_kept: f64,
    /// Bytes alive at a cut, as f32, averaged over all cut points, as a share of those with everything active.
    pub bytes_kept: f64,
    /// On the validation split; on fewer images than all where it was given up.
    pub validation: Score,
    /// On the test split; none where the set was given up on the validation split as hopeless.
    pub test: Option<Score>,
}

/// Why an active set was measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// One connection off.
    Single,
    /// Two connections off.
    Pair,
    /// Part of an [`Order`].
    Greedy,
    /// The last residual branches of a block group.
    Nested,
    /// Drawn.
    Random,
}

/// An order of dropping, each step the best that greed found on the validation split.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// Which connections it chose from.
    pub among: Among,
    /// Names of the connections, the first to go first; the first `k` are one of the profile's sets.
    pub connections: Vec<String>,
}

/// Which connections an order chooses from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Among {
    /// Residual branches.
    Branches,
    /// Shortcuts.
    Shortcuts,
    /// Both, by what is lost for each share of operations and bytes that is saved.
    Joint,
}

/// An encoding at one cut, everything active.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EncodingResult {
    /// The cut point.
    pub cut: LayerId,
    /// Name of the layer behind the cut.
    pub before: String,
    /// The encoding.
    pub encoding: Encoding,
    /// Bytes of everything alive there, for one image.
    pub bytes: u64,
    /// On the validation split.
    pub validation: Score,
    /// On the test split.
    pub test: Score,
}

/// Who made a profile and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provenance {
    /// The command that makes it again.
    pub command: String,
    /// Program and version.
    pub release: String,
    /// Seeds every drawn set.
    pub seed: u64,
    /// Images computed at once: logits depend on it in the last bits.
    pub batch: u32,
    /// How batch normalisation was computed.
    pub batch_norm: BatchNorm,
}
