//! Where images come from: a choice, and loading one split of it.

use std::num::NonZeroU16;
use std::path::PathBuf;

use super::{Images, cifar10, folder, shapes};

/// A data set by name, as commands take it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum DatasetName {
    /// CIFAR-10 in its binary form, in a folder.
    Cifar10,
    /// Images drawn by this program: ten classes of shape and texture.
    Shapes,
    /// PNG and JPEG files of any size: a folder with one folder for each class.
    Folder,
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
    /// The folder that holds one folder for each class.
    Folder {
        /// The folder.
        folder: PathBuf,
        /// Rows and columns to which its images are brought.
        side: NonZeroU16,
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
    /// `folder` without a folder.
    #[error("the data set `folder` needs a folder with one folder of images for each class: add --data DIR")]
    NoClassFolder,
    /// A file is wrong.
    #[error(transparent)]
    Cifar10(#[from] cifar10::Cifar10Error),
    /// A folder or an image in it is wrong.
    #[error(transparent)]
    Folder(#[from] folder::FolderError),
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
            DatasetName::Folder => {
                Ok(Self::Folder { folder: folder.ok_or(DatasetError::NoClassFolder)?, side: folder::SIDE })
            }
        }
    }

    /// The same with images of a folder brought to `side` rows and columns; others have their size.
    pub fn with_side(self, side: NonZeroU16) -> Self {
        match self {
            Self::Folder { folder, .. } => Self::Folder { folder, side },
            Self::Cifar10 { .. } | Self::Shapes { .. } => self,
        }
    }

    /// The name without the rest.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Cifar10 { .. } => "cifar10",
            Self::Shapes { .. } => "shapes",
            Self::Folder { .. } => "folder",
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
            Self::Folder { folder, side } => Ok(folder::load(folder, *side, split, limit)?),
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
