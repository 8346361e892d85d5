//! A convolution with its batch normalisation: the only weighted operation besides the classifier.

use super::Shape;

/// A square convolution without bias, followed by batch normalisation.
///
/// The checkpoint names are kept here, so that third-party checkpoints load without renaming.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Convolution {
    /// Checkpoint name of the convolution, such as `layer1.0.conv1`.
    pub name: String,
    /// Checkpoint name of the batch normalisation behind it, such as `layer1.0.bn1`.
    pub norm_name: String,
    /// Shape that comes in.
    pub input: Shape,
    /// Shape that goes out.
    pub output: Shape,
    /// Rows and columns of the kernel.
    pub kernel: u32,
    /// Step between two applications of the kernel.
    pub stride: u32,
    /// Zeros added on each side.
    pub padding: u32,
}

/// A tensor that a checkpoint must hold, with the shape it must have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// Name in the checkpoint.
    pub name: String,
    /// Dimensions, outermost first.
    pub shape: Vec<usize>,
    /// What the tensor is for.
    pub role: ParameterRole,
}

/// Whether a checkpoint tensor is learnt by gradient or gathered as a statistic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParameterRole {
    /// Learnt by gradient descent: counted by published parameter figures.
    Learnt,
    /// A running mean or variance: stored, but not counted.
    Statistic,
}

impl Parameter {
    pub(crate) fn learnt(name: String, shape: Vec<usize>) -> Self {
        Self { name, shape, role: ParameterRole::Learnt }
    }

    /// Numbers in the tensor.
    pub fn elements(&self) -> u64 {
        self.shape.iter().map(|&d| d as u64).product()
    }
}

impl Convolution {
    /// Multiply-accumulate operations for one sample. The normalisation is not counted, as is usual.
    pub fn macs(&self) -> u64 {
        let per_output = u64::from(self.kernel).pow(2) * u64::from(self.input.channels);
        per_output * self.output.elements() as u64
    }

    /// The checkpoint tensors of the convolution and of its normalisation.
    pub fn parameters(&self) -> Vec<Parameter> {
        let out = self.output.channels as usize;
        let kernel = self.kernel as usize;
        let statistic = |suffix: &str| Parameter {
            name: format!("{}.{suffix}", self.norm_name),
            shape: vec![out],
            role: ParameterRole::Statistic,
        };
        vec![
            Parameter::learnt(
                format!("{}.weight", self.name),
                vec![out, self.input.channels as usize, kernel, kernel],
            ),
            Parameter::learnt(format!("{}.weight", self.norm_name), vec![out]),
            Parameter::learnt(format!("{}.bias", self.norm_name), vec![out]),
            statistic("running_mean"),
            statistic("running_var"),
        ]
    }
}
