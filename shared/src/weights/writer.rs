//! Writes safetensors files.
//!
//! Tensors are written one by one in the order given, so the same tensors make the same bytes, and no second copy
//! of the network is held in memory.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use safetensors::SafeTensorError;
use safetensors::tensor::{Dtype, Metadata, TensorInfo};

use super::{LayerTensors, atomic};

/// A tensor to be written.
#[derive(Debug, Clone, Copy)]
pub struct NamedTensor<'a> {
    /// Its name in the checkpoint.
    pub name: &'a str,
    /// Its dimensions, outermost first.
    pub shape: &'a [usize],
    /// Its numbers, row by row from the outermost dimension.
    pub numbers: &'a [f32],
}

/// Why a checkpoint was not written; the previous file is untouched.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// A tensor has not as many numbers as its shape says, or a name comes twice.
    #[error("these tensors make no checkpoint: a name comes twice, or numbers do not fill their shape")]
    Tensors(#[source] SafeTensorError),
    /// The header cannot be made.
    #[error("the header cannot be written as JSON")]
    Header(#[from] serde_json::Error),
    /// The system refused.
    #[error("cannot write {}; check the folder and the free space (a previous file is untouched)", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Writes `tensors` to `path` as F32, replacing a previous file only when all is on the disk.
///
/// # Errors
/// If the tensors do not fit together, or the system refuses.
pub fn save(path: &Path, tensors: &[NamedTensor<'_>]) -> Result<(), WriteError> {
    let header = header(tensors)?;
    let written = atomic::replace(path, |file| {
        file.write_all(&(header.len() as u64).to_le_bytes())?;
        file.write_all(&header)?;
        tensors.iter().try_for_each(|tensor| write_numbers(file, tensor.numbers))
    });
    written.map_err(|source| WriteError::Write { path: path.to_owned(), source })
}

/// Writes the tensors of `layers` to `path`, as [`save`] does.
///
/// # Errors
/// As [`save`].
pub fn save_layers(path: &Path, layers: &[LayerTensors]) -> Result<(), WriteError> {
    let tensors: Vec<_> = layers
        .iter()
        .flat_map(LayerTensors::iter)
        .map(|(parameter, numbers)| NamedTensor { name: &parameter.name, shape: &parameter.shape, numbers })
        .collect();
    save(path, &tensors)
}

fn header(tensors: &[NamedTensor<'_>]) -> Result<Vec<u8>, WriteError> {
    let mut end = 0;
    let mut infos = Vec::with_capacity(tensors.len());
    for tensor in tensors {
        let start = end;
        end += size_of_val(tensor.numbers);
        let shape = tensor.shape.to_vec();
        infos.push((
            tensor.name.to_owned(),
            TensorInfo { dtype: Dtype::F32, shape, data_offsets: (start, end) },
        ));
    }
    let metadata = Metadata::new(None, infos).map_err(WriteError::Tensors)?;
    // The crate keeps one entry for a name that comes twice, and would write a header with a gap.
    if metadata.offset_keys().len() != tensors.len() {
        return Err(WriteError::Tensors(SafeTensorError::TensorInvalidInfo));
    }
    let mut json = serde_json::to_vec(&metadata)?;
    // The format lets the header end in spaces; multiples of 8 keep the numbers aligned for those who map the file.
    json.resize(json.len().next_multiple_of(8), b' ');
    Ok(json)
}

#[cfg(target_endian = "little")]
fn write_numbers(file: &mut impl io::Write, numbers: &[f32]) -> io::Result<()> {
    file.write_all(bytemuck::cast_slice(numbers))
}

#[cfg(target_endian = "big")]
fn write_numbers(file: &mut impl io::Write, numbers: &[f32]) -> io::Result<()> {
    numbers.iter().try_for_each(|number| file.write_all(&number.to_le_bytes()))
}
