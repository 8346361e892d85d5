//! Many variants of one network on the same images, with everything that they have in common computed once.
//!
//! Two active sets that differ first in block 20 agree on all that comes before it. So the variants' steps are
//! laid over each other: a step is the same as another if it is the same operation on the same values, and each is
//! computed once. Variants are taken in an order that walks the tree of their prefixes depth first, and a value
//! is let go when its last user is done, so only the values along one path are in memory.
//!
//! Always true: a variant gets the same bits as [`WholeNetwork::logits`](super::WholeNetwork::logits) gives it
//! alone, because each step is the same call on the same numbers.

use std::collections::HashMap;

use tch::{TchError, Tensor};
use weir_shared::arch::{LayerId, Network, Shape};
use weir_shared::plan::{ActiveSet, Dataflow, Encoding, Op, Step, Value};
use weir_shared::wire::codec;

use super::operation::{self, Operand};
use super::run::check_shape;
use super::{ComputeError, StageNetwork, tensor, threads};

/// One way to compute a network.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Variant {
    /// What is computed.
    pub active: ActiveSet,
    /// Where and how everything alive is written and read back, as between two workers.
    pub recoded: Option<(LayerId, Encoding)>,
}

/// The steps of several variants, each step once.
#[derive(Debug)]
pub struct SharedProgram {
    nodes: Vec<Node>,
    /// For each variant, in the caller's order, the node that makes its logits.
    outputs: Vec<usize>,
    input: Shape,
    cost: Cost,
}

/// Multiply-accumulate operations for one image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cost {
    /// Of every variant computed alone.
    pub alone: u64,
    /// With every common step computed once.
    pub shared: u64,
}

#[derive(Debug)]
struct Node {
    work: Work,
    inputs: Vec<usize>,
    /// How often the value is read; an output counts as one.
    users: usize,
}

#[derive(Debug)]
enum Work {
    Input,
    Step(Step),
    Recode { encoding: Encoding, shape: Shape },
}

/// What makes two steps the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Identity {
    Step(Op, Vec<usize>),
    Recode(Encoding, usize),
}

impl From<ActiveSet> for Variant {
    /// The set with nothing rounded.
    fn from(active: ActiveSet) -> Self {
        Self { active, recoded: None }
    }
}

impl Variant {
    /// Where this variant departs from the whole network, layer by layer: variants with equal beginnings share them.
    fn path(&self, network: &Network) -> Vec<u8> {
        let mut path = vec![0; usize::from(network.layer_count())];
        for block in &network.blocks {
            let choice = match (self.active.branch(block.id), self.active.shortcut(block.id)) {
                (true, true) => 0,
                (true, false) => 1,
                (false, _) => 2,
            };
            path[usize::from(block.first_layer.0)] = choice;
        }
        if let Some((cut, encoding)) = self.recoded
            && let Some(place) = path.get_mut(usize::from(cut.0))
        {
            *place += 3 * (1 + encoding as u8);
        }
        path
    }
}

impl SharedProgram {
    /// Lays `variants` of `network` over each other.
    pub fn new(network: &Network, variants: &[Variant]) -> Self {
        let mut order: Vec<(Vec<u8>, usize)> =
            variants.iter().enumerate().map(|(index, variant)| (variant.path(network), index)).collect();
        order.sort_unstable();
        let input = Node { work: Work::Input, inputs: Vec::new(), users: 0 };
        let mut program = Self {
            nodes: vec![input],
            outputs: vec![0; variants.len()],
            input: network.input,
            cost: Cost::default(),
        };
        let mut known = HashMap::new();
        for (_, index) in order {
            let output = program.lay(network, &variants[index], &mut known);
            program.nodes[output].users += 1;
            program.outputs[index] = output;
        }
        program
    }

    /// What sharing saves.
    pub const fn cost(&self) -> Cost {
        self.cost
    }

    fn lay(&mut self, network: &Network, variant: &Variant, known: &mut HashMap<Identity, usize>) -> usize {
        let flow = Dataflow::new(network, &variant.active);
        let mut made = HashMap::from([(Value::INPUT, 0)]);
        let live = variant.recoded.map_or_else(Vec::new, |(cut, _)| flow.live_at(cut));
        let mut last = 0;
        for step in flow.steps() {
            let mut inputs = Vec::with_capacity(step.inputs.len());
            for value in &step.inputs {
                let Some(&node) = made.get(value) else { continue };
                inputs.push(match (variant.recoded, flow.shape(*value)) {
                    // What crosses the cut is read as it came over the link.
                    (Some((cut, encoding)), Some(shape)) if step.layer >= cut && live.contains(value) => {
                        let work = Work::Recode { encoding, shape };
                        self.node(known, Identity::Recode(encoding, node), work, vec![node])
                    }
                    _ => node,
                });
            }
            let macs = step.op.macs(network);
            let before = self.nodes.len();
            last =
                self.node(known, Identity::Step(step.op, inputs.clone()), Work::Step(step.clone()), inputs);
            self.cost.alone += macs;
            self.cost.shared += if self.nodes.len() > before { macs } else { 0 };
            made.insert(step.output, last);
        }
        last
    }

    fn node(
        &mut self,
        known: &mut HashMap<Identity, usize>,
        identity: Identity,
        work: Work,
        inputs: Vec<usize>,
    ) -> usize {
        if let Some(&node) = known.get(&identity) {
            return node;
        }
        inputs.iter().for_each(|&input| self.nodes[input].users += 1);
        self.nodes.push(Node { work, inputs, users: 0 });
        known.insert(identity, self.nodes.len() - 1);
        self.nodes.len() - 1
    }
}

impl StageNetwork {
    /// Computes every variant of `program` on `images`, NCHW; this stage must be the whole network.
    ///
    /// The result has the logits of each variant, in the order in which they were given.
    ///
    /// # Errors
    /// If `images` is not `batch` images, a layer is not of this stage, or libtorch fails.
    pub fn run_shared(
        &self,
        program: &SharedProgram,
        batch: usize,
        images: &[f32],
    ) -> Result<Vec<Vec<f32>>, ComputeError> {
        threads::adopt()?;
        let expected = program.input.elements().saturating_mul(batch);
        if batch == 0 {
            return Err(ComputeError::EmptyBatch);
        }
        if images.len() != expected {
            let (shape, found) = (program.input, images.len());
            return Err(ComputeError::InputLength { index: 0, shape, batch, expected, found });
        }
        let mut left: Vec<usize> = program.nodes.iter().map(|node| node.users).collect();
        let mut values: Vec<Option<Tensor>> = program.nodes.iter().map(|_| None).collect();
        let mut logits = vec![Vec::new(); program.outputs.len()];
        let mut owed: HashMap<usize, Vec<usize>> = HashMap::new();
        for (variant, &output) in program.outputs.iter().enumerate() {
            owed.entry(output).or_default().push(variant);
        }
        tch::no_grad(|| {
            for (index, node) in program.nodes.iter().enumerate() {
                let made = match &node.work {
                    Work::Input => {
                        tensor::images_from_numbers(images, tensor::dimensions(program.input, batch))?
                    }
                    Work::Step(step) => {
                        let operands = take(&node.inputs, &mut values, &mut left);
                        self.compute_shared(step, batch, operands, &values)?
                    }
                    Work::Recode { encoding, shape } => {
                        let operands = take(&node.inputs, &mut values, &mut left);
                        recode(*encoding, *shape, batch, operands, &values)?
                    }
                };
                match owed.remove(&index) {
                    Some(variants) => {
                        let numbers = tensor::to_numbers(&made)?;
                        variants.into_iter().for_each(|variant| logits[variant].clone_from(&numbers));
                    }
                    None => values[index] = Some(made),
                }
            }
            Ok(logits)
        })
    }

    fn compute_shared(
        &self,
        step: &Step,
        batch: usize,
        operands: Vec<(usize, Option<Tensor>)>,
        values: &[Option<Tensor>],
    ) -> Result<Tensor, ComputeError> {
        let absent = || ComputeError::NotInStage { layer: step.layer };
        let unit = self.unit(step.layer).ok_or_else(absent)?;
        let operands = operands.into_iter().map(|(index, last)| match last {
            Some(tensor) => Ok(Operand::Last(tensor)),
            None => values[index].as_ref().map(Operand::Shared).ok_or_else(absent),
        });
        let operands = operands.collect::<Result<Vec<_>, _>>()?;
        check_shape(step, batch, operation::compute(unit, step.op, operands).ok_or_else(absent)??)
    }
}

/// Each input, to be overwritten where this is its last use.
fn take(inputs: &[usize], values: &mut [Option<Tensor>], left: &mut [usize]) -> Vec<(usize, Option<Tensor>)> {
    let one = |&index: &usize| {
        left[index] -= 1;
        (index, if left[index] == 0 { values[index].take() } else { None })
    };
    inputs.iter().map(one).collect()
}

/// Writes a value as for a link and reads it back.
fn recode(
    encoding: Encoding,
    shape: Shape,
    batch: usize,
    operands: Vec<(usize, Option<Tensor>)>,
    values: &[Option<Tensor>],
) -> Result<Tensor, ComputeError> {
    let none = || ComputeError::Torch(TchError::Shape("there is nothing to write".to_owned()));
    let (index, last) = operands.into_iter().next().ok_or_else(none)?;
    let tensor = last.as_ref().or(values[index].as_ref()).ok_or_else(none)?;
    let numbers = tensor::to_numbers(tensor)?;
    let bytes = codec::encode(encoding, &numbers, shape);
    let read = codec::decode(encoding, &bytes, shape, batch)?;
    Ok(tensor::images_from_numbers(&read, tensor::dimensions(shape, batch))?)
}
