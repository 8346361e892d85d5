//! Varies training images in ways that keep their class.

use crate::dataset::{Batch, Dataset, Images};

use super::random::{Purpose, Stream};

/// How the images of a data set may be varied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Augment {
    /// A random crop of the image with a black border of four pixels, mirrored half the time
    /// (He et al. 2015, section 4.2).
    CropAndMirror,
    /// One of the eight ways to turn and mirror a square.
    ///
    /// For drawn images: their pose is random already, so all eight are as likely, and nothing is cut off.
    TurnAndMirror,
}

/// He et al. 2015, section 4.2.
const BORDER: usize = 4;

impl Augment {
    /// What suits a data set.
    pub const fn suited_to(dataset: &Dataset) -> Self {
        match dataset {
            Dataset::Cifar10 { .. } | Dataset::Folder { .. } => Self::CropAndMirror,
            Dataset::Shapes { .. } => Self::TurnAndMirror,
        }
    }

    /// The images at `indices`, varied as step `step` has it, as a network takes them.
    pub(super) fn batch(self, images: &Images, indices: &[usize], seed: u64, step: u64) -> Batch {
        let mut stream = Stream::new(seed, Purpose::Augment, step);
        let (height, width) = (images.shape().height as usize, images.shape().width as usize);
        let mut batch = Batch::empty();
        let mut varied = vec![0; images.shape().elements()];
        for &index in indices {
            let from = self.draw(&mut stream, height, width);
            let planes = images.pixels(index).chunks_exact(height * width);
            for (plane, out) in planes.zip(varied.chunks_exact_mut(height * width)) {
                for (position, pixel) in out.iter_mut().enumerate() {
                    let source = from.source(position / width, position % width);
                    *pixel = source.map_or(0, |(row, column)| plane[row * width + column]);
                }
            }
            batch.push(images.label(index), &varied);
        }
        batch
    }

    fn draw(self, stream: &mut Stream, height: usize, width: usize) -> Mapping {
        let still = Mapping { height, width, down: BORDER, right: BORDER, mirror: 0, transpose: 0, flip: 0 };
        match self {
            Self::CropAndMirror => {
                let (down, right) = (stream.below(2 * BORDER + 1), stream.below(2 * BORDER + 1));
                Mapping { down, right, mirror: stream.below(2), ..still }
            }
            Self::TurnAndMirror => {
                // Rows and columns change places only where there are as many.
                let transpose = if height == width { stream.below(2) } else { 0 };
                Mapping { mirror: stream.below(2), flip: stream.below(2), transpose, ..still }
            }
        }
    }
}

/// Which pixel of the original goes where. Shifts are counted from the corner of the bordered image.
#[derive(Debug, Clone, Copy)]
struct Mapping {
    height: usize,
    width: usize,
    down: usize,
    right: usize,
    mirror: usize,
    transpose: usize,
    flip: usize,
}

impl Mapping {
    /// Where the pixel at `row` and `column` comes from; `None` is the border.
    fn source(self, row: usize, column: usize) -> Option<(usize, usize)> {
        let (row, column) = if self.transpose == 1 { (column, row) } else { (row, column) };
        let row = if self.flip == 1 { self.height - 1 - row } else { row };
        let column = if self.mirror == 1 { self.width - 1 - column } else { column };
        let row = (row + self.down).checked_sub(BORDER).filter(|&row| row < self.height)?;
        let column = (column + self.right).checked_sub(BORDER).filter(|&column| column < self.width)?;
        Some((row, column))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::shapes;

    #[test]
    fn turning_keeps_every_pixel_and_a_step_repeats_itself() {
        let images = shapes::load(1, crate::dataset::Split::Train, 4);
        let indices = [0, 1, 2, 3];
        let plain = images.batch(indices);
        let mut turned = 0;
        for step in 0..8 {
            let varied = Augment::TurnAndMirror.batch(&images, &indices, 1, step);
            let sorted = |batch: &Batch| {
                let mut numbers: Vec<u32> =
                    batch.images[..1024].iter().map(|number| number.to_bits()).collect();
                numbers.sort_unstable();
                numbers
            };
            assert_eq!(sorted(&varied), sorted(&plain));
            assert_eq!(varied, Augment::TurnAndMirror.batch(&images, &indices, 1, step));
            turned += usize::from(varied.images != plain.images);
        }
        assert!(turned >= 6);
    }

    #[test]
    fn a_crop_moves_the_image_and_fills_with_black() {
        let still = Mapping { height: 8, width: 8, down: 4, right: 4, mirror: 0, transpose: 0, flip: 0 };
        assert_eq!(still.source(2, 3), Some((2, 3)));
        let up = Mapping { down: 8, ..still };
        assert_eq!((up.source(0, 0), up.source(4, 0)), (Some((4, 0)), None));
        assert_eq!(Mapping { mirror: 1, ..still }.source(0, 0), Some((0, 7)));
    }
}
