//! A whole network: stem, blocks, head, and its layers with their costs.

use super::{Arch, Block, BlockId, Convolution, Layer, LayerId, LayerKind, Parameter, Shape, ShortcutForm};

/// The two families of He et al. 2015; they differ in stem, shortcut and checkpoint names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Section 4.2: 3x3 stem, three block groups, zero-padded shortcuts, 32x32 images.
    Cifar,
    /// Table 1: 7x7 stem with pool, four block groups, projection shortcuts, 224x224 images.
    ImageNet,
}

/// A max pool behind the stem's convolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pool {
    /// Rows and columns of the window.
    pub kernel: u32,
    /// Step of the window.
    pub stride: u32,
    /// Padding on each side.
    pub padding: u32,
}

/// Global average pooling and the classifier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Checkpoint name of the classifier: `linear` or `fc`.
    pub name: String,
    /// Shape that comes in.
    pub input: Shape,
    /// Number of classes.
    pub classes: u32,
}

/// A network as data.
#[derive(Debug, Clone)]
pub struct Network {
    /// Its name in the catalogue.
    pub arch: Arch,
    /// Its family.
    pub family: Family,
    /// Shape of one input image.
    pub input: Shape,
    /// The stem's convolution.
    pub stem: Convolution,
    /// The stem's pool, in the ImageNet family.
    pub pool: Option<Pool>,
    /// Residual blocks in order.
    pub blocks: Vec<Block>,
    /// Pooling and classifier.
    pub head: Head,
    layers: Vec<Layer>,
}

impl Head {
    fn parameters(&self) -> Vec<Parameter> {
        let (classes, features) = (self.classes as usize, self.input.channels as usize);
        vec![
            Parameter::learnt(format!("{}.weight", self.name), vec![classes, features]),
            Parameter::learnt(format!("{}.bias", self.name), vec![classes]),
        ]
    }
}

impl Network {
    pub(super) fn new(
        arch: Arch,
        family: Family,
        input: Shape,
        stem: Convolution,
        pool: Option<Pool>,
        blocks: Vec<Block>,
        head: Head,
    ) -> Self {
        let mut network = Self { arch, family, input, stem, pool, blocks, head, layers: Vec::new() };
        network.layers = network
            .layer_kinds()
            .into_iter()
            .enumerate()
            .map(|(index, kind)| network.describe(LayerId(index as u16), kind))
            .collect();
        network
    }

    /// All layers in the order of computation.
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// Number of layers. Cut points are `1..layer_count()`.
    pub fn layer_count(&self) -> u16 {
        self.layers.len() as u16
    }

    /// The layer at `id`, if the network has it.
    pub fn layer(&self, id: LayerId) -> Option<&Layer> {
        self.layers.get(usize::from(id.0))
    }

    /// The block at `id`.
    ///
    /// # Panics
    /// If the id is of another network: ids are only made by walking this one.
    pub fn block(&self, id: BlockId) -> &Block {
        &self.blocks[usize::from(id.0)]
    }

    /// A name for people: `stem`, `layer2.0.conv1`, `layer2.0.join`, `head`.
    pub fn layer_name(&self, kind: LayerKind) -> String {
        match kind {
            LayerKind::Stem => "stem".to_owned(),
            LayerKind::Conv { block, conv } => format!("{}.conv{}", self.block(block).name, conv + 1),
            LayerKind::Join { block } => format!("{}.join", self.block(block).name),
            LayerKind::Head => "head".to_owned(),
        }
    }

    /// The checkpoint tensors that a layer needs, in a fixed order.
    pub fn parameters(&self, kind: LayerKind) -> Vec<Parameter> {
        match kind {
            LayerKind::Stem => self.stem.parameters(),
            LayerKind::Head => self.head.parameters(),
            _ => self.convolutions(kind).iter().flat_map(|conv| conv.parameters()).collect(),
        }
    }

    /// Learnt parameters of the whole network.
    pub fn parameter_count(&self) -> u64 {
        self.layers.iter().map(|layer| layer.parameters).sum()
    }

    /// Multiply-accumulate operations of the whole network for one sample, everything active.
    pub fn macs(&self) -> u64 {
        self.layers.iter().map(|layer| layer.macs).sum()
    }

    /// Bytes of all checkpoint tensors.
    pub fn weight_bytes(&self) -> u64 {
        self.layers.iter().map(|layer| layer.weight_bytes).sum()
    }

    /// Shape behind the stem, the pool included.
    pub fn stem_output(&self) -> Shape {
        self.blocks.first().map_or(self.stem.output, |block| block.input)
    }

    /// Shape of the logits of one sample.
    pub fn logits(&self) -> Shape {
        Shape::new(self.head.classes, 1, 1)
    }

    fn layer_kinds(&self) -> Vec<LayerKind> {
        let of_block = |block: &Block| {
            let id = block.id;
            let convs = (0..block.branch.len() as u8).map(move |conv| LayerKind::Conv { block: id, conv });
            convs.chain([LayerKind::Join { block: id }])
        };
        let blocks = self.blocks.iter().flat_map(of_block);
        std::iter::once(LayerKind::Stem).chain(blocks).chain([LayerKind::Head]).collect()
    }

    /// The convolutions that are computed in a layer of a block: its own, and the shortcut's where it falls there.
    fn convolutions(&self, kind: LayerKind) -> Vec<&Convolution> {
        let projection_at = |block: &Block, early: bool| match block.shortcut_form() {
            ShortcutForm::Shrunk(_) => early,
            ShortcutForm::Input => !early,
        };
        match kind {
            LayerKind::Stem => vec![&self.stem],
            LayerKind::Conv { block, conv } => {
                let block = self.block(block);
                let own = &block.branch[usize::from(conv)];
                let shortcut = block.projection().filter(|_| conv == 0 && projection_at(block, true));
                std::iter::once(own).chain(shortcut).collect()
            }
            LayerKind::Join { block } => {
                let block = self.block(block);
                block.projection().filter(|_| projection_at(block, false)).into_iter().collect()
            }
            LayerKind::Head => Vec::new(),
        }
    }

    fn describe(&self, id: LayerId, kind: LayerKind) -> Layer {
        let parameters = self.parameters(kind);
        let learnt = parameters.iter().filter(|p| p.role == super::ParameterRole::Learnt);
        let macs = match kind {
            LayerKind::Head => u64::from(self.head.input.channels) * u64::from(self.head.classes),
            _ => self.convolutions(kind).iter().map(|conv| conv.macs()).sum(),
        };
        Layer {
            id,
            kind,
            macs,
            parameters: learnt.map(Parameter::elements).sum(),
            weight_bytes: parameters.iter().map(|p| p.elements() * size_of::<f32>() as u64).sum(),
        }
    }
}
