//! What a demonstration is asked to do.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use weir_shared::arch::Arch;

use super::topology::Conditions;

/// Images that are streamed when nobody says how many: some 40 s over the links of [`Conditions::Home`].
pub const IMAGES: usize = 500;

/// A demonstration.
#[derive(Debug, Clone)]
pub struct Config {
    /// Which images.
    pub dataset: Dataset,
    /// Their folder, for a data set on disk.
    pub data: Option<PathBuf>,
    /// The network.
    pub arch: Arch,
    /// Its checkpoint; without one, the one in `models/`.
    pub weights: Option<PathBuf>,
    /// How many images are streamed.
    pub images: usize,
    /// How many workers share the network.
    pub workers: usize,
    /// What the links are like.
    pub conditions: Conditions,
    /// Requests under way at once.
    pub concurrency: usize,
    /// Where the report, logs and certificates go.
    pub out: PathBuf,
    /// Where the binaries are; without it, beside this one.
    pub bin_dir: Option<PathBuf>,
}

/// A data set that workers know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dataset {
    /// Drawn by a seeded generator; needs no files.
    Shapes,
    /// The binary version of CIFAR-10, from --data.
    Cifar10,
}

/// There is no checkpoint.
#[derive(Debug, thiserror::Error)]
#[error(
    "there is no checkpoint {}; name one with --weights, or make one: weir-worker train --arch {arch} --dataset {} \
     (with random weights, for a trial: weir-worker init --arch {arch} --out FILE)",
    looked_for.display(),
    dataset.name()
)]
pub struct NoWeights {
    looked_for: PathBuf,
    arch: Arch,
    dataset: Dataset,
}

impl Dataset {
    /// The name in commands and files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Shapes => "shapes",
            Self::Cifar10 => "cifar10",
        }
    }
}

impl Config {
    /// The checkpoint: the one that was named, or `models/<dataset>-<network>.safetensors` here or in a folder
    /// above `program`, which finds it for a binary in a clone's `target/` wherever one calls it from.
    ///
    /// # Errors
    /// If there is none.
    pub fn weights_file(&self, program: &Path) -> Result<PathBuf, NoWeights> {
        let missing = |looked_for| NoWeights { looked_for, arch: self.arch, dataset: self.dataset };
        if let Some(named) = &self.weights {
            return if named.is_file() { Ok(named.clone()) } else { Err(missing(named.clone())) };
        }
        let usual = PathBuf::from(format!("models/{}-{}.safetensors", self.dataset.name(), self.arch));
        let above = program.ancestors().skip(1).map(|folder| folder.join(&usual));
        let mut candidates = std::iter::once(usual.clone()).chain(above);
        candidates.find(|path| path.is_file()).ok_or_else(|| missing(usual))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        Config {
            dataset: Dataset::Shapes,
            data: None,
            arch: Arch::ResNet20,
            weights: None,
            images: 1,
            workers: 4,
            conditions: Conditions::Home,
            concurrency: 1,
            out: PathBuf::new(),
            bin_dir: None,
        }
    }

    #[test]
    fn the_checkpoint_of_a_clone_is_found_from_anywhere() {
        let clone = tempfile::tempdir().unwrap();
        let usual = clone.path().join("models/shapes-resnet20.safetensors");
        std::fs::create_dir(clone.path().join("models")).unwrap();
        std::fs::write(&usual, "").unwrap();
        assert_eq!(config().weights_file(&clone.path().join("target/release/weir")).unwrap(), usual);
    }

    #[test]
    fn a_missing_checkpoint_is_named_with_the_remedy() {
        let weights = Some(PathBuf::from("/nowhere/w.safetensors"));
        let error = Config { weights, ..config() }.weights_file(Path::new("/weir")).unwrap_err().to_string();
        assert!(error.contains("/nowhere/w.safetensors") && error.contains("weir-worker train"), "{error}");
    }
}
