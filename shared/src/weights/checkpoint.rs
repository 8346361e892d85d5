//! A safetensors checkpoint, opened by its header and read one tensor at a time.
//!
//! A worker holds a few layers of a network that may be larger than its memory, so a tensor is read by its
//! offset and nothing else is. Names and shapes come from the [`Network`]; tensors that it does not ask for, such
//! as `num_batches_tracked`, are not looked at.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use half::{bf16, f16};
use safetensors::tensor::{Dtype, TensorInfo};

use super::header::{self, HEADER_MAX, Header};
use crate::arch::{Arch, Network, NetworkSpec, Parameter, SpecError};

/// The prefix that PyTorch's `DataParallel` puts before every name; looked for when the plain name is absent.
const DATA_PARALLEL: &str = "module.";

/// An open checkpoint. It keeps reading the file that it opened, even when another takes its name.
#[derive(Debug)]
pub struct Checkpoint {
    path: PathBuf,
    file: File,
    header: Header,
}

/// Why a checkpoint, or a tensor of it, cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The file cannot be opened or read.
    #[error("cannot read the checkpoint {}; check the path and who may read it", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// PyTorch's own format, which runs code when it is read.
    #[error(
        "{} is a PyTorch pickle or zip file, not safetensors; convert it with \
         python3 -c 'import sys, torch, safetensors.torch as s; \
         s.save_file(torch.load(sys.argv[1], map_location=\"cpu\", weights_only=True), sys.argv[2])' \
         IN OUT.safetensors",
        path.display()
    )]
    Pickle {
        /// The file.
        path: PathBuf,
    },
    /// A Git LFS pointer in place of the file.
    #[error("{} is a Git LFS pointer, not the file itself; fetch it with git lfs pull", path.display())]
    Pointer {
        /// The file.
        path: PathBuf,
    },
    /// The stated header length is absurd.
    #[error(
        "{} states a header of {length} bytes, more than the {HEADER_MAX} that are read; \
         it is damaged or not a safetensors file: fetch or write it again",
        path.display()
    )]
    HeaderTooLong {
        /// The file.
        path: PathBuf,
        /// The stated length in bytes.
        length: u64,
    },
    /// The header is no JSON, or its offsets overlap, leave gaps or do not fit the shapes.
    #[error("the header of {} is damaged; fetch or write the file again", path.display())]
    Header {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// The file ends before its tensors do.
    #[error(
        "{} is cut short: {found} bytes of at least {expected}; fetch or write the file again",
        path.display()
    )]
    Truncated {
        /// The file.
        path: PathBuf,
        /// Bytes that it must have.
        expected: u64,
        /// Bytes that it has.
        found: u64,
    },
    /// The file goes on behind its tensors.
    #[error(
        "{} has {extra} bytes behind its last tensor; fetch or write the file again",
        path.display()
    )]
    Trailing {
        /// The file.
        path: PathBuf,
        /// Bytes too many.
        extra: u64,
    },
    /// The network needs a tensor that the file does not hold.
    #[error(
        "{} has no tensor {tensor:?}, which must be of shape {expected:?}{}; \
         use a checkpoint of this network, with torchvision's names",
        path.display(), nearest(nearby)
    )]
    Missing {
        /// The file.
        path: PathBuf,
        /// The name.
        tensor: String,
        /// Its shape.
        expected: Vec<usize>,
        /// A name of the file that looks much like it.
        nearby: Option<String>,
    },
    /// A tensor has another shape than the network gives it.
    #[error(
        "tensor {tensor:?} in {} has shape {found:?}, but the network needs {expected:?}; \
         check the network's name and its number of classes",
        path.display()
    )]
    Shape {
        /// The file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// The network's shape.
        expected: Vec<usize>,
        /// The file's shape.
        found: Vec<usize>,
    },
    /// A tensor is in a number format that is not read.
    #[error(
        "tensor {tensor:?} in {} holds {dtype} numbers; F32, F16 and BF16 are read: convert it to float32",
        path.display()
    )]
    Format {
        /// The file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// Its number format.
        dtype: Dtype,
    },
    /// A tensor's bytes cannot be read.
    #[error("cannot read tensor {tensor:?} of {}; was the file changed in place?", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// What the system said.
        source: io::Error,
    },
    /// The classifier's size makes no network.
    #[error("the classifier in {} fits no network of the catalogue", path.display())]
    Spec {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: SpecError,
    },
}

impl Checkpoint {
    /// Opens `path` and checks its header; no tensor is read.
    ///
    /// # Errors
    /// If the file is absent, is not safetensors, or is damaged.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, CheckpointError> {
        let path = path.as_ref().to_owned();
        let file =
            File::open(&path).map_err(|source| CheckpointError::Open { path: path.clone(), source })?;
        let header = header::read(&file, &path)?;
        Ok(Self { path, file, header })
    }

    /// The file that was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads one tensor, row by row from the outermost dimension, as f32.
    ///
    /// # Errors
    /// If the file has no such tensor, or one of another shape or of a number format that is not read.
    pub fn read(&self, parameter: &Parameter) -> Result<Vec<f32>, CheckpointError> {
        let info = self.find(parameter)?;
        let elements = parameter.elements() as usize;
        let start = self.header.data_start + info.data_offsets.0 as u64;
        let read = |bytes: &mut [u8]| {
            self.file.read_exact_at(bytes, start).map_err(|source| CheckpointError::Read {
                path: self.path.clone(),
                tensor: parameter.name.clone(),
                source,
            })
        };
        if info.dtype == Dtype::F32 {
            let mut numbers = vec![0.0; elements];
            read(bytemuck::cast_slice_mut(&mut numbers))?;
            if cfg!(target_endian = "big") {
                numbers
                    .iter_mut()
                    .for_each(|number: &mut f32| *number = f32::from_bits(number.to_bits().swap_bytes()));
            }
            return Ok(numbers);
        }
        let mut bytes = vec![0; elements * size_of::<u16>()];
        read(&mut bytes)?;
        let pairs = bytes.chunks_exact(2).map(|pair| [pair[0], pair[1]]);
        Ok(match info.dtype {
            Dtype::BF16 => pairs.map(|pair| bf16::from_le_bytes(pair).to_f32()).collect(),
            _ => pairs.map(|pair| f16::from_le_bytes(pair).to_f32()).collect(),
        })
    }

    /// Checks that every tensor of `network` is here, in shape and number format; no tensor is read.
    ///
    /// # Errors
    /// Names the first tensor that is not.
    pub fn check(&self, network: &Network) -> Result<(), CheckpointError> {
        let parameters = network.layers().iter().flat_map(|layer| network.parameters(layer.kind));
        parameters.into_iter().try_for_each(|parameter| self.find(&parameter).map(|_| ()))
    }

    /// The number of classes that the classifier of `arch` has in this file.
    ///
    /// # Errors
    /// If the file has no such classifier, or one for another number of features.
    pub fn classes(&self, arch: Arch) -> Result<u32, CheckpointError> {
        let head = arch.network().head;
        let (tensor, features) = (format!("{}.weight", head.name), head.input.channels as usize);
        let expected = vec![head.classes as usize, features];
        let Some(info) = self.info(&tensor) else {
            return Err(self.missing(tensor, expected));
        };
        match *info.shape.as_slice() {
            [classes, found] if found == features => Ok(u32::try_from(classes).unwrap_or(u32::MAX)),
            _ => Err(CheckpointError::Shape {
                path: self.path.clone(),
                tensor,
                expected,
                found: info.shape.clone(),
            }),
        }
    }

    /// The network `arch` with this file's number of classes and the image size of its paper.
    ///
    /// # Errors
    /// As [`classes`](Self::classes), or if a network cannot have that number.
    pub fn spec(&self, arch: Arch) -> Result<NetworkSpec, CheckpointError> {
        let classes = self.classes(arch)?;
        NetworkSpec::new(arch, arch.network().input, classes)
            .map_err(|source| CheckpointError::Spec { path: self.path.clone(), source })
    }

    fn info(&self, name: &str) -> Option<&TensorInfo> {
        let tensors = &self.header.tensors;
        tensors.info(name).or_else(|| tensors.info(&format!("{DATA_PARALLEL}{name}")))
    }

    fn find(&self, parameter: &Parameter) -> Result<&TensorInfo, CheckpointError> {
        let Parameter { name, shape, .. } = parameter;
        let Some(info) = self.info(name) else {
            return Err(self.missing(name.clone(), shape.clone()));
        };
        if info.shape != *shape {
            return Err(CheckpointError::Shape {
                path: self.path.clone(),
                tensor: name.clone(),
                expected: shape.clone(),
                found: info.shape.clone(),
            });
        }
        if !matches!(info.dtype, Dtype::F32 | Dtype::F16 | Dtype::BF16) {
            return Err(CheckpointError::Format {
                path: self.path.clone(),
                tensor: name.clone(),
                dtype: info.dtype,
            });
        }
        Ok(info)
    }

    /// Looks for a name with the same ending, so that a renamed or a wrapped network shows at once.
    fn missing(&self, tensor: String, expected: Vec<usize>) -> CheckpointError {
        let names = self.header.tensors.offset_keys();
        let nearby = names.into_iter().find(|name| name.ends_with(&tensor));
        CheckpointError::Missing { path: self.path.clone(), tensor, expected, nearby }
    }
}

fn nearest(nearby: &Option<String>) -> String {
    nearby.as_ref().map_or_else(String::new, |name| format!(" (it has {name:?})"))
}
