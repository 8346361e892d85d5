//! Images in memory as bytes, and the one place where bytes become what a network sees.

use weir_shared::arch::Shape;
use weir_shared::digest::{Digest, Hasher};
use weir_shared::images::normalise;
pub use weir_shared::images::{MEAN, STANDARD_DEVIATION};

/// Labelled images of one shape, as bytes.
///
/// A record is the label's byte, then the planes red, green, blue, each row by row: the form of CIFAR-10's
/// binary files (<https://www.cs.toronto.edu/~kriz/cifar.html>), 3,073 bytes for 32x32.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Images {
    shape: Shape,
    classes: Vec<String>,
    records: Vec<u8>,
}

/// Images as a network takes them, with their labels.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// Normalised numbers, `[labels.len(), channels, height, width]`.
    pub images: Vec<f32>,
    /// The class of each image.
    pub labels: Vec<u8>,
}

impl Images {
    /// Takes whole records of `shape`. Sources have checked length and labels; what is left over is cut off.
    pub(super) fn new(shape: Shape, classes: Vec<String>, mut records: Vec<u8>) -> Self {
        let size = 1 + shape.elements();
        records.truncate(records.len() / size * size);
        Self { shape, classes, records }
    }

    /// Shape of one image.
    pub const fn shape(&self) -> Shape {
        self.shape
    }

    /// Names of the classes; a label is an index into them.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// Number of images.
    pub fn len(&self) -> usize {
        self.records.len() / self.record_bytes()
    }

    /// Whether there is no image.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// The class of image `index`.
    pub fn label(&self, index: usize) -> u8 {
        self.records[index * self.record_bytes()]
    }

    /// The pixels of image `index`, `[channels, height, width]`.
    pub fn pixels(&self, index: usize) -> &[u8] {
        let size = self.record_bytes();
        &self.records[index * size + 1..(index + 1) * size]
    }

    /// The images at `indices`, in that order, as a network takes them.
    pub fn batch(&self, indices: impl IntoIterator<Item = usize>) -> Batch {
        let mut batch = Batch { images: Vec::new(), labels: Vec::new() };
        for index in indices {
            batch.push(self.label(index), self.pixels(index));
        }
        batch
    }

    /// The SHA-256 of all records: results name it, so that they say what they were measured on.
    pub fn digest(&self) -> Digest {
        let mut hasher = Hasher::default();
        hasher.update(&self.records);
        hasher.finish()
    }

    fn record_bytes(&self) -> usize {
        1 + self.shape.elements()
    }
}

impl Batch {
    /// A batch of nothing, to be filled with [`push`](Self::push).
    pub const fn empty() -> Self {
        Self { images: Vec::new(), labels: Vec::new() }
    }

    /// Adds one image: normalises `pixels`, three planes of equal size.
    pub fn push(&mut self, label: u8, pixels: &[u8]) {
        self.labels.push(label);
        self.images.reserve(pixels.len());
        let planes = pixels.chunks_exact((pixels.len() / 3).max(1));
        for ((plane, mean), deviation) in planes.zip(MEAN).zip(STANDARD_DEVIATION) {
            self.images.extend(plane.iter().map(|&byte| normalise(byte, mean, deviation)));
        }
    }

    /// Number of images.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is no image.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_normalised_channel_by_channel() {
        let shape = Shape::new(3, 1, 2);
        let images = Images::new(shape, vec!["a".into(), "b".into()], vec![1, 0, 255, 0, 255, 0, 255]);
        let batch = images.batch([0, 0]);
        assert_eq!(batch.labels, [1, 1]);
        let white: Vec<f32> = (0..3).map(|c| (1.0 - MEAN[c]) / STANDARD_DEVIATION[c]).collect();
        let black: Vec<f32> = (0..3).map(|c| -MEAN[c] / STANDARD_DEVIATION[c]).collect();
        assert_eq!(batch.images[..6], [black[0], white[0], black[1], white[1], black[2], white[2]]);
    }
}
