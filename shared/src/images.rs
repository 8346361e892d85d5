//! What becomes of a photograph before a network sees it.
//!
//! Training, measuring and every client must do the same, or the network answers about another image. The worker
//! prepares data sets by it; the gateway tells clients in the metadata of the network.

use crate::arch::{Family, Network};

/// Mean of each channel, with pixels in 0 to 1.
///
/// These are ImageNet's figures. The widely used CIFAR-10 checkpoints (akamaster/pytorch_resnet_cifar10) were
/// trained with them, and one normalisation for all data sets keeps checkpoints and demonstrations alike.
pub const MEAN: [f32; 3] = [0.485, 0.456, 0.406];

/// Standard deviation of each channel; the source is that of [`MEAN`].
pub const STANDARD_DEVIATION: [f32; 3] = [0.229, 0.224, 0.225];

/// The number that a network takes for a pixel's `byte` in a channel of this mean and standard deviation.
///
/// In this order, as torchvision's ToTensor and Normalize compute it, so that results match to the bit.
pub fn normalise(byte: u8, mean: f32, deviation: f32) -> f32 {
    (f32::from(byte) / 255.0 - mean) / deviation
}

/// To how many pixels the shorter side of a photograph is brought; the middle of the network's input size is then cut
/// out.
///
/// Networks of the ImageNet family are tested on the middle 224 of 256 (He et al. 2015, section 3.4, and torchvision's
/// recipe); those of the CIFAR family see the whole image.
pub fn shorter_side(network: &Network) -> u32 {
    let side = network.input.height.max(network.input.width);
    match network.family {
        Family::Cifar => side,
        Family::ImageNet => (side * 256).div_ceil(224),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arch::{Arch, Shape};

    #[test]
    fn a_photograph_is_brought_to_the_size_of_the_paper() {
        assert_eq!(shorter_side(&Arch::ResNet20.network()), 32);
        assert_eq!(shorter_side(&Arch::ResNet50.network()), 256);
        assert_eq!(shorter_side(&Arch::ResNet18.network_with(Shape::new(3, 64, 64), 10)), 74);
    }
}
