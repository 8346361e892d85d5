//! The course of a run as a table, one row for each pass, beside the output.
//!
//! Rows are appended as they come. After a kill, rows beyond the saved state are dropped before going on, so each
//! pass stands there once.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use super::{Report, TrainError};

const HEADER: &str = "epoch,steps,learning_rate,loss,distillation_loss,train_accuracy,validation_accuracy,\
                      validation_interval_low,validation_interval_high,subnetwork_accuracy,seconds";

/// One pass over the training images.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Row {
    /// Passes done, this one included. (In a plan, epoch means something else.)
    pub epoch: u32,
    /// Steps done.
    pub steps: u64,
    /// Learning rate of the last step.
    pub learning_rate: f64,
    /// Mean loss against the labels.
    pub loss: f64,
    /// Mean loss of the sub-networks against the whole one; zero without distillation.
    pub distillation_loss: f64,
    /// Share of training images, varied as they were, that were right when they were seen.
    pub train_accuracy: f64,
    /// What the network was worth after it.
    pub report: Report,
    /// Time that the pass took, with its validation.
    pub seconds: f64,
}

/// Where the log of a run to `output` lies: `<output>.log.csv`.
pub fn beside(output: &Path) -> PathBuf {
    let mut name = OsString::from(output);
    name.push(".log.csv");
    PathBuf::from(name)
}

/// Keeps the rows of the first `epochs` passes, or begins an empty table.
///
/// # Errors
/// If the system refuses.
pub fn open(path: &Path, epochs: u32) -> Result<(), TrainError> {
    let failed = |action, source| TrainError::File { action, path: path.to_owned(), source };
    let old = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(source) if source.kind() == ErrorKind::NotFound => String::new(),
        Err(source) => return Err(failed("read", source)),
    };
    let is_kept = |line: &&str| {
        let epoch = line.split(',').next().and_then(|field| field.parse::<u32>().ok());
        // The last line may be half-written.
        epoch.is_some_and(|epoch| epoch <= epochs) && line.matches(',').count() == HEADER.matches(',').count()
    };
    let mut text = format!("{HEADER}\n");
    for line in old.lines().filter(is_kept) {
        text.push_str(line);
        text.push('\n');
    }
    let replaced = weir_shared::weights::atomic::replace(path, |file| file.write_all(text.as_bytes()));
    replaced.map_err(|source| failed("write", source))
}

/// Adds a row.
///
/// # Errors
/// If the system refuses.
pub fn append(path: &Path, row: &Row) -> Result<(), TrainError> {
    let line = format!(
        "{},{},{:.6},{:.5},{:.5},{:.5},{:.5},{:.5},{:.5},{:.5},{:.1}\n",
        row.epoch,
        row.steps,
        row.learning_rate,
        row.loss,
        row.distillation_loss,
        row.train_accuracy,
        row.report.validation_accuracy,
        row.report.validation_interval.low,
        row.report.validation_interval.high,
        row.report.subnetwork_accuracy,
        row.seconds,
    );
    let written =
        OpenOptions::new().append(true).open(path).and_then(|mut file| file.write_all(line.as_bytes()));
    written.map_err(|source| TrainError::File { action: "write", path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::study::interval::wilson;

    #[test]
    fn rows_beyond_the_state_are_dropped_when_a_run_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = beside(&folder.path().join("net.safetensors"));
        let row = |epoch| Row {
            epoch,
            steps: 10,
            learning_rate: 0.1,
            loss: 1.0,
            distillation_loss: 0.0,
            train_accuracy: 0.5,
            report: Report {
                validation_accuracy: 0.5,
                validation_interval: wilson(5, 10),
                validation_images: 10,
                subnetwork_accuracy: 0.4,
            },
            seconds: 1.0,
        };
        open(&path, 0).unwrap();
        for epoch in 1..=3 {
            append(&path, &row(epoch)).unwrap();
        }
        open(&path, 2).unwrap();
        append(&path, &row(3)).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let epochs: Vec<&str> = text.lines().map(|line| &line[..1]).collect();
        assert_eq!(epochs, ["e", "1", "2", "3"]);
    }
}
