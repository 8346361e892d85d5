//! Arguments that several commands take alike.

use std::num::NonZeroU16;
use std::path::PathBuf;

use weir_shared::arch::Arch;

use crate::dataset::{Dataset, DatasetError, DatasetName, folder, shapes};

/// A network with weights.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct NetworkArgs {
    /// The network, such as resnet20.
    #[arg(long)]
    pub(super) arch: Arch,
    /// Its checkpoint (safetensors).
    #[arg(long, value_name = "FILE")]
    pub(super) weights: PathBuf,
}

/// Where images come from; for every command that needs some.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct DataArgs {
    /// The data set.
    #[arg(long, value_enum)]
    dataset: DatasetName,
    /// The folder of a data set on disk.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Seeds a data set that is drawn; another seed draws other images.
    #[arg(long, value_name = "N", default_value_t = shapes::SEED)]
    data_seed: u64,
    /// Rows and columns to which the images of a folder are brought: 32 for networks of the CIFAR family, 224 for
    /// those of the ImageNet family.
    #[arg(long, value_name = "N", default_value_t = folder::SIDE)]
    image_side: NonZeroU16,
}

impl DataArgs {
    pub(super) fn dataset(&self) -> Result<Dataset, DatasetError> {
        Ok(Dataset::new(self.dataset, self.data.clone(), self.data_seed)?.with_side(self.image_side))
    }
}
