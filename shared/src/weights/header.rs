//! The header of a safetensors file: bounded, and checked against the length of the file.
//!
//! The format is eight bytes of length, that many bytes of JSON, then the tensors' bytes. The `safetensors` crate
//! parses the JSON and refuses gaps and overlaps between tensors; what it can not know is the file.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use safetensors::tensor::Metadata;

use super::CheckpointError;

/// The longest header that is read, in bytes.
///
/// ResNet-152 needs 0.1 MiB; the format itself allows 100 MB, which would let a file of no use fill a small
/// machine's memory.
pub(super) const HEADER_MAX: u64 = 16 << 20;

/// Bytes of the length that opens the file.
const LENGTH_BYTES: u64 = 8;

/// A checked header.
#[derive(Debug)]
pub(super) struct Header {
    /// Names, number formats, shapes and offsets of the tensors.
    pub(super) tensors: Metadata,
    /// Where in the file the tensors' bytes begin.
    pub(super) data_start: u64,
}

/// Reads the header of `file`; `path` is for messages.
pub(super) fn read(file: &File, path: &Path) -> Result<Header, CheckpointError> {
    let at_read = |source| CheckpointError::Open { path: path.to_owned(), source };
    let file_bytes = file.metadata().map_err(at_read)?.len();
    if file_bytes < LENGTH_BYTES {
        return Err(CheckpointError::Truncated {
            path: path.to_owned(),
            expected: LENGTH_BYTES,
            found: file_bytes,
        });
    }
    let mut start = [0; LENGTH_BYTES as usize];
    file.read_exact_at(&mut start, 0).map_err(at_read)?;
    let length = u64::from_le_bytes(start);
    if let Some(error) = foreign(start, length, path) {
        return Err(error);
    }
    let data_start = LENGTH_BYTES + length;
    if file_bytes < data_start {
        return Err(CheckpointError::Truncated {
            path: path.to_owned(),
            expected: data_start,
            found: file_bytes,
        });
    }
    let mut json = vec![0; length as usize];
    file.read_exact_at(&mut json, LENGTH_BYTES).map_err(at_read)?;
    let tensors: Metadata = serde_json::from_slice(&json)
        .map_err(|source| CheckpointError::Header { path: path.to_owned(), source })?;
    let expected = data_start.saturating_add(tensors.data_len() as u64);
    if file_bytes < expected {
        return Err(CheckpointError::Truncated { path: path.to_owned(), expected, found: file_bytes });
    }
    if file_bytes > expected {
        return Err(CheckpointError::Trailing { path: path.to_owned(), extra: file_bytes - expected });
    }
    Ok(Header { tensors, data_start })
}

/// Why a file that opens with `start` is no safetensors file, if that shows.
///
/// Asked only once the length is absurd: `80 02` opens a pickle, but also a header of 640 bytes.
fn foreign(start: [u8; 8], length: u64, path: &Path) -> Option<CheckpointError> {
    if length <= HEADER_MAX {
        return None;
    }
    let path = path.to_owned();
    Some(match start {
        // A zip archive, as torch.save writes it, or a bare pickle, as it did before PyTorch 1.6.
        [b'P', b'K', 3, 4, ..] | [0x80, 2..=5, ..] => CheckpointError::Pickle { path },
        // Git LFS, specification: a pointer file opens with "version https://git-lfs".
        [b'v', b'e', b'r', b's', b'i', b'o', b'n', b' '] => CheckpointError::Pointer { path },
        _ => CheckpointError::HeaderTooLong { path, length },
    })
}
