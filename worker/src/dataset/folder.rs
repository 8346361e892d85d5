//! `folder`: anybody's own images, a folder for each class, PNG or JPEG of any size.
//!
//! Which split an image belongs to, and its place in it, follow from the SHA-256 of its file: the same file is
//! never in two splits, whatever it is called and whatever is added beside it, and the first `n` images of a split
//! are a fair draw of all classes. One image in ten is for testing, one for validation.

use std::ffi::OsStr;
use std::num::NonZeroU16;
use std::path::{Path, PathBuf};

use image::imageops::FilterType;
use image::{ImageReader, RgbImage};
use weir_shared::arch::Shape;
use weir_shared::digest::Digest;

use super::{Images, Split};

/// Rows and columns where nothing is said: what networks of the CIFAR family take.
pub const SIDE: NonZeroU16 = NonZeroU16::new(32).unwrap();

/// A label is one byte.
const CLASSES_MAX: usize = 256;

/// Every n-th image is for testing, and another n-th for validation.
const HELD_OUT_EVERY: u32 = 10;

/// An image with more rows or columns is not decoded: a small file can claim any size.
const SIDE_MAX: u32 = 16_384;

/// The most memory that decoding one image may take, in bytes.
const DECODE_BYTES_MAX: u64 = 1 << 30;

/// Why a folder is no data set.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// A folder or file can not be read.
    #[error("cannot read {}; check the path and who may read it", .path.display())]
    Read {
        /// The folder or file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Too few classes.
    #[error(
        "{} holds {found} folders with images, but at least 2 classes are needed: make one folder for each class, \
         named as the class, with its PNG and JPEG files in it",
        .path.display()
    )]
    TooFewClasses {
        /// The folder.
        path: PathBuf,
        /// Folders in it.
        found: usize,
    },
    /// Too many classes.
    #[error("{} holds {found} folders, but at most {CLASSES_MAX} classes are supported; leave some out", .path.display())]
    TooManyClasses {
        /// The folder.
        path: PathBuf,
        /// Folders in it.
        found: usize,
    },
    /// A class without images.
    #[error("{} holds no PNG or JPEG file; put the images of this class there or remove the folder", .0.display())]
    EmptyClass(PathBuf),
    /// An image can not be decoded.
    #[error("{} is not a readable PNG or JPEG image; replace it or remove it", .path.display())]
    Image {
        /// The file.
        path: PathBuf,
        /// Why.
        source: image::ImageError,
    },
}

/// Loads the first `limit` images of a split, or all of them, brought to `side` rows and columns.
///
/// The shorter side is scaled to `side` and the middle of the longer one is kept. Class names are sorted; a label is
/// the place in that order. Files that end neither in png nor in jpg or jpeg are left alone.
///
/// # Errors
/// If there are no or too many classes, a class is empty, or an image of this split can not be decoded.
pub fn load(
    folder: &Path,
    side: NonZeroU16,
    split: Split,
    limit: Option<usize>,
) -> Result<Images, FolderError> {
    let classes = class_folders(folder)?;
    let mut chosen = Vec::new();
    for (label, class) in classes.iter().enumerate() {
        let files = image_files(class)?;
        if files.is_empty() {
            return Err(FolderError::EmptyClass(class.clone()));
        }
        for path in files {
            let digest = Digest::of(&std::fs::read(&path).map_err(at(&path))?);
            if split_of(&digest) == split {
                chosen.push((digest, label as u8, path));
            }
        }
    }
    // The same file in two places counts twice, in a fixed order.
    chosen.sort_unstable();
    chosen.truncate(limit.unwrap_or(usize::MAX));
    let shape = Shape::new(3, side.get().into(), side.get().into());
    let mut records = Vec::with_capacity(chosen.len() * (1 + shape.elements()));
    for (_, label, path) in &chosen {
        let pixels = decode(path, side.get().into())?;
        records.push(*label);
        // From pixel by pixel to plane by plane.
        (0..3).for_each(|channel| records.extend(pixels.pixels().map(|pixel| pixel.0[channel])));
    }
    let name = |class: &PathBuf| class.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(Images::new(shape, classes.iter().map(name).collect(), records))
}

fn split_of(digest: &Digest) -> Split {
    match digest.prefix() % HELD_OUT_EVERY {
        0 => Split::Test,
        1 => Split::Validation,
        _ => Split::Train,
    }
}

fn at(path: &Path) -> impl Fn(std::io::Error) -> FolderError {
    let path = path.to_owned();
    move |source| FolderError::Read { path: path.clone(), source }
}

/// What lies in `folder`, sorted; hidden things are left out.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, FolderError> {
    let listed = std::fs::read_dir(folder).map_err(at(folder))?;
    let mut paths = listed
        .map(|entry| entry.map(|entry| entry.path()).map_err(at(folder)))
        .collect::<Result<Vec<_>, _>>()?;
    paths.retain(|path| path.file_name().is_some_and(|name| !name.to_string_lossy().starts_with('.')));
    paths.sort_unstable();
    Ok(paths)
}

fn class_folders(folder: &Path) -> Result<Vec<PathBuf>, FolderError> {
    let mut classes = entries(folder)?;
    classes.retain(|path| path.is_dir());
    let (path, found) = (folder.to_owned(), classes.len());
    match found {
        0..=1 => Err(FolderError::TooFewClasses { path, found }),
        2..=CLASSES_MAX => Ok(classes),
        _ => Err(FolderError::TooManyClasses { path, found }),
    }
}

fn image_files(class: &Path) -> Result<Vec<PathBuf>, FolderError> {
    let mut files = entries(class)?;
    let known = |extension: &OsStr| {
        let extension = extension.to_string_lossy().to_lowercase();
        ["png", "jpg", "jpeg"].contains(&extension.as_str())
    };
    files.retain(|path| path.is_file() && path.extension().is_some_and(known));
    Ok(files)
}

fn decode(path: &Path, side: u32) -> Result<RgbImage, FolderError> {
    let wrong = |source| FolderError::Image { path: path.to_owned(), source };
    let mut reader = ImageReader::open(path).and_then(ImageReader::with_guessed_format).map_err(at(path))?;
    let mut limits = image::Limits::default();
    limits.max_image_width = Some(SIDE_MAX);
    limits.max_image_height = Some(SIDE_MAX);
    limits.max_alloc = Some(DECODE_BYTES_MAX);
    reader.limits(limits);
    let image = reader.decode().map_err(wrong)?;
    // Both sides at least `side`, one of them exactly; then the middle.
    Ok(image.resize_to_fill(side, side, FilterType::Triangle).into_rgb8())
}
