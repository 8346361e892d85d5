//! The networks of He et al. 2015 ("Deep Residual Learning for Image Recognition", arXiv 1512.03385).

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{Block, BlockId, Convolution, Family, Head, LayerId, Network, Pool, Shape, Shortcut};

/// A network of the catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Arch {
    /// CIFAR, 9 basic blocks.
    ResNet20,
    /// CIFAR, 15 basic blocks.
    ResNet32,
    /// CIFAR, 21 basic blocks.
    ResNet44,
    /// CIFAR, 27 basic blocks.
    ResNet56,
    /// CIFAR, 54 basic blocks.
    ResNet110,
    /// ImageNet, 8 basic blocks.
    ResNet18,
    /// ImageNet, 16 basic blocks.
    ResNet34,
    /// ImageNet, 16 bottleneck blocks.
    ResNet50,
    /// ImageNet, 33 bottleneck blocks.
    ResNet101,
    /// ImageNet, 50 bottleneck blocks.
    ResNet152,
}

/// The name is not in the catalogue.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown network {name:?}; known are {}", Arch::names().join(", "))]
pub struct UnknownArch {
    name: String,
}

/// Which kind of block a network stacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BlockKind {
    Basic,
    Bottleneck,
}

impl Arch {
    /// Every network of the catalogue, smallest first within its family.
    pub const ALL: [Self; 10] = [
        Self::ResNet20,
        Self::ResNet32,
        Self::ResNet44,
        Self::ResNet56,
        Self::ResNet110,
        Self::ResNet18,
        Self::ResNet34,
        Self::ResNet50,
        Self::ResNet101,
        Self::ResNet152,
    ];

    /// The name used in commands, files and URLs: `resnet20`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ResNet20 => "resnet20",
            Self::ResNet32 => "resnet32",
            Self::ResNet44 => "resnet44",
            Self::ResNet56 => "resnet56",
            Self::ResNet110 => "resnet110",
            Self::ResNet18 => "resnet18",
            Self::ResNet34 => "resnet34",
            Self::ResNet50 => "resnet50",
            Self::ResNet101 => "resnet101",
            Self::ResNet152 => "resnet152",
        }
    }

    fn names() -> Vec<&'static str> {
        Self::ALL.iter().map(|arch| arch.name()).collect()
    }

    /// The network as data, for the class count of its paper: 10 for CIFAR, 1,000 for ImageNet.
    pub fn network(self) -> Network {
        match self.family() {
            Family::Cifar => self.network_with(Shape::new(3, 32, 32), 10),
            Family::ImageNet => self.network_with(Shape::new(3, 224, 224), 1000),
        }
    }

    /// The network for another image size or class count.
    ///
    /// Both sides of the image should be multiples of 4 (CIFAR family) or 32 (ImageNet family); other sizes
    /// are computed with the rounding that convolutions use.
    pub fn network_with(self, input: Shape, classes: u32) -> Network {
        match self.family() {
            Family::Cifar => cifar(self, input, classes),
            Family::ImageNet => imagenet(self, input, classes),
        }
    }

    /// The family.
    pub const fn family(self) -> Family {
        match self {
            Self::ResNet20 | Self::ResNet32 | Self::ResNet44 | Self::ResNet56 | Self::ResNet110 => {
                Family::Cifar
            }
            Self::ResNet18 | Self::ResNet34 | Self::ResNet50 | Self::ResNet101 | Self::ResNet152 => {
                Family::ImageNet
            }
        }
    }

    /// Blocks in each block group, and their kind (He et al. 2015, section 4.2 and Table 1).
    const fn groups(self) -> (&'static [usize], BlockKind) {
        match self {
            Self::ResNet20 => (&[3, 3, 3], BlockKind::Basic),
            Self::ResNet32 => (&[5, 5, 5], BlockKind::Basic),
            Self::ResNet44 => (&[7, 7, 7], BlockKind::Basic),
            Self::ResNet56 => (&[9, 9, 9], BlockKind::Basic),
            Self::ResNet110 => (&[18, 18, 18], BlockKind::Basic),
            Self::ResNet18 => (&[2, 2, 2, 2], BlockKind::Basic),
            Self::ResNet34 => (&[3, 4, 6, 3], BlockKind::Basic),
            Self::ResNet50 => (&[3, 4, 6, 3], BlockKind::Bottleneck),
            Self::ResNet101 => (&[3, 4, 23, 3], BlockKind::Bottleneck),
            Self::ResNet152 => (&[3, 8, 36, 3], BlockKind::Bottleneck),
        }
    }
}

impl std::fmt::Display for Arch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Arch {
    type Err = UnknownArch;

    fn from_str(name: &str) -> Result<Self, UnknownArch> {
        let plain = name.to_ascii_lowercase().replace('-', "");
        let found = Self::ALL.into_iter().find(|arch| arch.name() == plain);
        found.ok_or_else(|| UnknownArch { name: name.to_owned() })
    }
}

impl TryFrom<String> for Arch {
    type Error = UnknownArch;

    fn try_from(name: String) -> Result<Self, UnknownArch> {
        name.parse()
    }
}

impl From<Arch> for String {
    fn from(arch: Arch) -> Self {
        arch.name().to_owned()
    }
}

/// He et al. 2015, section 4.2: 16, 32 and 64 channels, shortcut option A.
fn cifar(arch: Arch, input: Shape, classes: u32) -> Network {
    let stem = convolution("conv1", "bn1", input, 16, Kernel { size: 3, stride: 1 });
    let mut builder = Blocks::new(stem.output, 1);
    for (group, &count) in arch.groups().0.iter().enumerate() {
        let channels = 16 << group;
        for position in 0..count {
            builder.basic(group, position, channels, zero_padded);
        }
    }
    builder.finish(arch, Family::Cifar, input, stem, None, "linear", classes)
}

/// He et al. 2015, Table 1, with the stride on the 3x3 convolution and projections as torchvision has them.
fn imagenet(arch: Arch, input: Shape, classes: u32) -> Network {
    let stem = convolution("conv1", "bn1", input, 64, Kernel { size: 7, stride: 2 });
    let pool = Pool { kernel: 3, stride: 2, padding: 1 };
    let (groups, kind) = arch.groups();
    let mut builder = Blocks::new(strided(stem.output, pool.stride), 1);
    for (group, &count) in groups.iter().enumerate() {
        let channels = 64 << group;
        for position in 0..count {
            match kind {
                BlockKind::Basic => builder.basic(group, position, channels, projected),
                BlockKind::Bottleneck => builder.bottleneck(group, position, channels),
            }
        }
    }
    builder.finish(arch, Family::ImageNet, input, stem, Some(pool), "fc", classes)
}

#[derive(Clone, Copy)]
struct Kernel {
    size: u32,
    stride: u32,
}

/// Rows and columns that a padded window of odd size leaves at a stride: the ceiling of the quotient.
fn strided(shape: Shape, stride: u32) -> Shape {
    Shape { height: shape.height.div_ceil(stride), width: shape.width.div_ceil(stride), ..shape }
}

fn convolution(name: &str, norm_name: &str, input: Shape, channels: u32, kernel: Kernel) -> Convolution {
    Convolution {
        name: name.to_owned(),
        norm_name: norm_name.to_owned(),
        input,
        output: Shape { channels, ..strided(input, kernel.stride) },
        kernel: kernel.size,
        stride: kernel.stride,
        padding: kernel.size / 2,
    }
}

fn zero_padded(_: &str, input: Shape, output: Shape, stride: u32) -> Shortcut {
    Shortcut::ZeroPad { stride, channels_each_side: (output.channels - input.channels) / 2 }
}

fn projected(block: &str, input: Shape, output: Shape, stride: u32) -> Shortcut {
    let (name, norm) = (format!("{block}.downsample.0"), format!("{block}.downsample.1"));
    Shortcut::Projection(convolution(&name, &norm, input, output.channels, Kernel { size: 1, stride }))
}

/// Builds a shortcut for a block that changes its shape: block name, input, output, stride.
type Reshape = fn(&str, Shape, Shape, u32) -> Shortcut;

/// Stacks blocks, keeping track of the shape and of the layer count.
struct Blocks {
    shape: Shape,
    next_layer: u16,
    blocks: Vec<Block>,
}

impl Blocks {
    fn new(shape: Shape, next_layer: u16) -> Self {
        Self { shape, next_layer, blocks: Vec::new() }
    }

    fn basic(&mut self, group: usize, position: usize, channels: u32, reshape: Reshape) {
        let kernels = [(channels, 3), (channels, 3)];
        self.push(group, position, &kernels, 0, reshape);
    }

    /// The expansion of 4 is He et al. 2015, Table 1; torchvision strides in the second convolution.
    fn bottleneck(&mut self, group: usize, position: usize, channels: u32) {
        let kernels = [(channels, 1), (channels, 3), (channels * 4, 1)];
        self.push(group, position, &kernels, 1, projected);
    }

    fn push(
        &mut self,
        group: usize,
        position: usize,
        convolutions: &[(u32, u32)],
        strided_conv: usize,
        reshape: Reshape,
    ) {
        let name = format!("layer{}.{position}", group + 1);
        let stride = if group > 0 && position == 0 { 2 } else { 1 };
        let input = self.shape;
        let mut branch = Vec::new();
        for (index, &(channels, size)) in convolutions.iter().enumerate() {
            let kernel = Kernel { size, stride: if index == strided_conv { stride } else { 1 } };
            let (conv, norm) = (format!("{name}.conv{}", index + 1), format!("{name}.bn{}", index + 1));
            let made = convolution(&conv, &norm, self.shape, channels, kernel);
            self.shape = made.output;
            branch.push(made);
        }
        let output = self.shape;
        let shortcut =
            if input == output { Shortcut::Identity } else { reshape(&name, input, output, stride) };
        let first_layer = LayerId(self.next_layer);
        self.next_layer += branch.len() as u16 + 1;
        let id = BlockId(self.blocks.len() as u16);
        self.blocks.push(Block { id, name, branch, shortcut, input, output, first_layer });
    }

    #[expect(clippy::too_many_arguments, reason = "called twice, once for each family, with named values")]
    fn finish(
        self,
        arch: Arch,
        family: Family,
        input: Shape,
        stem: Convolution,
        pool: Option<Pool>,
        head_name: &str,
        classes: u32,
    ) -> Network {
        let head = Head { name: head_name.to_owned(), input: self.shape, classes };
        Network::new(arch, family, input, stem, pool, self.blocks, head)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_published(arch: Arch, parameters_millions: f64, macs_billions: f64) {
        let network = arch.network();
        let parameters = network.parameter_count() as f64 / 1e6;
        let macs = network.macs() as f64 / 1e9;
        assert!((parameters - parameters_millions).abs() < 0.006, "{arch}: {parameters} M parameters");
        assert!((macs - macs_billions).abs() / macs_billions < 0.02, "{arch}: {macs} G MACs");
    }

    #[test]
    fn costs_match_published_figures() {
        // Parameters: He et al. 2015, Table 6 (CIFAR), and torchvision's model cards. MACs: section 4.2 gives
        // none; the CIFAR figures are those of the widely used third-party checkpoints.
        check_published(Arch::ResNet20, 0.27, 0.0408);
        check_published(Arch::ResNet56, 0.855, 0.1257);
        check_published(Arch::ResNet110, 1.73, 0.2535);
        check_published(Arch::ResNet18, 11.69, 1.814);
        check_published(Arch::ResNet34, 21.80, 3.664);
        check_published(Arch::ResNet50, 25.56, 4.089);
        check_published(Arch::ResNet101, 44.55, 7.801);
        check_published(Arch::ResNet152, 60.19, 11.514);
    }

    #[test]
    fn names_are_read_as_people_write_them() {
        assert_eq!("ResNet-50".parse(), Ok(Arch::ResNet50));
        let error = "resnet51".parse::<Arch>().unwrap_err().to_string();
        assert!(error.contains("resnet51") && error.contains("resnet50"), "{error}");
    }

    #[test]
    fn layers_are_numbered_in_order_of_computation() {
        for arch in Arch::ALL {
            let network = arch.network();
            for (index, layer) in network.layers().iter().enumerate() {
                assert_eq!(usize::from(layer.id.0), index);
            }
            for block in &network.blocks {
                let join = network.layer(block.join_layer()).map(|layer| layer.kind);
                assert_eq!(join, Some(super::super::LayerKind::Join { block: block.id }));
            }
        }
    }

    #[test]
    fn a_projection_waits_for_the_join_only_where_it_grows_the_tensor() {
        let network = Arch::ResNet50.network();
        let shape_in = |name: &str| {
            let block = network.blocks.iter().find(|block| block.name == name).map(Block::shortcut_shape);
            block.map(|shape| shape.to_string())
        };
        assert_eq!(shape_in("layer1.0").as_deref(), Some("64x56x56"));
        assert_eq!(shape_in("layer2.0").as_deref(), Some("512x28x28"));
    }
}
