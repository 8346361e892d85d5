//! Where images come from: a choice, and loading one split of it.

use std::path::PathBuf;

use super::{Images, cifar10, shapes};

/// A data set by name, as commands take it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum DatasetName {
    /// CIFAR-10 in its binary form, in a folder.
    Cifar10,
    /// Images drawn by this program: ten classes of shape and texture.
    Shapes,
}

/// A data set with what it takes to load it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dataset {
    /// The folder that holds `data_batch_1.bin` and its like.
    Cifar10 {
        /// The folder.
        folder: PathBuf,
    },
    /// Drawn on the spot.
    Shapes {
        /// Another seed draws other images.
        seed: u64,
    },
}

/// Which part of a data set. The three share no image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, clap::ValueEnum)]
pub enum Split {
    /// What networks learn from.
    Train,
    /// What choices are made on, such as when to stop: never learnt from.
    Validation,
    /// What reported figures are measured on: nothing is chosen by it.
    Test,
}

/// Why no images could be loaded.
#[derive(Debug, thiserror::Error)]
pub enum DatasetError {
    /// `cifar10` without a folder.
    #[error("cifar10 needs the folder of its binary files: add --data DIR ({})", cifar10::HOW_TO_GET)]
    NoFolder,
    /// A file is wrong.
    #[error(transparent)]
    Cifar10(#[from] cifar10::Cifar10Error),
}

impl Dataset {
    /// The data set called `name`; `folder` is for those on disk, `seed` for those that are drawn.
    ///
    /// # Errors
    /// If the data set is on disk and no folder is given.
    pub fn new(name: DatasetName, folder: Option<PathBuf>, seed: u64) -> Result<Self, DatasetError> {
        match name {
            DatasetName::Cifar10 => Ok(Self::Cifar10 { folder: folder.ok_or(DatasetError::NoFolder)? }),
            DatasetName::Shapes => Ok(Self::Shapes { seed }),
        }
    }

    /// The name without the rest.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Cifar10 { .. } => "cifar10",
            Self::Shapes { .. } => "shapes",
        }
    }

    /// Loads the first `limit` images of `split`, or all of them.
    ///
    /// # Errors
    /// If a file is missing or is not what it should be; the message says which and what to do.
    pub fn load(&self, split: Split, limit: Option<usize>) -> Result<Images, DatasetError> {
        match self {
            Self::Cifar10 { folder } => Ok(cifar10::load(folder, split, limit)?),
            Self::Shapes { seed } => {
                Ok(shapes::load(*seed, split, limit.unwrap_or_else(|| shapes::default_count(split))))
            }
        }
    }
}

impl std::fmt::Display for Split {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Train => "train",
            Self::Validation => "validation",
            Self::Test => "test",
        })
    }
}
