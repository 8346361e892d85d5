//! Data sets as a user meets them: good folders load, bad ones say what to do, drawn images are balanced.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

use std::path::{Path, PathBuf};

use weir_worker::dataset::{Dataset, DatasetName, Split, shapes};

const RECORD: usize = 3073;

/// A folder with one test file made by `change`, as a user may have it.
fn check_refused(change: impl FnOnce(&Path), expect: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    change(&folder.path().join("test_batch.bin"));
    let dataset = Dataset::Cifar10 { folder: folder.path().to_owned() };
    let error = format!("{:#}", anyhow::Error::from(dataset.load(Split::Test, Some(10)).unwrap_err()));
    for part in expect {
        assert!(error.contains(part), "{error:?} should say {part:?}");
    }
}

#[test]
fn a_missing_file_says_where_to_get_it() {
    check_refused(|_| (), &["test_batch.bin is missing", "cifar-10-binary.tar.gz"]);
}

#[test]
fn a_truncated_file_says_how_long_it_should_be() {
    let cut = |path: &Path| std::fs::write(path, vec![0; 1_000]).unwrap();
    check_refused(cut, &["has 1000 bytes", "30730000", "cut off"]);
}

#[test]
fn a_label_that_is_no_class_is_named_with_its_record() {
    let damage = |path: &Path| {
        let mut bytes = vec![0; 10_000 * RECORD];
        bytes[123 * RECORD] = 10;
        std::fs::write(path, bytes).unwrap();
    };
    check_refused(damage, &["record 123", "label 10"]);
}

#[test]
fn cifar10_without_a_folder_says_which_option_is_missing() {
    let error = Dataset::new(DatasetName::Cifar10, None, 0).unwrap_err().to_string();
    assert!(error.contains("--data"), "{error}");
}

#[test]
fn a_good_folder_loads_in_file_order() {
    let folder = tempfile::tempdir().unwrap();
    let bytes: Vec<u8> =
        (0..10_000 * RECORD).map(|i| if i % RECORD == 0 { (i / RECORD % 10) as u8 } else { 7 }).collect();
    std::fs::write(folder.path().join("test_batch.bin"), bytes).unwrap();
    let images = Dataset::Cifar10 { folder: folder.path().to_owned() }.load(Split::Test, Some(25)).unwrap();
    assert_eq!((images.len(), images.label(13), images.pixels(24).len()), (25, 3, 3072));
    assert_eq!(images.batch(0..4).images.len(), 4 * 3072);
}

/// The CIFAR-10 folder, or a line that says why the test does nothing.
fn cifar10_folder() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/cifar-10-batches-bin");
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!("SKIPPED: there is no CIFAR-10 folder at {}", folder.display());
    None
}

#[test]
fn the_splits_of_cifar10_have_their_sizes_and_share_no_image() {
    let Some(folder) = cifar10_folder() else { return };
    let dataset = Dataset::Cifar10 { folder };
    let [train, validation] =
        [Split::Train, Split::Validation].map(|split| dataset.load(split, None).unwrap());
    assert_eq!((train.len(), validation.len()), (45_000, 5_000));
    let learnt: std::collections::HashSet<&[u8]> = (0..train.len()).map(|i| train.pixels(i)).collect();
    assert!((0..validation.len()).all(|i| !learnt.contains(validation.pixels(i))));
}

#[test]
fn shapes_are_balanced_and_repeatable() {
    let dataset = Dataset::Shapes { seed: 3 };
    let images = dataset.load(Split::Test, Some(100)).unwrap();
    for class in 0..10 {
        assert_eq!((0..100).filter(|&i| images.label(i) == class).count(), 10);
    }
    assert_eq!(images, dataset.load(Split::Test, Some(100)).unwrap());
    assert_eq!(images.classes(), shapes::CLASSES);
}

#[test]
#[ignore = "draws a sheet for a person to look at, one row per class, to the path in WEIR_SHEET (PPM)"]
fn sheet_of_shapes() {
    let path = std::env::var("WEIR_SHEET").expect("set WEIR_SHEET=/tmp/shapes.ppm");
    let (columns, zoom) = (16, 2);
    let images = shapes::load(shapes::SEED, Split::Test, 10 * columns);
    let (width, height) = (columns * 32 * zoom, 10 * 32 * zoom);
    let mut ppm = format!("P6 {width} {height} 255\n").into_bytes();
    for y in 0..height {
        for x in 0..width {
            let index = x / (32 * zoom) * 10 + y / (32 * zoom);
            let at = y / zoom % 32 * 32 + x / zoom % 32;
            ppm.extend([0, 1, 2].map(|plane| images.pixels(index)[plane * 1024 + at]));
        }
    }
    std::fs::write(path, ppm).unwrap();
}
