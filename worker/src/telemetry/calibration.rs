//! A short run at the worker's start: the time of each layer, before any plan has this worker compute it.
//!
//! Layers that do the same are measured once, with random weights, which take the same time as trained ones. What the time
//! does not suffice for is left out; the planner then reckons with operations per second.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use weir_shared::arch::{Arch, LayerId, Network, NetworkSpec, Shape};
use weir_shared::plan::plan::BatchNorm;
use weir_shared::plan::{ActiveSet, Dataflow, Encoding, StageProgram};
use weir_shared::telemetry::{Calibration, CodecSeconds};
use weir_shared::weights::Checkpoint;
use weir_shared::wire::codec;

use crate::resnet::{LoadError, StageNetwork, run::ComputeError};

/// Seeds the weights. Any will do.
const SEED: u64 = 1;

/// A layer that takes longer is run once, others three times.
const LONG: Duration = Duration::from_millis(15);
const RUNS: usize = 3;

/// Numbers on which encodings are measured: an activation of 64 channels.
const CODEC_SHAPE: Shape = Shape { channels: 64, height: 32, width: 32 };

/// Why nothing was measured.
#[derive(Debug, thiserror::Error)]
pub enum CalibrationError {
    /// The checkpoint is of no network that we know.
    #[error("the checkpoint is of none of the networks {0}")]
    Unknown(String),
    /// A layer cannot be made.
    #[error("a layer cannot be made")]
    Load(#[from] LoadError),
    /// A layer cannot be computed.
    #[error("a layer cannot be computed")]
    Compute(#[from] ComputeError),
    /// The time was over before the first layer was measured.
    #[error("no layer was measured within {0:?}; allow more time")]
    Time(Duration),
}

/// Measures the layers of the network in `checkpoint`, for about `limit`. A worker without a checkpoint measures a small network, of
/// which at least the operations per second hold for others too.
///
/// # Errors
/// If the network is not known, or cannot be computed here.
pub fn calibrate(checkpoint: Option<&Checkpoint>, limit: Duration) -> Result<Calibration, CalibrationError> {
    let spec = checkpoint.map_or(Ok(Arch::ResNet20.into()), recognise)?;
    let (network, until) = (spec.network(), Instant::now() + limit);
    let flow = Dataflow::new(&network, &ActiveSet::full());
    let mut known: HashMap<Work, f64> = HashMap::new();
    let mut layer_seconds = Vec::new();
    for layer in network.layers() {
        let program = program(&network, &flow, layer.id);
        let work = Work::of(&program, layer.macs, layer.weight_bytes);
        let seconds = match known.get(&work) {
            Some(&seconds) => Some(seconds),
            None if Instant::now() < until => {
                let seconds = measure(&network, layer.id, &program)?.as_secs_f64();
                known.insert(work, seconds);
                Some(seconds)
            }
            None => None,
        };
        layer_seconds.push(seconds);
    }
    let measured =
        network.layers().iter().zip(&layer_seconds).filter_map(|(layer, s)| Some((layer.macs, (*s)?)));
    let (macs, seconds) = measured.fold((0.0, 0.0), |(a, b), (macs, s)| (a + macs as f64, b + s));
    if macs <= 0.0 || seconds <= 0.0 {
        return Err(CalibrationError::Time(limit));
    }
    let codec = Encoding::ALL.map(codec_seconds).into();
    Ok(Calibration { network: spec, layer_seconds, macs_per_second: macs / seconds, codec })
}

/// The largest network all of whose tensors are in the file: a smaller one may be a part of it.
fn recognise(checkpoint: &Checkpoint) -> Result<NetworkSpec, CalibrationError> {
    let fits = |arch: Arch| {
        let spec = checkpoint.spec(arch).ok()?;
        checkpoint.check(&spec.network()).is_ok().then_some(spec)
    };
    let largest = Arch::ALL.into_iter().filter_map(fits).max_by_key(|spec| spec.network().layer_count());
    largest.ok_or_else(|| CalibrationError::Unknown(Arch::ALL.map(|arch| arch.to_string()).join(", ")))
}

/// What a layer computes, so that the same is not measured twice.
#[derive(PartialEq, Eq, Hash)]
struct Work {
    macs: u64,
    weight_bytes: u64,
    shapes: Vec<Shape>,
}

impl Work {
    fn of(program: &StageProgram, macs: u64, weight_bytes: u64) -> Self {
        let inputs = program.inlets.iter().map(|inlet| inlet.shape);
        let shapes = inputs.chain(program.steps.iter().map(|step| step.shape)).collect();
        Self { macs, weight_bytes, shapes }
    }
}

/// The program of one layer alone.
fn program(network: &Network, flow: &Dataflow, LayerId(layer): LayerId) -> StageProgram {
    let stages = [0..layer, layer..layer + 1, layer + 1..network.layer_count()];
    StageProgram::derive(flow, &stages).swap_remove(1)
}

/// The median of a few runs, without the first.
fn measure(
    network: &Network,
    LayerId(layer): LayerId,
    program: &StageProgram,
) -> Result<Duration, CalibrationError> {
    let stage = StageNetwork::random(network, layer..layer + 1, BatchNorm::default(), SEED)?;
    let inputs: Vec<Vec<f32>> =
        program.inlets.iter().map(|inlet| vec![0.5; inlet.shape.elements()]).collect();
    let run = || {
        let mut took = Duration::ZERO;
        stage.run_observed(program, 1, inputs.clone(), |_, began| took += began.elapsed())?;
        Ok::<_, ComputeError>(took)
    };
    let runs = if run()? > LONG { 1 } else { RUNS };
    let mut times = (0..runs).map(|_| run()).collect::<Result<Vec<_>, _>>()?;
    times.sort_unstable();
    Ok(times[runs / 2])
}

fn codec_seconds(encoding: Encoding) -> CodecSeconds {
    let values: Vec<f32> = (0..CODEC_SHAPE.elements()).map(|n| (n % 997) as f32 / 499.0 - 1.0).collect();
    let each = CODEC_SHAPE.elements() as f64;
    let bytes = codec::encode(encoding, &values, CODEC_SHAPE);
    let encode_seconds = fastest(|| {
        let bytes = codec::encode(encoding, &values, CODEC_SHAPE);
        std::hint::black_box(codec::checksum(&bytes));
    });
    let decode_seconds = fastest(|| {
        std::hint::black_box(codec::checksum(&bytes));
        if encoding != Encoding::F32 {
            let decoded = codec::decode(encoding, &bytes, CODEC_SHAPE, 1);
            std::hint::black_box(decoded.is_ok());
        }
    });
    CodecSeconds { encoding, encode_seconds: encode_seconds / each, decode_seconds: decode_seconds / each }
}

/// The shortest of a few runs, in seconds: there is nothing in it that could be faster another time.
fn fastest(work: impl Fn()) -> f64 {
    let once = |_| {
        let began = Instant::now();
        work();
        began.elapsed().as_secs_f64()
    };
    (0..RUNS + 1).map(once).fold(f64::INFINITY, f64::min)
}
