//! Runs a stage's program: plain numbers in, plain numbers out, and nothing a peer sends can cause a panic.
//!
//! A tensor lives until its last user is done, which bounds the memory to what is alive at the widest point. What
//! has no further user is overwritten in place.

use std::collections::HashMap;
use std::time::Instant;

use tch::{TchError, Tensor};
use weir_shared::arch::{LayerId, Shape};
use weir_shared::plan::{Op, StageProgram, Step, Value};
use weir_shared::wire::codec::CodecError;

use super::operation::{self, Operand};
use super::pace::Pace;
use super::threads::{self, ThreadError};
use super::{StageNetwork, tensor};

/// Why a program was not computed; the request is lost, the stage is not.
#[derive(Debug, thiserror::Error)]
pub enum ComputeError {
    /// No samples.
    #[error("a batch of 0 samples cannot be computed; send at least one")]
    EmptyBatch,
    /// Not one input for each inlet.
    #[error("{found} inputs for {expected} inlets; the peers run another plan")]
    InputCount {
        /// Inlets of the program.
        expected: usize,
        /// Inputs given.
        found: usize,
    },
    /// An input of the wrong length.
    #[error(
        "input {index} has {found} numbers, but {batch} samples of {shape} have {expected}; the sender runs another plan"
    )]
    InputLength {
        /// Which inlet.
        index: usize,
        /// Shape of one sample.
        shape: Shape,
        /// Samples.
        batch: usize,
        /// Numbers it must have.
        expected: usize,
        /// Numbers it has.
        found: usize,
    },
    /// The program names an operation whose weights are elsewhere.
    #[error("layer {layer} is not of this stage, or is of another network; load the stage of this plan")]
    NotInStage {
        /// The layer.
        layer: LayerId,
    },
    /// The program reads or sends a value that is not there.
    #[error("value {} is needed and was not made; the program is of another plan", value.0)]
    NoValue {
        /// The value.
        value: Value,
    },
    /// A step made a tensor of another shape than the plan states.
    #[error(
        "layer {layer} made a tensor of {found:?}, but the plan states {expected:?}; the plan is of another network"
    )]
    Shape {
        /// The layer.
        layer: LayerId,
        /// Dimensions as planned.
        expected: Vec<i64>,
        /// Dimensions as made.
        found: Vec<i64>,
    },
    /// Libtorch does not compute with the threads it was given.
    #[error("libtorch is not set up on this thread")]
    Threads(#[from] ThreadError),
    /// An activation could not be written for a link and read back.
    #[error("an activation could not be written and read back; are its numbers finite?")]
    Recode(#[from] CodecError),
    /// Libtorch refused.
    #[error("libtorch failed in the computation; is there enough memory?")]
    Torch(#[from] TchError),
}

impl StageNetwork {
    /// Computes `program` for `batch` samples.
    ///
    /// `inputs` has the numbers of each inlet, in the order of `program.inlets`; the result those of each of
    /// [`sent_values`](StageProgram::sent_values), in that order. All are NCHW.
    ///
    /// # Errors
    /// If an input does not have the length that the plan states, the program is of other layers, or libtorch fails.
    pub fn run(
        &self,
        program: &StageProgram,
        batch: usize,
        inputs: Vec<Vec<f32>>,
    ) -> Result<Vec<Vec<f32>>, ComputeError> {
        self.run_observed(program, batch, inputs, |_, _| ())
    }

    /// As [`run`](Self::run), telling `observe` of each step and when it began.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn run_observed(
        &self,
        program: &StageProgram,
        batch: usize,
        inputs: Vec<Vec<f32>>,
        mut observe: impl FnMut(&Step, Instant),
    ) -> Result<Vec<Vec<f32>>, ComputeError> {
        threads::adopt()?;
        check_inputs(program, batch, &inputs)?;
        let sent = program.sent_values();
        let mut users = count_users(program, &sent);
        tch::no_grad(|| {
            let mut values = HashMap::new();
            for (inlet, numbers) in program.inlets.iter().zip(inputs) {
                let dimensions = tensor::dimensions(inlet.shape, batch);
                values.insert(inlet.value, tensor::images_from_numbers(&numbers, dimensions)?);
            }
            for step in &program.steps {
                let (began, pace) = (Instant::now(), Pace::begin());
                let made = self.step(step, batch, &mut values, &mut users)?;
                values.insert(step.output, made);
                pace.end(self.macs(step) * batch as u64);
                observe(step, began);
            }
            let take = |value: &Value| {
                let tensor = values.remove(value).ok_or(ComputeError::NoValue { value: *value })?;
                Ok(tensor::to_numbers(&tensor)?)
            };
            sent.iter().map(take).collect()
        })
    }

    fn step(
        &self,
        step: &Step,
        batch: usize,
        values: &mut HashMap<Value, Tensor>,
        users: &mut HashMap<Value, usize>,
    ) -> Result<Tensor, ComputeError> {
        let unit = self.unit(step.layer).ok_or(ComputeError::NotInStage { layer: step.layer })?;
        let mut take_last = |value: &Value| {
            let left = users.entry(*value).or_insert(0);
            *left = left.saturating_sub(1);
            if *left == 0 { values.remove(value) } else { None }
        };
        let last: Vec<_> = step.inputs.iter().map(&mut take_last).collect();
        let operand = |(value, last): (&Value, Option<Tensor>)| match last {
            Some(tensor) => Ok(Operand::Last(tensor)),
            None => values.get(value).map(Operand::Shared).ok_or(ComputeError::NoValue { value: *value }),
        };
        let operands = step.inputs.iter().zip(last).map(operand).collect::<Result<Vec<_>, _>>()?;
        let wrong_unit = || ComputeError::NotInStage { layer: step.layer };
        let made = operation::compute(unit, step.op, operands).ok_or_else(wrong_unit)??;
        check_shape(step, batch, made)
    }
}

fn check_inputs(program: &StageProgram, batch: usize, inputs: &[Vec<f32>]) -> Result<(), ComputeError> {
    if batch == 0 {
        return Err(ComputeError::EmptyBatch);
    }
    if inputs.len() != program.inlets.len() {
        return Err(ComputeError::InputCount { expected: program.inlets.len(), found: inputs.len() });
    }
    for (index, (inlet, numbers)) in program.inlets.iter().zip(inputs).enumerate() {
        let (shape, found) = (inlet.shape, numbers.len());
        let expected = shape.elements().saturating_mul(batch);
        if found != expected {
            return Err(ComputeError::InputLength { index, shape, batch, expected, found });
        }
    }
    Ok(())
}

/// How often each value is read; sending counts as one, so what is sent survives its last step.
fn count_users(program: &StageProgram, sent: &[Value]) -> HashMap<Value, usize> {
    let read = program.steps.iter().flat_map(|step| &step.inputs);
    let mut users = HashMap::new();
    for value in read.chain(sent) {
        *users.entry(*value).or_insert(0) += 1;
    }
    users
}

pub(super) fn check_shape(step: &Step, batch: usize, made: Tensor) -> Result<Tensor, ComputeError> {
    let planned = tensor::dimensions(step.shape, batch);
    // The head makes plain vectors.
    let expected = if step.op == Op::Head { &planned[..2] } else { &planned[..] };
    let found = made.size();
    if found != expected {
        return Err(ComputeError::Shape { layer: step.layer, expected: expected.to_vec(), found });
    }
    Ok(tensor::channels_last(made)?)
}
