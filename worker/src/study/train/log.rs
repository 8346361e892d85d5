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

/// A row as it is read back: what the curves of a run are drawn from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// As in [`Row`].
    pub epoch: u32,
    /// As in [`Row`].
    pub steps: u64,
    /// As in [`Row`].
    pub learning_rate: f64,
    /// As in [`Row`].
    pub loss: f64,
    /// As in [`Row`]: the distillation loss.
    pub distillation: f64,
    /// Share of training images that were right.
    pub train_accuracy: f64,
    /// Share of validation images that the whole network has right.
    pub validation_accuracy: f64,
    /// Both ends of its 95 % interval.
    pub interval: [f64; 2],
    /// Mean share that random sub-networks have right.
    pub subnetwork_accuracy: f64,
    /// Time of the pass.
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

/// Reads a log; a last line that is half-written is left out.
///
/// # Errors
/// If there is none, or the file is something else.
pub fn read(path: &Path) -> Result<Vec<Point>, TrainError> {
    let failed = |source| TrainError::File { action: "read", path: path.to_owned(), source };
    let text = std::fs::read_to_string(path).map_err(failed)?;
    let no_log = |line| TrainError::NoLog { path: path.to_owned(), line };
    let mut lines = text.split_inclusive('\n').enumerate();
    if lines.next().is_none_or(|(_, line)| line.trim_end() != HEADER) {
        return Err(no_log(1));
    }
    let whole = lines.filter(|(_, line)| line.ends_with('\n'));
    whole.map(|(index, line)| point(line.trim_end()).ok_or_else(|| no_log(index + 1))).collect()
}

fn point(line: &str) -> Option<Point> {
    let fields: Vec<f64> = line.split(',').map(|field| field.parse().ok()).collect::<Option<_>>()?;
    let [
        epoch,
        steps,
        learning_rate,
        loss,
        distillation,
        train_accuracy,
        validation_accuracy,
        low,
        high,
        subnetwork_accuracy,
        seconds,
    ] = fields[..]
    else {
        return None;
    };
    let (epoch, steps, interval) = (epoch as u32, steps as u64, [low, high]);
    Some(Point {
        epoch,
        steps,
        learning_rate,
        loss,
        distillation,
        train_accuracy,
        validation_accuracy,
        interval,
        subnetwork_accuracy,
        seconds,
    })
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
        let last = read(&path).unwrap()[2];
        assert_eq!((last.epoch, last.loss, last.subnetwork_accuracy, last.seconds), (3, 1.0, 0.4, 1.0));

        std::fs::write(&path, text.replace("3,10,", "3,ten,")).unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("line 4"));
        std::fs::write(&path, &text[..text.len() - 3]).unwrap();
        assert_eq!(read(&path).unwrap().len(), 2, "a half-written line is left out");
        std::fs::write(&path, "name,age\n").unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("no log of weir-worker train"));
    }
}
