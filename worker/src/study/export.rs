//! Writes what a network was given and what it answered, so that others can be compared with it bit for bit.

use std::collections::HashMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use safetensors::SafeTensorError;
use safetensors::tensor::{Dtype, TensorView};
use weir_shared::arch::Shape;
use weir_shared::weights::atomic;

use crate::dataset::Batch;

/// The entry of the file's metadata that says, as JSON, how the logits were computed.
pub const NOTES: &str = "weir-eval";

/// Images as they were sent to a network, their labels and its logits, gathered batch by batch.
#[derive(Debug, Default)]
pub struct Export {
    images: Vec<f32>,
    labels: Vec<i64>,
    logits: Vec<f32>,
}

/// Why nothing was written; an earlier file is untouched.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The parts do not fit together.
    #[error("images, labels and logits do not fit together")]
    Tensors(#[from] SafeTensorError),
    /// The system refused.
    #[error("cannot write {}; check the folder and the free space", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

impl Export {
    /// Adds a batch and its logits.
    pub fn push(&mut self, batch: &Batch, logits: &[f32]) {
        self.images.extend_from_slice(&batch.images);
        self.labels.extend(batch.labels.iter().map(|&label| i64::from(label)));
        self.logits.extend_from_slice(logits);
    }

    /// Writes `images` f32 `[n, channels, height, width]`, `labels` i64 `[n]` and `logits` f32 `[n, classes]` as
    /// safetensors, with `notes` as the one entry [`NOTES`] of its metadata.
    ///
    /// # Errors
    /// If `shape` is not that of the images, or the system refuses.
    pub fn save(&self, path: &Path, shape: Shape, notes: &serde_json::Value) -> Result<(), ExportError> {
        let count = self.labels.len();
        let size = [count, shape.channels as usize, shape.height as usize, shape.width as usize];
        let answers = [count, self.logits.len() / count.max(1)];
        let little_endian =
            |numbers: &[f32]| numbers.iter().flat_map(|n| n.to_le_bytes()).collect::<Vec<u8>>();
        let (images, logits) = (little_endian(&self.images), little_endian(&self.logits));
        let labels: Vec<u8> = self.labels.iter().flat_map(|label| label.to_le_bytes()).collect();
        let views = [
            ("images", TensorView::new(Dtype::F32, size.to_vec(), &images)?),
            ("labels", TensorView::new(Dtype::I64, vec![count], &labels)?),
            ("logits", TensorView::new(Dtype::F32, answers.to_vec(), &logits)?),
        ];
        // One entry, because several would be written in an order that changes from run to run.
        let metadata = HashMap::from([(NOTES.to_owned(), notes.to_string())]);
        let bytes = safetensors::serialize(views, Some(metadata))?;
        let written = atomic::replace(path, |file| file.write_all(&bytes));
        written.map_err(|source| ExportError::Write { path: path.to_owned(), source })
    }
}
