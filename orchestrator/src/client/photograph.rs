//! From a PNG or JPEG file to the numbers that a network takes.
//!
//! The same steps as the worker's data sets: the shorter side is scaled, the middle is cut out, and each channel is
//! normalised. A photograph that says how it was held (EXIF) is turned upright first.

use std::path::{Path, PathBuf};

use image::imageops::FilterType;
use image::{DynamicImage, ImageDecoder as _, ImageReader};
use weir_shared::images::normalise;

use super::model::Model;

/// An image with more rows or columns is not decoded: a small file can claim any size.
const SIDE_MAX: u32 = 16_384;

/// The most memory that decoding one image may take, in bytes.
const DECODE_BYTES_MAX: u64 = 1 << 30;

/// Why a file is no image for a network.
#[derive(Debug, thiserror::Error)]
pub enum PhotographError {
    /// The file cannot be read.
    #[error("cannot read {}; check the path and who may read it", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It cannot be decoded.
    #[error("{} is not a readable PNG or JPEG image", .path.display())]
    Decode {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: image::ImageError,
    },
}

/// The numbers of the image in `path` for `model`: channel by channel, row by row.
///
/// # Errors
/// If the file cannot be read or decoded.
pub fn load(path: &Path, model: &Model) -> Result<Vec<f32>, PhotographError> {
    Ok(numbers(&decode(path)?, model))
}

fn decode(path: &Path) -> Result<DynamicImage, PhotographError> {
    let read = |source| PhotographError::Read { path: path.to_owned(), source };
    let wrong = |source| PhotographError::Decode { path: path.to_owned(), source };
    let mut reader = ImageReader::open(path).and_then(ImageReader::with_guessed_format).map_err(read)?;
    let mut limits = image::Limits::default();
    limits.max_image_width = Some(SIDE_MAX);
    limits.max_image_height = Some(SIDE_MAX);
    limits.max_alloc = Some(DECODE_BYTES_MAX);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(wrong)?;
    let orientation = decoder.orientation().map_err(wrong)?;
    let mut image = DynamicImage::from_decoder(decoder).map_err(wrong)?;
    image.apply_orientation(orientation);
    Ok(image)
}

fn numbers(image: &DynamicImage, model: &Model) -> Vec<f32> {
    let (height, width) = (model.image.height, model.image.width);
    let longer = height.max(width).max(1);
    let scaled = |side: u32| (side * model.shorter_side / longer).max(side);
    let (wide, high) = (scaled(width), scaled(height));
    // Both sides at least as asked, one of them exactly; then the middle, twice.
    let filled = image.resize_to_fill(wide, high, FilterType::Triangle);
    let middle = filled.crop_imm((wide - width) / 2, (high - height) / 2, width, height).into_rgb8();
    let channels = model.mean.iter().zip(&model.standard_deviation).enumerate();
    let plane = |(channel, (mean, deviation)): (usize, (&f32, &f32))| {
        let bytes = middle.pixels().map(|pixel| normalise(pixel.0[channel], *mean, *deviation));
        bytes.collect::<Vec<_>>()
    };
    channels.flat_map(plane).collect()
}

#[cfg(test)]
mod tests {
    use image::{Rgb, RgbImage};
    use weir_shared::arch::Shape;

    use super::*;

    fn model(side: u32, shorter_side: u32) -> Model {
        Model { image: Shape::new(3, side, side), shorter_side, ..Model::example() }
    }

    #[test]
    fn an_image_of_the_right_size_is_only_normalised() {
        let image = RgbImage::from_fn(4, 4, |x, y| Rgb([x as u8 * 60, y as u8 * 60, 255]));
        let found = numbers(&image.into(), &model(4, 4));
        let Model { mean, standard_deviation, .. } = Model::example();
        assert_eq!(found.len(), 48);
        assert_eq!(found[1].to_bits(), normalise(60, mean[0], standard_deviation[0]).to_bits());
        assert_eq!(found[16 + 4].to_bits(), normalise(60, mean[1], standard_deviation[1]).to_bits());
        assert_eq!(found[47].to_bits(), normalise(255, mean[2], standard_deviation[2]).to_bits());
    }

    #[test]
    fn the_middle_is_what_counts() {
        // White, with a black frame that is cut off: above and below for the format, all around for the margin.
        let image = RgbImage::from_fn(40, 80, |x, y| {
            Rgb([if (5..35).contains(&x) && (25..55).contains(&y) { 255 } else { 0 }; 3])
        });
        let found = numbers(&image.into(), &model(20, 40));
        let white = normalise(255, Model::example().mean[0], Model::example().standard_deviation[0]);
        assert!(found[..400].iter().all(|number| *number == white), "{found:?}");
    }

    #[test]
    fn what_is_no_image_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notes.png");
        std::fs::write(&path, "not a picture").unwrap();
        let error = load(&path, &Model::example()).unwrap_err().to_string();
        assert!(error.contains("notes.png is not a readable PNG or JPEG"), "{error}");
        let error = load(Path::new("/nowhere.jpg"), &Model::example()).unwrap_err().to_string();
        assert!(error.contains("cannot read /nowhere.jpg"), "{error}");
    }
}
