//! CIFAR-10 from its binary folder (Krizhevsky 2009, <https://www.cs.toronto.edu/~kriz/cifar.html>).
//!
//! Five files of 10,000 records for training and one for testing. Of the 50,000 training images, 5,000 are
//! held out for validation by a fixed shuffle that no option changes: whatever was trained here, anywhere and
//! at any time, has never seen them.

use std::path::{Path, PathBuf};

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore as _, SeedableRng as _};
use weir_shared::arch::Shape;

use super::{Images, Split};

/// How a person gets the folder.
pub const HOW_TO_GET: &str = "get https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz, unpack it, and name the \
                              folder cifar-10-batches-bin";

/// In the order of `batches.meta.txt`.
const CLASSES: [&str; 10] =
    ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];

const SHAPE: Shape = Shape::new(3, 32, 32);
const RECORD_BYTES: usize = 1 + SHAPE.elements();
const RECORDS_PER_FILE: usize = 10_000;
const TRAIN_FILES: [&str; 5] =
    ["data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin"];
const TEST_FILES: [&str; 1] = ["test_batch.bin"];

/// One tenth of the training images, as in He et al. 2015, section 4.2 (45,000 / 5,000).
const HELD_OUT: usize = 5_000;

/// Any constant would do; it must never change.
const HOLD_OUT_SEED: u64 = 10;

/// Why a folder is not CIFAR-10.
#[derive(Debug, thiserror::Error)]
pub enum Cifar10Error {
    /// A file is not there.
    #[error("{} is missing; {HOW_TO_GET}", .0.display())]
    Missing(PathBuf),
    /// A file is there but can not be read.
    #[error("cannot read {}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file is cut off or is something else.
    #[error(
        "{} has {found} bytes, but 10000 records of 3073 bytes are {}: it is cut off or is not the binary \
         version (the Python and Matlab versions will not do); {HOW_TO_GET}",
        .path.display(), RECORDS_PER_FILE * RECORD_BYTES
    )]
    Size {
        /// The file.
        path: PathBuf,
        /// Its size.
        found: u64,
    },
    /// A label is no class.
    #[error("record {record} of {} has label {label}, but labels are 0 to 9: the file is damaged, fetch it again", .path.display())]
    Label {
        /// The file.
        path: PathBuf,
        /// Position in the file, from 0.
        record: usize,
        /// What stands there.
        label: u8,
    },
}

/// Loads the first `limit` images of a split, or all of them.
///
/// # Errors
/// If a file is missing, has another size, or holds a label that is no class.
pub fn load(folder: &Path, split: Split, limit: Option<usize>) -> Result<Images, Cifar10Error> {
    let records = match split {
        Split::Test => read(folder, &TEST_FILES, limit)?,
        Split::Train => pick(&read(folder, &TRAIN_FILES, None)?, &held_out_last()[..TRAIN_COUNT], limit),
        Split::Validation => pick(&read(folder, &TRAIN_FILES, None)?, &held_out_last()[TRAIN_COUNT..], limit),
    };
    Ok(Images::new(SHAPE, CLASSES.map(str::to_owned).to_vec(), records))
}

const TRAIN_COUNT: usize = TRAIN_FILES.len() * RECORDS_PER_FILE - HELD_OUT;

/// All training records, shuffled: those held out are the last. (Fisher and Yates; the bias of `%` is below 1e-14.)
fn held_out_last() -> Vec<usize> {
    let mut order: Vec<usize> = (0..TRAIN_COUNT + HELD_OUT).collect();
    let mut rng = ChaCha8Rng::seed_from_u64(HOLD_OUT_SEED);
    for last in (1..order.len()).rev() {
        order.swap(last, (rng.next_u64() % (last as u64 + 1)) as usize);
    }
    order
}

fn pick(records: &[u8], order: &[usize], limit: Option<usize>) -> Vec<u8> {
    let chosen = order.iter().take(limit.unwrap_or(order.len()));
    chosen.flat_map(|&index| &records[index * RECORD_BYTES..(index + 1) * RECORD_BYTES]).copied().collect()
}

fn read(folder: &Path, names: &[&str], limit: Option<usize>) -> Result<Vec<u8>, Cifar10Error> {
    let mut records = Vec::with_capacity(names.len() * RECORDS_PER_FILE * RECORD_BYTES);
    for name in names {
        read_file(&folder.join(name), &mut records)?;
    }
    records.truncate(limit.map_or(records.len(), |limit| limit.saturating_mul(RECORD_BYTES)));
    Ok(records)
}

fn read_file(path: &Path, records: &mut Vec<u8>) -> Result<(), Cifar10Error> {
    let failed = |source: std::io::Error| match source.kind() {
        std::io::ErrorKind::NotFound => Cifar10Error::Missing(path.to_owned()),
        _ => Cifar10Error::Unreadable { path: path.to_owned(), source },
    };
    // Asked first, so that a wrong file of any size is refused without being read into memory.
    let found = std::fs::metadata(path).map_err(failed)?.len();
    if found != (RECORDS_PER_FILE * RECORD_BYTES) as u64 {
        return Err(Cifar10Error::Size { path: path.to_owned(), found });
    }
    let bytes = std::fs::read(path).map_err(failed)?;
    let labels = bytes.iter().step_by(RECORD_BYTES).enumerate();
    if let Some((record, &label)) =
        labels.into_iter().find(|(_, label)| usize::from(**label) >= CLASSES.len())
    {
        return Err(Cifar10Error::Label { path: path.to_owned(), record, label });
    }
    records.extend_from_slice(&bytes);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_held_out_images_never_change() {
        let order = held_out_last();
        assert_eq!(order[TRAIN_COUNT..TRAIN_COUNT + 4], [26_993, 9_610, 11_425, 33_706]);
        let mut sorted = order.clone();
        sorted.sort_unstable();
        assert!(sorted.into_iter().eq(0..50_000));
    }
}
