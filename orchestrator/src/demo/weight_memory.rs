//! Shows that a worker pays for the weights of its own layers only: loads all of ResNet-50 in one process, a
//! quarter of it in another, and compares what their memory grew by.

use std::ops::{Range, RangeInclusive};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use weir_shared::arch::{Arch, Network};

use super::command::{self, CommandError};
use super::report::{Weighed, WeightMemory};

/// Large enough that weights outweigh everything else in a process, small enough to make on the spot: 102 MB.
const ARCH: Arch = Arch::ResNet50;

/// A quarter of the weights must take this share of the memory.
pub const RATIO: RangeInclusive<f64> = 0.2..=0.3;

/// Writing or reading 100 MB takes a second here; a board's memory card may need a minute.
const LIMIT: Duration = Duration::from_secs(120);

/// Why memory was not measured.
#[derive(Debug, thiserror::Error)]
pub enum WeightMemoryError {
    /// The worker did not do it.
    #[error("the memory of weights was not measured")]
    Command(#[from] CommandError),
    /// The worker said something else.
    #[error("weir-worker weigh answered in a form that this release does not know; run `make build`")]
    Form(#[from] serde_json::Error),
    /// There is no growth to compare with.
    #[error("loading {ARCH} did not grow the worker's memory; is /proc/self/statm there?")]
    Nothing,
}

/// What `weir-worker weigh --json` prints.
#[derive(Debug, Deserialize)]
struct Found {
    first: String,
    last: String,
    weight_bytes: u64,
    resident_before_bytes: u64,
    resident_after_bytes: u64,
}

/// Removes the checkpoint, however the measurement ends: nobody needs 100 MB of random numbers.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed is overwritten by the next run.
        let _ = std::fs::remove_file(&self.0);
        let _ = std::fs::remove_file(self.0.with_extension("safetensors.manifest.json"));
    }
}

/// Measures with `worker`; a checkpoint lies in `folder` meanwhile.
///
/// # Errors
/// If the worker fails or its system does not tell of memory.
pub async fn measure(worker: &Path, folder: &Path) -> Result<WeightMemory, WeightMemoryError> {
    let scratch = Scratch(folder.join("weight-memory.safetensors"));
    let file = scratch.0.to_string_lossy();
    command::output(worker, ["init", "--arch", ARCH.name(), "--seed", "1", "--out", &file], LIMIT).await?;
    let network = ARCH.network();
    let whole = weigh(worker, &file, 0..network.layer_count()).await?;
    let quarter = weigh(worker, &file, quarter(&network)).await?;
    if whole.resident_bytes == 0 {
        return Err(WeightMemoryError::Nothing);
    }
    let ratio = |part: u64, whole: u64| part as f64 / whole.max(1) as f64;
    Ok(WeightMemory {
        network: ARCH.to_string(),
        weight_ratio: ratio(quarter.weight_bytes, whole.weight_bytes),
        resident_ratio: ratio(quarter.resident_bytes, whole.resident_bytes),
        whole,
        quarter,
    })
}

async fn weigh(worker: &Path, file: &str, layers: Range<u16>) -> Result<Weighed, WeightMemoryError> {
    let layers = format!("{}..{}", layers.start, layers.end);
    let arguments = ["weigh", "--arch", ARCH.name(), "--weights", file, "--layers", &layers, "--json"];
    let found: Found = serde_json::from_slice(&command::output(worker, arguments, LIMIT).await?)?;
    Ok(Weighed {
        layers: format!("{}..{}", found.first, found.last),
        weight_bytes: found.weight_bytes,
        resident_bytes: found.resident_after_bytes.saturating_sub(found.resident_before_bytes),
    })
}

/// The contiguous layers whose bytes are nearest to a quarter of all; the first such, if several are.
fn quarter(network: &Network) -> Range<u16> {
    let count = network.layer_count();
    let bytes = |range: &Range<u16>| -> u64 {
        network.layers()[usize::from(range.start)..usize::from(range.end)]
            .iter()
            .map(|layer| layer.weight_bytes)
            .sum()
    };
    let ranges = (0..count).flat_map(|start| (start + 1..=count).map(move |end| start..end));
    let nearest = ranges.min_by_key(|range| (4 * bytes(range)).abs_diff(network.weight_bytes()));
    nearest.unwrap_or(0..count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quarter_is_a_quarter_of_the_bytes() {
        for arch in [Arch::ResNet50, Arch::ResNet18, Arch::ResNet152] {
            let network = arch.network();
            let range = quarter(&network);
            let layers = &network.layers()[usize::from(range.start)..usize::from(range.end)];
            let bytes: u64 = layers.iter().map(|layer| layer.weight_bytes).sum();
            let share = bytes as f64 / network.weight_bytes() as f64;
            assert!((share - 0.25).abs() < 0.02, "{arch}: {range:?} is {share}");
        }
    }
}
