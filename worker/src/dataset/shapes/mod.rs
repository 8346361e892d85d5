//! `shapes`: labelled images that this program draws itself, for a demonstration without any download.
//!
//! Ten classes, seven of outline and three of texture, 32x32 in colour. Pose, size, colour, background, clutter,
//! occlusion and noise are all random, so that a small ResNet has something to learn and does not get
//! everything right.
//!
//! Always true: image `i` of a split under a seed is a pure function of the three, the same bytes on every
//! machine. So only `+ - * /` and `sqrt` are used, which IEEE 754 defines to the last bit, in `f32` and without
//! fused operations (Rust never fuses on its own); no sine, no logarithm, nothing from the C library. Splits
//! are disjoint because the split is part of the key of the random stream.

mod dice;
mod figure;
mod scene;

use weir_shared::arch::Shape;

use super::{Images, Split};
use dice::Dice;

/// Names of the classes, in the order of labels.
pub const CLASSES: [&str; 10] =
    ["disc", "ring", "crescent", "square", "triangle", "cross", "star", "stripes", "checker", "dots"];

/// The seed of the images on which shipped networks were trained and measured.
pub const SEED: u64 = 1;

/// Rows and columns of an image.
pub const SIDE: usize = 32;

const SHAPE: Shape = Shape::new(3, SIDE as u32, SIDE as u32);

/// Images of a split where no number is asked for, after the sizes of CIFAR-10.
pub const fn default_count(split: Split) -> usize {
    match split {
        Split::Train => 45_000,
        Split::Validation => 5_000,
        Split::Test => 10_000,
    }
}

/// Draws the first `count` images of a split, on all processors.
pub fn load(seed: u64, split: Split, count: usize) -> Images {
    let record_bytes = 1 + SHAPE.elements();
    let mut records = vec![0; count * record_bytes];
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let share = count.div_ceil(threads).max(1);
    std::thread::scope(|scope| {
        for (part, chunk) in records.chunks_mut(share * record_bytes).enumerate() {
            scope.spawn(move || {
                for (offset, record) in chunk.chunks_exact_mut(record_bytes).enumerate() {
                    draw(seed, split, (part * share + offset) as u64, record);
                }
            });
        }
    });
    Images::new(SHAPE, CLASSES.map(str::to_owned).to_vec(), records)
}

/// Draws one image into a record. Classes take turns, so that every ten images hold each class once.
fn draw(seed: u64, split: Split, index: u64, record: &mut [u8]) {
    let label = (index % CLASSES.len() as u64) as u8;
    let stream = match split {
        Split::Train => 0,
        Split::Validation => 1,
        Split::Test => 2,
    };
    let mut dice = Dice::new([seed, stream, index]);
    if let Some((first, pixels)) = record.split_first_mut() {
        *first = label;
        scene::draw(&mut dice, label, pixels);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_does_not_depend_on_how_many_are_drawn() {
        let (few, many) = (load(7, Split::Train, 3), load(7, Split::Train, 50));
        assert!((0..3).all(|i| few.pixels(i) == many.pixels(i) && few.label(i) == many.label(i)));
    }

    #[test]
    fn splits_and_seeds_share_no_image() {
        let mut seen = std::collections::HashSet::new();
        for (seed, split) in [(1, Split::Train), (1, Split::Validation), (1, Split::Test), (2, Split::Train)]
        {
            let images = load(seed, split, 200);
            assert!((0..200).all(|i| seen.insert(images.pixels(i).to_vec())), "{seed} {split}");
        }
    }

    #[test]
    fn the_bytes_are_the_same_on_every_machine() {
        // If this fails after a change of the drawing, networks trained on the old images are measured on
        // others: train and measure the shipped ones again. If it fails on another machine, find what rounds.
        let digest = load(SEED, Split::Test, 1_000).digest().to_string();
        assert_eq!(digest, "4727ac75325dd8fe77b7bdee7d75f8e3b6fa24b50d6c318c8816aa2f87318397");
    }
}
