//! The network as it is trained: weights that take gradients, and the forward pass of any active set.
//!
//! Serving folds the normalisation away and runs step by step between workers; training needs neither, so it has
//! this forward pass of its own. Both follow `arch`; a test compares their answers.

use std::collections::HashMap;

use weir_shared::arch::{Block, Convolution, Network, Parameter, ParameterRole, Pool, Shortcut};
use weir_shared::plan::{ActiveSet, Connection};
use weir_shared::weights::LayerTensors;

use crate::resnet::torch::{Device, Kind, TchError, Tensor, no_grad};

use super::Precision;
use super::random::{Purpose, Stream};
use super::resilience::Expendable;

/// Share of a batch in the running statistics. PyTorch's default is five times as much; but here whole network and
/// sub-networks of changing depth take turns, and what serves them all is the mean over many.
const STATISTIC_MOMENTUM: f64 = 0.1;

/// Keeps a variance from being zero: PyTorch's default, and what serving uses.
const EPSILON: f64 = 1e-5;

/// Which statistics the normalisation uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Statistics {
    /// Those of the batch, which also move the running ones.
    OfBatch,
    /// Those of the batch; the running ones stay.
    OfBatchOnly,
    /// The running ones, as in serving.
    Running,
}

/// How a forward pass computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pass {
    /// What normalises.
    pub statistics: Statistics,
    /// What activations are held in.
    pub precision: Precision,
}

impl Pass {
    /// As in serving.
    pub const SERVING: Self = Self { statistics: Statistics::Running, precision: Precision::F32 };

    const fn kind(self) -> Kind {
        match self.precision {
            Precision::F32 => Kind::Float,
            Precision::Bf16 => Kind::BFloat16,
        }
    }
}

/// A network with all its tensors on one device.
pub struct TrainNet {
    network: Network,
    parameters: Vec<Parameter>,
    tensors: HashMap<String, Tensor>,
    device: Device,
}

impl TrainNet {
    /// Fresh weights: He et al. 2015 ("Delving Deep into Rectifiers"), Eq. 14, in its uniform form. Expendable
    /// branches begin at zero, so that they grow as refinements of what the others already make (Goyal et al. 2017,
    /// section 5.1, does so for all).
    ///
    /// # Errors
    /// If libtorch has no memory.
    pub fn new(network: &Network, seed: u64, device: Device) -> Result<Self, TchError> {
        let parameters = all_parameters(network);
        let mut numbers = HashMap::new();
        for (parameter, counter) in parameters.iter().zip(0..) {
            let stream = Stream::new(seed, Purpose::Weights, counter);
            numbers.insert(parameter.name.clone(), first_numbers(parameter, stream));
        }
        for name in last_scales(network, &Expendable::of(network)) {
            numbers.entry(name).and_modify(|scale| scale.fill(0.0));
        }
        Self::with_numbers(network, device, |name| numbers.remove(name).unwrap_or_default())
    }

    /// The network with given numbers for each tensor, by name.
    ///
    /// # Errors
    /// If the numbers do not fill their tensor, or libtorch has no memory.
    pub fn with_numbers(
        network: &Network,
        device: Device,
        mut numbers: impl FnMut(&str) -> Vec<f32>,
    ) -> Result<Self, TchError> {
        let parameters = all_parameters(network);
        let mut tensors = HashMap::new();
        for parameter in &parameters {
            let shape: Vec<i64> = parameter.shape.iter().map(|&d| d as i64).collect();
            let tensor =
                Tensor::f_from_slice(&numbers(&parameter.name))?.f_reshape(shape)?.f_to_device(device)?;
            let learnt = parameter.role == ParameterRole::Learnt;
            tensors.insert(parameter.name.clone(), tensor.f_set_requires_grad(learnt)?);
        }
        Ok(Self { network: network.clone(), parameters, tensors, device })
    }

    /// The network as data.
    pub const fn network(&self) -> &Network {
        &self.network
    }

    /// Where the tensors are.
    pub const fn device(&self) -> Device {
        self.device
    }

    /// Every tensor, in the order of layers.
    pub fn tensors(&self) -> impl Iterator<Item = (&Parameter, &Tensor)> {
        self.parameters.iter().filter_map(|parameter| Some((parameter, self.tensors.get(&parameter.name)?)))
    }

    /// A copy that takes no gradients.
    ///
    /// # Errors
    /// If libtorch has no memory.
    pub fn copy(&self) -> Result<Self, TchError> {
        let mut tensors = HashMap::new();
        for (parameter, tensor) in self.tensors() {
            tensors.insert(parameter.name.clone(), no_grad(|| tensor.f_detach_copy())?);
        }
        Ok(Self {
            network: self.network.clone(),
            parameters: self.parameters.clone(),
            tensors,
            device: self.device,
        })
    }

    /// The numbers of each layer, for writing.
    ///
    /// # Errors
    /// If a tensor can not be copied from its device.
    pub fn layers(&self) -> Result<Vec<LayerTensors>, TchError> {
        let mut numbers = HashMap::new();
        for (parameter, tensor) in self.tensors() {
            numbers.insert(parameter.name.as_str(), numbers_of(tensor)?);
        }
        let take = |parameter: &Parameter| numbers.get(parameter.name.as_str()).cloned().unwrap_or_default();
        let layers = self.network.layers().iter();
        Ok(layers.map(|layer| LayerTensors::make(&self.network, layer.kind, take)).collect())
    }

    /// Normalised images `[n, 3, height, width]` and their labels, on this network's device.
    ///
    /// # Errors
    /// If libtorch has no memory.
    pub fn inputs(&self, images: &[f32], labels: &[u8]) -> Result<(Tensor, Tensor), TchError> {
        let shape = self.network.input;
        let size = [labels.len() as i64, shape.channels.into(), shape.height.into(), shape.width.into()];
        let images = Tensor::f_from_slice(images)?.f_reshape(size)?.f_to_device(self.device)?;
        let labels = Tensor::f_from_slice(labels)?.f_to_kind(Kind::Int64)?.f_to_device(self.device)?;
        Ok((images, labels))
    }

    /// The logits `[n, classes]` of images `[n, 3, height, width]`, with the connections of `active`.
    ///
    /// # Errors
    /// If the images have another shape, or libtorch has no memory.
    pub fn forward(&self, images: &Tensor, active: &ActiveSet, pass: Pass) -> Result<Tensor, TchError> {
        let images = images.f_to_kind(pass.kind())?;
        // Channels last, in memory only: what convolutions of few channels are fastest with, and every layer keeps it.
        let images = images.f_permute([0, 2, 3, 1])?.f_contiguous()?.f_permute([0, 3, 1, 2])?;
        let mut x = self.normalised(&images, &self.network.stem, pass)?.f_relu_()?;
        if let Some(Pool { kernel, stride, padding }) = self.network.pool {
            let [kernel, stride, padding] = [kernel, stride, padding].map(|n| [i64::from(n); 2]);
            x = x.f_max_pool2d(kernel, stride, padding, [1, 1], false)?;
        }
        for block in &self.network.blocks {
            x = self.block(x, block, active, pass)?;
        }
        let pooled = x.f_mean_dim([2_i64, 3].as_slice(), false, Kind::Float)?;
        let head = &self.network.head.name;
        pooled.f_linear(self.get(&format!("{head}.weight"))?, Some(self.get(&format!("{head}.bias"))?))
    }

    /// He et al. 2015, Eq. 1: `y = relu(F(x) + S(x))`, or relu of the one that is active.
    fn block(&self, x: Tensor, block: &Block, active: &ActiveSet, pass: Pass) -> Result<Tensor, TchError> {
        if !active.branch(block.id) {
            return match &block.shortcut {
                // x is behind a relu already.
                Shortcut::Identity => Ok(x),
                Shortcut::Projection(_) | Shortcut::ZeroPad { .. } => {
                    self.shortcut(&x, block, pass)?.f_relu_()
                }
            };
        }
        let mut branch = x.shallow_clone();
        for (index, conv) in block.branch.iter().enumerate() {
            branch = self.normalised(&branch, conv, pass)?;
            if index + 1 < block.branch.len() {
                branch = branch.f_relu_()?;
            }
        }
        if active.shortcut(block.id) {
            branch = branch.f_add(&self.shortcut(&x, block, pass)?)?;
        }
        branch.f_relu_()
    }

    fn shortcut(&self, x: &Tensor, block: &Block, pass: Pass) -> Result<Tensor, TchError> {
        match &block.shortcut {
            Shortcut::Identity => Ok(x.shallow_clone()),
            Shortcut::Projection(conv) => self.normalised(x, conv, pass),
            &Shortcut::ZeroPad { stride, channels_each_side } => {
                let (step, zeros) = (i64::from(stride), i64::from(channels_each_side));
                let picked = x.f_slice(2, None, None, step)?.f_slice(3, None, None, step)?;
                picked.f_constant_pad_nd([0, 0, 0, 0, zeros, zeros])
            }
        }
    }

    fn normalised(&self, x: &Tensor, conv: &Convolution, pass: Pass) -> Result<Tensor, TchError> {
        let weight = self.get(&format!("{}.weight", conv.name))?.f_to_kind(pass.kind())?;
        let [stride, padding] = [conv.stride, conv.padding].map(|n| [i64::from(n); 2]);
        let y = x.f_conv2d(&weight, None::<&Tensor>, stride, padding, [1, 1], 1)?;
        let get = |suffix: &str| self.get(&format!("{}.{suffix}", conv.norm_name)).map(Some);
        let [gamma, beta] = [get("weight")?, get("bias")?];
        let [mean, variance] = match pass.statistics {
            Statistics::OfBatchOnly => [None, None],
            Statistics::OfBatch | Statistics::Running => [get("running_mean")?, get("running_var")?],
        };
        let of_batch = pass.statistics != Statistics::Running;
        y.f_batch_norm(
            gamma,
            beta,
            mean,
            variance,
            of_batch,
            STATISTIC_MOMENTUM,
            EPSILON,
            self.device.is_cuda(),
        )
    }

    fn get(&self, name: &str) -> Result<&Tensor, TchError> {
        self.tensors
            .get(name)
            .ok_or_else(|| TchError::TensorNameNotFound(name.to_owned(), "this network".to_owned()))
    }
}

/// The numbers of a tensor, row by row.
pub(super) fn numbers_of(tensor: &Tensor) -> Result<Vec<f32>, TchError> {
    let plain = tensor.f_detach()?.f_to_device(Device::Cpu)?.f_contiguous()?;
    let mut numbers = vec![0.0; plain.numel()];
    plain.f_copy_data(&mut numbers, plain.numel())?;
    Ok(numbers)
}

fn all_parameters(network: &Network) -> Vec<Parameter> {
    network.layers().iter().flat_map(|layer| network.parameters(layer.kind)).collect()
}

/// The scale behind the last convolution of each expendable branch.
fn last_scales(network: &Network, expendable: &Expendable) -> Vec<String> {
    let last = |connection: &Connection| match connection {
        Connection::Branch(id) => network.block(*id).branch.last(),
        Connection::Shortcut(_) => None,
    };
    let convolutions = expendable.branches.iter().filter_map(last);
    convolutions.map(|conv| format!("{}.weight", conv.norm_name)).collect()
}

fn first_numbers(parameter: &Parameter, mut stream: Stream) -> Vec<f32> {
    let count = parameter.elements() as usize;
    if let [out, inputs, rest @ ..] = parameter.shape.as_slice() {
        let kernel: usize = rest.iter().product();
        // Convolutions keep the variance of gradients; the classifier has no relu behind it.
        let variance = if rest.is_empty() { 1.0 / *inputs as f64 } else { 2.0 / (out * kernel) as f64 };
        let bound = (3.0 * variance).sqrt();
        return (0..count).map(|_| ((2.0 * stream.unit() - 1.0) * bound) as f32).collect();
    }
    let is_scale = parameter.name.ends_with(".weight") || parameter.name.ends_with(".running_var");
    vec![if is_scale { 1.0 } else { 0.0 }; count]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::{Split, shapes};
    use crate::resnet::WholeNetwork;
    use weir_shared::arch::{Arch, Shape};
    use weir_shared::plan::plan::BatchNorm;
    use weir_shared::weights::{Checkpoint, writer};

    /// What is served must answer as what was trained, whichever connections are off.
    fn check_served_alike(network: &Network, off: &str) {
        let net = TrainNet::new(network, 1, Device::Cpu).unwrap();
        for name in last_scales(network, &Expendable::of(network)) {
            // A branch that still is zero would not be missed.
            let _ = no_grad(|| net.get(&name)?.shallow_clone().f_fill_(1.0)).unwrap();
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("net");
        writer::save_layers(&path, &net.layers().unwrap()).unwrap();
        let served =
            WholeNetwork::load(&Checkpoint::open(&path).unwrap(), network.clone(), BatchNorm::Folded)
                .unwrap();

        let active = ActiveSet::parse(off, network).unwrap();
        let batch = shapes::load(1, Split::Train, 4).batch(0..4);
        let (images, _) = net.inputs(&batch.images, &batch.labels).unwrap();
        let trained = no_grad(|| net.forward(&images, &active, Pass::SERVING)).unwrap();
        let trained = numbers_of(&trained).unwrap();
        let answered = served.logits(&active, 4, batch.images).unwrap();
        let scale = trained.iter().fold(1.0, |largest: f32, number| largest.max(number.abs()));
        assert!(trained.iter().zip(&answered).all(|(a, b)| (a - b).abs() < 1e-4 * scale), "{off}");
    }

    #[test]
    fn a_trained_network_is_served_alike_under_any_active_set() {
        let cifar = Arch::ResNet20.network();
        for off in ["", "F:layer1.1,S:layer2.1", "F:layer2.0,S:layer3.0", "S:layer1.0,F:layer3.0,F:layer3.1"]
        {
            check_served_alike(&cifar, off);
        }
        // Projections, bottlenecks and the pool.
        let imagenet = Arch::ResNet50.network_with(Shape::new(3, 32, 32), 10);
        check_served_alike(&imagenet, "F:layer2.0,S:layer1.0,F:layer3.1");
    }
}
