//! A checked profile, and the one question that planners ask it: what does this active set cost?

use std::collections::HashMap;

use serde::Deserialize;

use super::error::BYTES_MAX;
use super::schema::VERSION;
use super::{Document, ErrorSummary, ProfileError, Score, SetResult, Surrogate};
use crate::arch::{Network, NetworkSpec};
use crate::digest::{Digest, Hasher};
use crate::plan::{ActiveSet, Dataflow, Encoding};

/// Opens the bytes that are hashed, so that a later definition can never give the same digest by accident.
const DOMAIN: &[u8] = b"weir weights 1\n";

/// How far a share in a file may be from what the network gives: text rounds in the last digit.
const ROUNDING: f64 = 1e-9;

/// How far the stated surrogate errors may be from those found here, in points: machines round logarithms differently.
const ERROR_ROUNDING: f64 = 1e-3;

/// A profile in which everything fits together.
#[derive(Debug, Clone)]
pub struct Profile {
    document: Document,
    index: HashMap<ActiveSet, usize>,
    surrogate: Option<Surrogate>,
}

/// What an active set loses against everything active, in percentage points of accuracy.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Loss {
    /// It was measured.
    Measured {
        /// On `images`; negative where it is better than the whole network.
        points: f64,
        /// Images of the test split; of the validation split where it was given up there as hopeless.
        images: u32,
    },
    /// It was not measured.
    Predicted {
        /// What the surrogate says; never below zero.
        points: f64,
        /// 95 % of held-out sets were off by no more than this: plan with the sum of both.
        margin: f64,
    },
    /// It was not measured, and the profile has too few sets to predict from: do not use it.
    Unknown,
}

/// The name of a network's weights by content: of the digests of its layers, in order of layers.
///
/// SHA-256 of the text `weir weights 1`, a line feed, and the 32 bytes of each digest.
pub fn weights_digest(layers: &[Digest]) -> Digest {
    let mut hasher = Hasher::default();
    hasher.update(DOMAIN);
    layers.iter().for_each(|layer| hasher.update(layer.as_bytes()));
    hasher.finish()
}

/// Bytes alive at a cut as f32, one image, averaged over all cut points of `network`.
pub fn mean_cut_bytes(network: &Network, active: &ActiveSet) -> f64 {
    let flow = Dataflow::new(network, active);
    let cuts = network.layers().iter().skip(1);
    let elements: usize = cuts.map(|layer| flow.live_elements(layer.id)).sum();
    (elements * size_of::<f32>()) as f64 / f64::from(network.layer_count().saturating_sub(1).max(1))
}

/// Multiply-accumulate operations that `active` keeps of one image.
pub fn macs(network: &Network, active: &ActiveSet) -> u64 {
    let off = |block: &&crate::arch::Block| !active.branch(block.id);
    let branch = |block: &crate::arch::Block| block.branch.iter().map(|conv| conv.macs()).sum::<u64>();
    let projections =
        network.blocks.iter().filter(|block| !active.shortcut(block.id)).filter_map(|b| b.projection());
    let dropped = network.blocks.iter().filter(off).map(branch).sum::<u64>();
    network.macs() - dropped - projections.map(|conv| conv.macs()).sum::<u64>()
}

impl Profile {
    /// Checks `document` as a whole and fits the surrogate.
    ///
    /// # Errors
    /// If its parts do not fit its network or each other.
    pub fn new(document: Document) -> Result<Self, ProfileError> {
        if document.version != VERSION {
            return Err(ProfileError::Version(document.version));
        }
        let network = document.network.network();
        let index = check_sets(&document, &network)?;
        check_splits(&document)?;
        check_orders(&document, &network, &index)?;
        check_encodings(&document, &network)?;
        let surrogate = Surrogate::fit(&network, &document);
        check_errors(&document, surrogate.as_ref())?;
        Ok(Self { document, index, surrogate })
    }

    /// Fills in what the surrogate's errors are and checks the whole.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn from_measurements(mut document: Document) -> Result<Self, ProfileError> {
        let surrogate = Surrogate::fit(&document.network.network(), &document);
        document.surrogate = surrogate.map(|surrogate| surrogate.errors());
        Self::new(document)
    }

    /// Reads a file's bytes.
    ///
    /// # Errors
    /// If they are no profile, of another version, or contradict themselves.
    pub fn from_json(bytes: &[u8]) -> Result<Self, ProfileError> {
        #[derive(Deserialize)]
        struct Versioned {
            version: u32,
        }
        if bytes.len() > BYTES_MAX {
            return Err(ProfileError::TooLong(bytes.len()));
        }
        // The version comes first: a later one may well have other fields.
        let Versioned { version } = serde_json::from_slice(bytes)?;
        if version != VERSION {
            return Err(ProfileError::Version(version));
        }
        Self::new(serde_json::from_slice(bytes)?)
    }

    /// The file's bytes.
    ///
    /// # Errors
    /// Never in practice: every field can be written.
    pub fn to_json(&self) -> Result<Vec<u8>, ProfileError> {
        let mut bytes = serde_json::to_vec_pretty(&self.document)?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// Checks that this is about the network `spec` with the weights that the layers' digests name.
    ///
    /// # Errors
    /// Says which of the two differs.
    pub fn check_about(&self, spec: &NetworkSpec, layers: &[Digest]) -> Result<(), ProfileError> {
        let own = &self.document.network;
        if own != spec {
            let text = |spec: &NetworkSpec| {
                let network = spec.network();
                format!(
                    "{} for images of {} and {} classes",
                    spec.arch(),
                    network.input,
                    network.head.classes
                )
            };
            return Err(ProfileError::OtherNetwork { profile: text(own), network: text(spec) });
        }
        let (profile, served) = (self.document.weights, weights_digest(layers));
        if profile == served { Ok(()) } else { Err(ProfileError::OtherWeights { profile, served }) }
    }

    /// The fields.
    pub const fn document(&self) -> &Document {
        &self.document
    }

    /// What was measured of `active`, if it was.
    pub fn measured(&self, active: &ActiveSet) -> Option<&SetResult> {
        self.index.get(active).map(|&index| &self.document.sets[index])
    }

    /// What `active` loses. A measured set may be planned with as is, a predicted one only with its margin.
    ///
    /// `active` must be a set of this profile's network.
    pub fn loss(&self, active: &ActiveSet) -> Loss {
        if active.is_full() {
            return Loss::Measured { points: 0.0, images: self.document.full_test.count() };
        }
        if let Some(set) = self.measured(active) {
            let (points, score) = self.document.loss_of(set);
            return Loss::Measured { points, images: score.count() };
        }
        match &self.surrogate {
            Some(surrogate) => {
                let points = surrogate.predict(active);
                Loss::Predicted { points, margin: surrogate.errors().margin(points) }
            }
            None => Loss::Unknown,
        }
    }

    /// What predicts unmeasured sets, where there is enough to predict from.
    pub const fn surrogate(&self) -> Option<&Surrogate> {
        self.surrogate.as_ref()
    }
}

impl Document {
    /// Points that `set` loses and the score they come from: of the test split if it got there.
    pub fn loss_of(&self, set: &SetResult) -> (f64, Score) {
        match set.test {
            Some(test) => (test.points_below(self.full_test), test),
            None => (set.validation.points_below(self.full_validation), set.validation),
        }
    }
}

fn contradiction(what: &'static str, which: impl Into<String>) -> ProfileError {
    ProfileError::Contradiction { what, which: which.into() }
}

fn check_sets(document: &Document, network: &Network) -> Result<HashMap<ActiveSet, usize>, ProfileError> {
    let (all_macs, all_bytes) = (network.macs() as f64, mean_cut_bytes(network, &ActiveSet::full()));
    let mut index = HashMap::with_capacity(document.sets.len());
    for (position, set) in document.sets.iter().enumerate() {
        let bad = |source| ProfileError::Set { off: set.off.clone(), arch: network.arch, source };
        set.active.check(network).map_err(bad)?;
        let named = ActiveSet::parse(&set.off, network).map_err(bad)?;
        let macs_kept = macs(network, &named) as f64 / all_macs;
        let bytes_kept = mean_cut_bytes(network, &named) / all_bytes;
        let shares = [(set.macs_kept, macs_kept), (set.bytes_kept, bytes_kept)];
        let fits = shares.iter().all(|(stated, found)| (stated - found).abs() < ROUNDING);
        if named != set.active || named.is_full() || !fits || index.insert(named, position).is_some() {
            return Err(contradiction("the set", &set.off));
        }
    }
    Ok(index)
}

fn check_splits(document: &Document) -> Result<(), ProfileError> {
    let (validation, test) = (document.data.validation.images, document.data.test.images);
    let whole = document.full_validation.count() == validation && document.full_test.count() == test;
    let fits = |set: &&SetResult| match set.test {
        Some(score) => score.count() == test && set.validation.count() == validation,
        None => set.validation.count() <= validation,
    };
    match document.sets.iter().find(|set| !fits(set)) {
        Some(set) => Err(contradiction("the number of images of", &set.off)),
        None if !whole => Err(contradiction("the number of images of", "the full network")),
        None => Ok(()),
    }
}

fn check_orders(
    document: &Document,
    network: &Network,
    index: &HashMap<ActiveSet, usize>,
) -> Result<(), ProfileError> {
    for order in &document.orders {
        for k in 1..=order.connections.len() {
            let off = order.connections[..k].join(",");
            let measured = ActiveSet::parse(&off, network).is_ok_and(|set| index.contains_key(&set));
            if !measured {
                return Err(contradiction("the order with", off));
            }
        }
    }
    Ok(())
}

fn check_encodings(document: &Document, network: &Network) -> Result<(), ProfileError> {
    let flow = Dataflow::new(network, &ActiveSet::full());
    for result in &document.encodings {
        let shapes = flow.live_at(result.cut).into_iter().filter_map(|value| flow.shape(value));
        let bytes: usize = shapes.map(|shape| result.encoding.payload_bytes(shape, 1)).sum();
        let named =
            network.layer(result.cut).is_some_and(|layer| network.layer_name(layer.kind) == result.before);
        let counts = result.validation.count() <= document.data.validation.images
            && result.test.count() == document.data.test.images;
        if !named
            || result.cut.0 == 0
            || result.bytes != bytes as u64
            || result.encoding == Encoding::F32
            || !counts
        {
            return Err(contradiction("the encoding at the cut before", &result.before));
        }
    }
    Ok(())
}

fn check_errors(document: &Document, surrogate: Option<&Surrogate>) -> Result<(), ProfileError> {
    let close = |stated: ErrorSummary, found: ErrorSummary| {
        let parts = [(stated.mean, found.mean), (stated.p95, found.p95), (stated.bound, found.bound)];
        stated.sets == found.sets && parts.iter().all(|(a, b)| (a - b).abs() < ERROR_ROUNDING)
    };
    let fits = match (document.surrogate, surrogate.map(Surrogate::errors)) {
        (Some(stated), Some(found)) => {
            close(stated.all, found.all)
                && close(stated.small, found.small)
                && close(stated.promised, found.promised)
        }
        (None, None) => true,
        _ => false,
    };
    if fits { Ok(()) } else { Err(contradiction("the error of", "the surrogate")) }
}
