//! A network and an active set as single operations, each making one value.
//!
//! A value has one maker and may have several users: a block's input is used by its first convolution and, when
//! the shortcut is the identity, by its join. Because a value goes from its maker to each user, a shortcut
//! bypasses every worker that merely sits between the two.

use serde::{Deserialize, Serialize};

use crate::arch::{BlockId, LayerId, Network, Shape, Shortcut, ShortcutForm};

use super::ActiveSet;

/// One operation of a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Op {
    /// First convolution, and the pool behind it.
    Stem,
    /// Convolution `conv` of a residual branch.
    Conv {
        /// The block.
        block: BlockId,
        /// Index in the branch, from 0.
        conv: u8,
    },
    /// The shortcut's operation where it comes first: a shrinking projection, or sub-sampling.
    Shortcut {
        /// The block.
        block: BlockId,
    },
    /// `relu(F(x) + S(x))`, or relu of the one that is active.
    Join {
        /// The block.
        block: BlockId,
        /// What comes in.
        operands: Operands,
    },
    /// Pooling and classifier.
    Head,
}

impl Op {
    /// Multiply-accumulate operations for one image.
    pub fn macs(self, network: &Network) -> u64 {
        let projection = |block, early: bool| {
            let block = network.block(block);
            let is_early = matches!(block.shortcut_form(), ShortcutForm::Shrunk(_));
            block.projection().filter(|_| is_early == early).map_or(0, |conv| conv.macs())
        };
        match self {
            Self::Stem => network.stem.macs(),
            Self::Conv { block, conv } => {
                network.block(block).branch.get(usize::from(conv)).map_or(0, |conv| conv.macs())
            }
            Self::Shortcut { block } => projection(block, true),
            Self::Join { operands: Operands::BranchOnly, .. } => 0,
            Self::Join { block, .. } => projection(block, false),
            Self::Head => network.layers().last().map_or(0, |layer| layer.macs),
        }
    }
}

/// What a join adds. The order of inputs is branch, then shortcut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operands {
    /// Residual branch and shortcut.
    Both,
    /// The shortcut is off.
    BranchOnly,
    /// The residual branch is off.
    ShortcutOnly,
}

/// Names a value: the input image or what an operation makes. The number is the same in every active set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Value(pub u16);

impl Value {
    /// The input image.
    pub const INPUT: Self = Self(0);

    /// What a layer makes on the main path.
    const fn main(layer: LayerId) -> Self {
        Self(2 * layer.0 + 1)
    }

    /// What a layer makes for the shortcut.
    const fn shortcut(layer: LayerId) -> Self {
        Self(2 * layer.0 + 2)
    }

    /// The layer that makes this value; none makes the input.
    pub const fn made_in(self) -> Option<LayerId> {
        if self.0 == 0 { None } else { Some(LayerId((self.0 - 1) / 2)) }
    }
}

/// One operation with the values that it reads and the one that it makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What is computed.
    pub op: Op,
    /// The layer to which the work belongs.
    pub layer: LayerId,
    /// Values read, in the operation's order.
    pub inputs: Vec<Value>,
    /// Value made.
    pub output: Value,
    /// Its shape, for one sample.
    pub shape: Shape,
}

/// The operations that a network computes under an active set, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dataflow {
    steps: Vec<Step>,
    input: Shape,
}

impl Dataflow {
    /// Lists the operations of `network` that `active` keeps.
    pub fn new(network: &Network, active: &ActiveSet) -> Self {
        let mut flow = Self { steps: Vec::new(), input: network.input };
        let stem = LayerId(0);
        let mut x = flow.push(Op::Stem, stem, vec![Value::INPUT], Value::main(stem), network.stem_output());
        for block in &network.blocks {
            x = flow.push_block(network, block.id, active, x);
        }
        let head = LayerId(network.layer_count() - 1);
        flow.push(Op::Head, head, vec![x], Value::main(head), network.logits());
        flow
    }

    /// The operations in order.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// The value that holds the logits.
    pub fn output(&self) -> Value {
        self.steps.last().map_or(Value::INPUT, |step| step.output)
    }

    /// Shape of `value`, if this flow makes it.
    pub fn shape(&self, value: Value) -> Option<Shape> {
        if value == Value::INPUT {
            return Some(self.input);
        }
        self.steps.iter().find(|step| step.output == value).map(|step| step.shape)
    }

    /// The values alive at cut point `cut`: made by layers before it, used by layers from it on.
    ///
    /// In the order in which they were made, so the main one comes before a shortcut's made beside it.
    pub fn live_at(&self, cut: LayerId) -> Vec<Value> {
        let made_before = |value: Value| value.made_in().is_none_or(|layer| layer < cut);
        let used =
            self.steps.iter().filter(|step| step.layer >= cut).flat_map(|step| step.inputs.iter().copied());
        let mut live: Vec<Value> = used.filter(|&value| made_before(value)).collect();
        live.sort_unstable();
        live.dedup();
        live
    }

    /// Numbers in one sample of everything alive at `cut`.
    pub fn live_elements(&self, cut: LayerId) -> usize {
        self.live_at(cut).into_iter().filter_map(|value| self.shape(value)).map(Shape::elements).sum()
    }

    fn push(&mut self, op: Op, layer: LayerId, inputs: Vec<Value>, output: Value, shape: Shape) -> Value {
        self.steps.push(Step { op, layer, inputs, output, shape });
        output
    }

    fn push_block(&mut self, network: &Network, id: BlockId, active: &ActiveSet, x: Value) -> Value {
        let block = network.block(id);
        let branch_on = active.branch(id);
        // x is behind a relu already, and relu(relu(x)) = relu(x): the block is nothing at all.
        if !branch_on && matches!(block.shortcut, Shortcut::Identity) {
            return x;
        }
        let branch = branch_on.then(|| {
            block.branch.iter().zip(0u8..).fold(x, |h, (convolution, conv)| {
                let layer = LayerId(block.first_layer.0 + u16::from(conv));
                self.push(
                    Op::Conv { block: id, conv },
                    layer,
                    vec![h],
                    Value::main(layer),
                    convolution.output,
                )
            })
        });
        let shortcut = active.shortcut(id).then(|| match block.shortcut_form() {
            ShortcutForm::Input => x,
            ShortcutForm::Shrunk(shape) => {
                let layer = block.first_layer;
                self.push(Op::Shortcut { block: id }, layer, vec![x], Value::shortcut(layer), shape)
            }
        });
        let operands = match (branch, shortcut) {
            (Some(_), Some(_)) => Operands::Both,
            (Some(_), None) => Operands::BranchOnly,
            (None, _) => Operands::ShortcutOnly,
        };
        let inputs = branch.into_iter().chain(shortcut).collect();
        let layer = block.join_layer();
        self.push(Op::Join { block: id, operands }, layer, inputs, Value::main(layer), block.output)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arch::Arch;

    fn live(arch: Arch, off: &str, layer_name: &str) -> Vec<String> {
        let network = arch.network();
        let active = ActiveSet::parse(off, &network).unwrap();
        let flow = Dataflow::new(&network, &active);
        let cut = network.layers().iter().find(|layer| network.layer_name(layer.kind) == layer_name).unwrap();
        let shapes = flow.live_at(cut.id).into_iter().map(|value| flow.shape(value).unwrap().to_string());
        shapes.collect()
    }

    #[test]
    fn a_cut_between_blocks_sends_one_tensor() {
        assert_eq!(live(Arch::ResNet50, "", "layer2.1.conv1"), ["512x28x28"]);
    }

    #[test]
    fn a_cut_inside_a_block_sends_the_shortcut_too_unless_it_is_off() {
        assert_eq!(live(Arch::ResNet50, "", "layer2.1.conv2"), ["512x28x28", "128x28x28"]);
        assert_eq!(live(Arch::ResNet50, "S:layer2.1", "layer2.1.conv2"), ["128x28x28"]);
    }

    #[test]
    fn a_cut_inside_a_skipped_block_sends_its_input() {
        assert_eq!(live(Arch::ResNet50, "F:layer2.1", "layer2.1.conv2"), ["512x28x28"]);
    }

    #[test]
    fn zero_channels_do_not_travel() {
        assert_eq!(live(Arch::ResNet20, "", "layer2.0.conv2"), ["32x16x16", "16x16x16"]);
        assert_eq!(live(Arch::ResNet20, "F:layer2.0", "layer2.0.conv2"), ["16x16x16"]);
    }

    #[test]
    fn a_skipped_identity_block_costs_nothing() {
        let network = Arch::ResNet20.network();
        let skipped = ActiveSet::parse("F:layer1.1", &network).unwrap();
        let steps = Dataflow::new(&network, &skipped).steps().len();
        assert_eq!(steps + 3, Dataflow::new(&network, &ActiveSet::full()).steps().len());
    }
}
