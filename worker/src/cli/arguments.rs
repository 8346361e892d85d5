//! Arguments that several commands take alike.

use std::num::NonZeroU16;
use std::path::PathBuf;

use anyhow::Context as _;
use weir_shared::arch::{Arch, NetworkSpec};
use weir_shared::weights::Checkpoint;

use crate::dataset::{Dataset, DatasetError, DatasetName, Images, folder, shapes};

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
    /// Rows and columns to which the images of a folder are brought, 16 to 1024; without it those of the network's
    /// paper: 32 for the CIFAR family, 224 for the ImageNet family.
    #[arg(long, value_name = "N")]
    image_side: Option<NonZeroU16>,
}

impl NetworkArgs {
    /// The network for `images`: with the number of classes that its checkpoint has. A ResNet ends with a mean over the
    /// image, so its weights fit any size; the accuracy is best at the size that they were trained with.
    pub(super) fn spec(&self, checkpoint: &Checkpoint, images: &Images) -> anyhow::Result<NetworkSpec> {
        let classes = checkpoint.classes(self.arch)?;
        NetworkSpec::new(self.arch, images.shape(), classes)
            .context("this network can not take these images; a folder's are brought to --image-side")
    }
}

impl DataArgs {
    /// The data set, its images of the size that `arch` is to take.
    pub(super) fn dataset(&self, arch: Arch) -> Result<Dataset, DatasetError> {
        let usual = u16::try_from(arch.network().input.height).ok().and_then(NonZeroU16::new);
        let side = self.image_side.or(usual).unwrap_or(folder::SIDE);
        Ok(Dataset::new(self.dataset, self.data.clone(), self.data_seed)?.with_side(side))
    }
}
