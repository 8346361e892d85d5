//! What a killed run leaves behind, so that it can go on as if it had not been killed.
//!
//! One safetensors file beside the output, replaced as a whole after each pass: weights, momenta and moving
//! average, and in its metadata how far the run is and which run it is. Random streams need no state (see
//! [`super`]). It is removed when training has ended, for then the network itself is there.

use std::collections::HashMap;
use std::ffi::OsString;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};
use weir_shared::arch::Network;
use weir_shared::digest::Digest;
use weir_shared::weights::atomic;

use crate::resnet::torch::{Device, TchError, Tensor, no_grad};

use super::net::{TrainNet, numbers_of};
use super::optimise::Optimiser;
use super::{Options, TrainError};

/// The one entry of the file's metadata.
const ENTRY: &str = "weir-training";

/// Which run a state is of, and how far it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Position {
    /// The recipe.
    pub options: Options,
    /// Training and validation images.
    pub images: [Digest; 2],
    /// Passes that are done.
    pub epochs_done: u32,
    /// Steps that are done.
    pub steps_done: u64,
}

/// Everything that training changes.
pub struct Learner {
    /// The network that is trained.
    pub net: TrainNet,
    /// Its moving average, where one is kept.
    pub average: Option<TrainNet>,
    /// Momenta.
    pub optimiser: Optimiser,
}

impl Learner {
    /// A learner that has learnt nothing.
    ///
    /// # Errors
    /// If libtorch has no memory.
    pub fn new(network: &Network, options: &Options, device: Device) -> Result<Self, TchError> {
        let net = TrainNet::new(network, options.seed, device)?;
        Self::around(net, options)
    }

    fn around(net: TrainNet, options: &Options) -> Result<Self, TchError> {
        let average = if options.average > 0.0 { Some(net.copy()?) } else { None };
        let optimiser = Optimiser::new(&net, options.momentum, options.weight_decay, options.clip)?;
        Ok(Self { net, average, optimiser })
    }

    /// The network to be judged and kept.
    pub fn best(&self) -> &TrainNet {
        self.average.as_ref().unwrap_or(&self.net)
    }

    /// Every tensor with its name in the state file. `Tensor`s share their numbers, so writing to them is restoring.
    fn parts(&self) -> Vec<(String, Tensor)> {
        let of_net = |net: &TrainNet, prefix: &str| {
            let named = net
                .tensors()
                .map(|(parameter, t)| (format!("{prefix}/{}", parameter.name), t.shallow_clone()));
            named.collect::<Vec<_>>()
        };
        let mut parts = of_net(&self.net, "net");
        parts.extend(self.average.iter().flat_map(|average| of_net(average, "average")));
        let momenta = self.optimiser.momenta().iter().enumerate();
        parts.extend(momenta.map(|(index, t)| (format!("momentum/{index}"), t.shallow_clone())));
        parts
    }
}

/// Where the state of a run to `output` lies: `<output>.state`.
pub fn beside(output: &Path) -> PathBuf {
    let mut name = OsString::from(output);
    name.push(".state");
    PathBuf::from(name)
}

/// Writes the state, replacing the previous one as a whole.
///
/// # Errors
/// If the system refuses; the previous state is untouched.
pub fn save(path: &Path, learner: &Learner, position: &Position) -> Result<(), TrainError> {
    let failed = |source| TrainError::File { action: "write", path: path.to_owned(), source };
    let mut parts = Vec::new();
    for (name, tensor) in learner.parts() {
        let bytes: Vec<u8> = numbers_of(&tensor)?.iter().flat_map(|number| number.to_le_bytes()).collect();
        let shape: Vec<usize> = tensor.size().iter().map(|&d| d as usize).collect();
        parts.push((name, shape, bytes));
    }
    let other = |error: &dyn std::fmt::Display| failed(std::io::Error::other(error.to_string()));
    let mut views = Vec::new();
    for (name, shape, bytes) in &parts {
        let view = TensorView::new(Dtype::F32, shape.to_vec(), bytes).map_err(|error| other(&error))?;
        views.push((name.as_str(), view));
    }
    let text = serde_json::to_string(position).map_err(|error| other(&error))?;
    let metadata = HashMap::from([(ENTRY.to_owned(), text)]);
    let file = safetensors::serialize(views, Some(metadata)).map_err(|error| other(&error))?;
    atomic::replace(path, |out| out.write_all(&file)).map_err(failed)
}

/// Reads the state of the run that `expected` describes; `None` if there is no file.
///
/// # Errors
/// If the file is damaged, or is of a run with another recipe or other images.
pub fn load(
    path: &Path,
    network: &Network,
    expected: &Position,
    device: Device,
) -> Result<Option<(Learner, Position)>, TrainError> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(source) if source.kind() == ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(TrainError::File { action: "read", path: path.to_owned(), source }),
    };
    let damaged = || TrainError::DamagedState(path.to_owned());
    let (_, metadata) = SafeTensors::read_metadata(&bytes).map_err(|_| damaged())?;
    let text = metadata.metadata().as_ref().and_then(|entries| entries.get(ENTRY)).ok_or_else(damaged)?;
    let position: Position = serde_json::from_str(text).map_err(|_| damaged())?;
    let other_run = |what| TrainError::OtherRun { path: path.to_owned(), what };
    if position.options != expected.options {
        return Err(other_run("options"));
    }
    if position.images != expected.images {
        return Err(other_run("images"));
    }
    let tensors = SafeTensors::deserialize(&bytes).map_err(|_| damaged())?;
    let learner = Learner::new(network, &position.options, device)?;
    for (name, tensor) in learner.parts() {
        let view = tensors.tensor(&name).map_err(|_| damaged())?;
        let numbers: Vec<f32> =
            view.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
        if view.dtype() != Dtype::F32 || numbers.len() != tensor.numel() {
            return Err(damaged());
        }
        let stored = Tensor::f_from_slice(&numbers)?.f_reshape(tensor.size())?;
        no_grad(|| tensor.shallow_clone().f_copy_(&stored))?;
    }
    Ok(Some((learner, position)))
}
