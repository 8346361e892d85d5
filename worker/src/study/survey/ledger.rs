//! What has been measured, batch by batch, and a file of it: a study that was killed loses seconds.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use weir_shared::arch::NetworkSpec;
use weir_shared::digest::Digest;
use weir_shared::weights::atomic;

use super::SurveyError;
use crate::dataset::Split;

/// What figures depend on; a ledger of anything else is of no use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Key {
    /// The network.
    pub network: NetworkSpec,
    /// Its weights.
    pub weights: Digest,
    /// Validation and test images.
    pub images: [Digest; 2],
    /// Images computed at once.
    pub batch: usize,
}

/// Right answers of each variant in each batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ledger {
    key: Key,
    validation: BTreeMap<String, BTreeMap<u32, u32>>,
    test: BTreeMap<String, BTreeMap<u32, u32>>,
}

impl Ledger {
    /// A ledger of nothing.
    pub const fn new(key: Key) -> Self {
        Self { key, validation: BTreeMap::new(), test: BTreeMap::new() }
    }

    /// Where the ledger of the study that makes `output` lies: `<output>.state`.
    pub fn beside(output: &Path) -> PathBuf {
        let mut name = OsString::from(output);
        name.push(".state");
        PathBuf::from(name)
    }

    /// Reads the ledger of the study that `key` describes; `None` if there is no file.
    ///
    /// # Errors
    /// If the file is damaged or of another study.
    pub fn load(path: &Path, key: &Key) -> Result<Option<Self>, SurveyError> {
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(source) if source.kind() == ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(SurveyError::File { action: "read", path: path.to_owned(), source }),
        };
        let ledger: Self =
            serde_json::from_slice(&bytes).map_err(|_| SurveyError::DamagedState(path.to_owned()))?;
        let found = &ledger.key;
        let differs = [
            (found.network != key.network, "networks"),
            (found.weights != key.weights, "weights"),
            (found.images != key.images, "images"),
            (found.batch != key.batch, "--batch"),
        ];
        match differs.into_iter().find(|(differs, _)| *differs) {
            Some((_, what)) => Err(SurveyError::OtherStudy { path: path.to_owned(), what }),
            None => Ok(Some(ledger)),
        }
    }

    /// Writes the ledger, replacing the previous one as a whole.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn save(&self, path: &Path) -> Result<(), SurveyError> {
        let failed = |source| SurveyError::File { action: "write", path: path.to_owned(), source };
        let json = serde_json::to_vec(self).map_err(|error| failed(error.into()))?;
        atomic::replace(path, |file| file.write_all(&json)).map_err(failed)
    }

    /// Right answers of `variant` in one batch, if it was measured.
    pub fn get(&self, split: Split, variant: &str, batch: u32) -> Option<u32> {
        self.of(split).get(variant)?.get(&batch).copied()
    }

    /// Notes right answers.
    pub fn put(&mut self, split: Split, variant: &str, batch: u32, correct: u32) {
        let counts = match split {
            Split::Test => &mut self.test,
            Split::Train | Split::Validation => &mut self.validation,
        };
        counts.entry(variant.to_owned()).or_default().insert(batch, correct);
    }

    const fn of(&self, split: Split) -> &BTreeMap<String, BTreeMap<u32, u32>> {
        match split {
            Split::Test => &self.test,
            Split::Train | Split::Validation => &self.validation,
        }
    }
}
