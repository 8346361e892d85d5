//! The unsplit network's answers, computed by one process before any cluster exists: what every answer of the
//! cluster must equal, bit for bit.
//!
//! Equality is exact only at equal batch size (batch 8 differs from batch 1 by some 1e-6), so the oracle computes
//! one image at a time, as the demonstration asks.

use std::path::{Path, PathBuf};
use std::time::Duration;

use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use weir_shared::arch::{Arch, Shape};

use super::command::{self, CommandError};
use super::config::Dataset;
use super::story::judge::Computation;
use crate::gateway::oip::tensor::fp32_from_le;

/// ResNet-110 computes some 100 images a second on one core of a laptop; a small board is ten times slower.
const TIME_FOR_IMAGE: Duration = Duration::from_millis(200);

/// Loading, and drawing or reading the images.
const TIME_TO_START: Duration = Duration::from_secs(60);

/// Images, what they show, and what the whole network says about them.
#[derive(Debug, Clone, PartialEq)]
pub struct Oracle {
    image: Shape,
    classes: usize,
    images: Vec<f32>,
    labels: Vec<i64>,
    logits: Vec<f32>,
}

/// What the oracle is asked.
#[derive(Debug)]
pub struct Question<'a> {
    /// The network.
    pub arch: Arch,
    /// Its checkpoint.
    pub weights: &'a Path,
    /// Which images.
    pub dataset: Dataset,
    /// Their folder, for a data set on disk.
    pub data: Option<&'a Path>,
    /// How many.
    pub images: usize,
}

/// Why there is nothing to compare with.
#[derive(Debug, thiserror::Error)]
pub enum OracleError {
    /// The worker did not compute it.
    #[error("the unsplit network was not computed")]
    Command(#[from] CommandError),
    /// The file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file is not what `weir-worker eval --export` writes.
    #[error("{} is not an export of weir-worker eval of this release ({reason}); run `make build`", path.display())]
    Form {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

impl Oracle {
    /// Lets `worker` compute the answers; `file` is where they are kept.
    ///
    /// # Errors
    /// If the worker fails, or writes something else.
    pub async fn ask(worker: &Path, question: &Question<'_>, file: &Path) -> Result<Self, OracleError> {
        Self::run(worker, question, Vec::new(), file).await
    }

    /// As [`ask`](Self::ask), but what the network answers when only a part of it is computed, or activations are
    /// rounded on their way.
    ///
    /// # Errors
    /// As [`ask`](Self::ask).
    pub async fn ask_about(
        worker: &Path,
        question: &Question<'_>,
        computation: &Computation,
        file: &Path,
    ) -> Result<Self, OracleError> {
        let mut more = vec!["--active".to_owned(), computation.off.clone()];
        if let Some(split) = &computation.split {
            let path = file.with_extension("split.json");
            // Numbers and names: there is nothing that JSON could not hold.
            let text = serde_json::to_string(split).unwrap_or_default();
            let read = |source| OracleError::Read { path: path.clone(), source };
            std::fs::write(&path, text).map_err(read)?;
            more.extend(["--split-like".to_owned(), path.to_string_lossy().into_owned()]);
        }
        Self::run(worker, question, more, file).await
    }

    async fn run(
        worker: &Path,
        question: &Question<'_>,
        more: Vec<String>,
        file: &Path,
    ) -> Result<Self, OracleError> {
        let Question { arch, weights, dataset, data, images } = question;
        let (count, path) = (images.to_string(), |path: &Path| path.to_string_lossy().into_owned());
        let mut arguments = vec!["eval".to_owned(), "--arch".to_owned(), arch.name().to_owned()];
        let mut push = |flag: &str, value: String| arguments.extend([flag.to_owned(), value]);
        push("--weights", path(weights));
        push("--dataset", dataset.name().to_owned());
        if let Some(data) = data {
            push("--data", path(data));
        }
        push("--limit", count);
        push("--batch", "1".to_owned());
        push("--export", path(file));
        arguments.extend(more);
        let limit = TIME_TO_START + TIME_FOR_IMAGE * u32::try_from(*images).unwrap_or(u32::MAX);
        command::output(worker, arguments, limit).await?;
        let bytes = std::fs::read(file);
        let bytes = bytes.map_err(|source| OracleError::Read { path: file.to_owned(), source })?;
        Self::parse(&bytes).map_err(|reason| OracleError::Form { path: file.to_owned(), reason })
    }

    fn parse(bytes: &[u8]) -> Result<Self, String> {
        let tensors = SafeTensors::deserialize(bytes).map_err(|error| error.to_string())?;
        let tensor = |name: &str, dtype: Dtype, rank: usize| {
            let tensor = tensors.tensor(name).map_err(|error| error.to_string())?;
            if tensor.dtype() == dtype && tensor.shape().len() == rank {
                return Ok(tensor);
            }
            Err(format!("{name} is {:?} {:?}", tensor.dtype(), tensor.shape()))
        };
        let (images, logits) = (tensor("images", Dtype::F32, 4)?, tensor("logits", Dtype::F32, 2)?);
        let labels = tensor("labels", Dtype::I64, 1)?;
        let count = labels.shape()[0];
        if count == 0 || images.shape()[0] != count || logits.shape()[0] != count {
            return Err(format!("{:?} images, {:?} logits, {count} labels", images.shape(), logits.shape()));
        }
        let side = |index: usize| u32::try_from(images.shape()[index]).map_err(|error| error.to_string());
        let numbers =
            |tensor: &TensorView<'_>| fp32_from_le(tensor.data()).map_err(|error| error.to_string());
        let whole =
            |bytes: &[u8]| bytes.iter().rev().fold(0u64, |number, byte| number << 8 | u64::from(*byte));
        Ok(Self {
            image: Shape::new(side(1)?, side(2)?, side(3)?),
            classes: logits.shape()[1],
            images: numbers(&images)?,
            labels: labels.data().chunks_exact(8).map(|bytes| whole(bytes).cast_signed()).collect(),
            logits: numbers(&logits)?,
        })
    }

    /// How many images there are; the data set may have fewer than were asked for.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// There is always an image; a parser without one refuses.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Shape of one image.
    pub fn shape(&self) -> Shape {
        self.image
    }

    /// Image `index`, as it goes into the network.
    pub fn image(&self, index: usize) -> &[f32] {
        let size = self.image.elements();
        &self.images[index * size..(index + 1) * size]
    }

    /// What image `index` shows.
    pub fn label(&self, index: usize) -> i64 {
        self.labels[index]
    }

    /// What the whole network answers to image `index`.
    pub fn logits(&self, index: usize) -> &[f32] {
        &self.logits[index * self.classes..(index + 1) * self.classes]
    }

    /// How many images the whole network gets right.
    pub fn correct(&self) -> usize {
        let right = |index: &usize| most_likely(self.logits(*index)) == self.label(*index);
        (0..self.len()).filter(right).count()
    }
}

/// The class of the first of the largest; a NaN is an answer only where there is no other.
pub fn most_likely(logits: &[f32]) -> i64 {
    let beats = |index: usize, best: usize| logits[index] > logits[best] || logits[best].is_nan();
    let better = |best: usize, index: usize| if beats(index, best) { index } else { best };
    (0..logits.len()).fold(0, better) as i64
}

/// Whether two answers are the same bits: 0.0 is not -0.0 here, and a NaN equals itself.
pub fn same_bits(left: &[f32], right: &[f32]) -> bool {
    left.len() == right.len() && left.iter().zip(right).all(|(left, right)| left.to_bits() == right.to_bits())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Two images of 1x1x2 and three classes; the network is right about the first only.
    pub(in crate::demo) fn example() -> Oracle {
        Oracle::parse(&export(&[0, 1])).unwrap()
    }

    fn export(labels: &[i64]) -> Vec<u8> {
        let bytes = |numbers: &[f32]| numbers.iter().flat_map(|n| n.to_le_bytes()).collect::<Vec<u8>>();
        let (images, logits) = (bytes(&[1.0, 2.0, 3.0, 4.0]), bytes(&[9.0, 0.0, 1.0, 9.0, 0.0, 1.0]));
        let labels: Vec<u8> = labels.iter().flat_map(|label| label.to_le_bytes()).collect();
        let views = [
            ("images", TensorView::new(Dtype::F32, vec![2, 1, 1, 2], &images).unwrap()),
            ("labels", TensorView::new(Dtype::I64, vec![labels.len() / 8], &labels).unwrap()),
            ("logits", TensorView::new(Dtype::F32, vec![2, 3], &logits).unwrap()),
        ];
        safetensors::serialize(views, None).unwrap()
    }

    #[test]
    fn an_export_is_read_row_by_row() {
        let oracle = example();
        assert_eq!((oracle.len(), oracle.shape(), oracle.correct()), (2, Shape::new(1, 1, 2), 1));
        assert_eq!(
            (oracle.image(1), oracle.logits(1), oracle.label(1)),
            (&[3.0, 4.0][..], &[9.0, 0.0, 1.0][..], 1)
        );
    }

    #[test]
    fn parts_that_do_not_fit_are_refused() {
        assert!(Oracle::parse(&export(&[0])).unwrap_err().contains("1 labels"));
        assert!(Oracle::parse(b"no tensors").is_err());
    }

    #[test]
    fn equality_is_of_bits() {
        assert!(same_bits(&[1.0, f32::NAN], &[1.0, f32::NAN]));
        assert!(!same_bits(&[0.0], &[-0.0]));
        assert!(!same_bits(&[1.0], &[1.0, 1.0]));
        assert_eq!((most_likely(&[1.0, f32::NAN, 3.0, 3.0]), most_likely(&[f32::NAN, 1.0])), (2, 1));
    }
}
