//! A training run from its first step, or from where it was killed, to the network on disk.

use std::path::Path;
use std::time::Instant;

use indicatif::ProgressBar;
use weir_shared::arch::{Network, NetworkSpec};
use weir_shared::plan::ActiveSet;
use weir_shared::weights::{Checkpoint, Manifest, writer};

use crate::dataset::Images;
use crate::resnet::torch::{Cuda, Device, Kind, Reduction, Tensor, no_grad};
use crate::study::interval::wilson;
use crate::study::progress;

use super::augment::Augment;
use super::curves;
use super::judge::{self, Report};
use super::log::{self, Row};
use super::net::{Pass, Statistics};
use super::random::{Purpose, Stream};
use super::resilience::{Dropping, Expendable};
use super::schedule::Schedule;
use super::state::{self, Learner, Position};
use super::{Compute, Options, Resume, Subnetwork, TrainError, optimise};

/// Share of a run, at its end, in which the statistics of normalisation stay as they are.
///
/// Until then each sub-network is normalised by its own batch, which learns fast but is not what is served: one set
/// of statistics, gathered from the whole network. At the end whole network and sub-networks both learn with that
/// set. Fixed from the start, it costs the whole network its accuracy; never fixed, thin sub-networks fail.
const SETTLING: f64 = 0.25;

/// The images of a run.
#[derive(Debug, Clone, Copy)]
pub struct Material<'a> {
    /// Learnt from.
    pub train: &'a Images,
    /// Measured on after each pass, never learnt from.
    pub validation: &'a Images,
    /// How training images are varied.
    pub augment: Augment,
}

/// Trains a network and writes it to `output`, with its manifest, its log and the log's curves beside it.
///
/// Tells `each_epoch` of each pass. Libtorch's threads must be set before.
///
/// # Errors
/// If an option is out of range, a state does not fit, the loss diverges, or a file can not be written.
pub fn train(
    options: &Options,
    material: Material<'_>,
    output: &Path,
    resume: Resume,
    compute: Compute,
    mut each_epoch: impl FnMut(&Row),
) -> Result<Report, TrainError> {
    check(options, material)?;
    let spec = NetworkSpec::new(options.arch, material.train.shape(), material.train.classes().len() as u32)?;
    let network = spec.network();
    let device = device(compute)?;
    let (state_path, log_path) = (state::beside(output), log::beside(output));
    let images = [material.train.digest(), material.validation.digest()];
    let beginning = Position { options: options.clone(), images, epochs_done: 0, steps_done: 0 };
    let found = match resume {
        Resume::Never => None,
        Resume::Auto | Resume::Always => state::load(&state_path, &network, &beginning, device)?,
    };
    let (learner, position) = match found {
        Some(found) => found,
        None if resume == Resume::Always => return Err(TrainError::NothingToResume(state_path)),
        None => (Learner::new(&network, options, device)?, beginning),
    };
    log::open(&log_path, position.epochs_done)?;

    let mut run = Run::new(&network, material, learner, position);
    let mut last = None;
    while run.position.epochs_done < options.epochs {
        let row = run.epoch()?;
        log::append(&log_path, &row)?;
        state::save(&state_path, &run.learner, &run.position)?;
        curves::draw(&log_path, &curves::beside(output))?;
        each_epoch(&row);
        last = Some(row.report);
    }
    let report = match last {
        Some(report) => report,
        // Killed between the last pass and the end.
        None => run.judge()?,
    };
    writer::save_layers(output, &run.learner.best().layers()?)?;
    Manifest::compute(&Checkpoint::open(output)?, &spec)?.save(&Manifest::beside(output))?;
    // The network is there; a state that can not be removed does no harm but to the disk.
    let _ = std::fs::remove_file(&state_path);
    Ok(report)
}

fn check(options: &Options, material: Material<'_>) -> Result<(), TrainError> {
    let within = |name, value: f64, low: f64, high: f64, allowed| {
        if (low..=high).contains(&value) { Ok(()) } else { Err(TrainError::Option { name, value, allowed }) }
    };
    within("--epochs", options.epochs.into(), 1.0, 1e6, "1 to 1000000")?;
    within("--learning-rate", options.learning_rate, 1e-9, 100.0, "above 0 and at most 100")?;
    within("--warm-up", options.warm_up, 0.0, 1.0, "0 to 1")?;
    within("--momentum", options.momentum, 0.0, 0.9999, "0 to 0.9999")?;
    within("--weight-decay", options.weight_decay, 0.0, 1.0, "0 to 1")?;
    within("--clip", options.clip, 1e-6, 1e9, "0.000001 to 1000000000")?;
    within("--label-smoothing", options.label_smoothing, 0.0, 0.9, "0 to 0.9")?;
    within("--drop-branch", options.drop_branch, 0.0, 0.9, "0 to 0.9")?;
    within("--drop-shortcut", options.drop_shortcut, 0.0, 0.9, "0 to 0.9")?;
    within("--subnetwork-from", options.subnetwork_from, 0.0, 1.0, "0 to 1")?;
    within("--average", options.average, 0.0, 0.99999, "0 to 0.99999")?;
    let (images, batch) = (material.train.len(), options.batch.get());
    if images < batch {
        return Err(TrainError::TooFewImages { images, batch });
    }
    if material.validation.is_empty() {
        return Err(TrainError::NoValidation);
    }
    Ok(())
}

fn device(compute: Compute) -> Result<Device, TrainError> {
    match (compute, Cuda::is_available()) {
        (Compute::Cpu, _) | (Compute::Auto, false) => Ok(Device::Cpu),
        (Compute::Auto | Compute::Cuda, true) => Ok(Device::Cuda(0)),
        (Compute::Cuda, false) => Err(TrainError::NoCuda),
    }
}

/// What one step found, as sums over its images.
#[derive(Default)]
struct Sums {
    loss: f64,
    distillation: f64,
    hits: f64,
    images: f64,
}

struct Run<'a> {
    expendable: Expendable,
    material: Material<'a>,
    learner: Learner,
    position: Position,
    schedule: Schedule,
    steps_per_epoch: usize,
    /// The first step with a sub-network.
    alone_until: u64,
    /// The first step with fixed statistics.
    settles_at: u64,
}

impl<'a> Run<'a> {
    fn new(network: &Network, material: Material<'a>, learner: Learner, position: Position) -> Self {
        let options = &position.options;
        // An incomplete last batch is left out: its noisy statistics would count as much as a whole one's.
        let steps_per_epoch = material.train.len() / options.batch;
        let peak = options.learning_rate * options.batch.get() as f64 / 128.0;
        let steps = u64::from(options.epochs) * steps_per_epoch as u64;
        let schedule = Schedule::new(peak, options.warm_up, steps);
        let alone_until = (steps as f64 * options.subnetwork_from) as u64;
        let settles_at = steps - (steps as f64 * SETTLING) as u64;
        let expendable = Expendable::of(network);
        Self { expendable, material, learner, position, schedule, steps_per_epoch, alone_until, settles_at }
    }

    /// One pass over the training images and the measurement behind it.
    fn epoch(&mut self) -> Result<Row, TrainError> {
        let began = Instant::now();
        let (options, epoch) = (self.position.options.clone(), self.position.epochs_done + 1);
        let order = Stream::new(options.seed, Purpose::Order, epoch.into()).order(self.material.train.len());
        let bar = progress::bar(self.steps_per_epoch as u64, &format!("epoch {epoch} of {}", options.epochs));
        let mut sums = Sums::default();
        for indices in order.chunks_exact(options.batch.get()) {
            self.step(&options, indices, &mut sums)?;
            tick(&bar, &sums);
        }
        bar.finish_and_clear();
        self.position.epochs_done = epoch;
        let report = self.judge()?;
        let steps = self.position.steps_done;
        Ok(Row {
            epoch,
            steps,
            learning_rate: self.schedule.rate(steps.saturating_sub(1)),
            loss: sums.loss / sums.images,
            distillation_loss: sums.distillation / sums.images,
            train_accuracy: sums.hits / sums.images,
            report,
            seconds: began.elapsed().as_secs_f64(),
        })
    }

    fn step(&mut self, options: &Options, indices: &[usize], sums: &mut Sums) -> Result<(), TrainError> {
        let step = self.position.steps_done;
        let net = &self.learner.net;
        let batch = self.material.augment.batch(self.material.train, indices, options.seed, step);
        let (images, labels) = net.inputs(&batch.images, &batch.labels)?;
        let drawn = || self.dropping().at_step(&self.expendable, options.seed, step);
        let subnetwork = if step < self.alone_until { Subnetwork::Off } else { options.subnetwork };
        let first = match subnetwork {
            Subnetwork::Alone => drawn()?,
            Subnetwork::Distil | Subnetwork::Off => ActiveSet::full(),
        };
        let settling = subnetwork != Subnetwork::Off && step >= self.settles_at;
        let pass = |learning| Pass {
            statistics: if settling { Statistics::Running } else { learning },
            precision: options.precision,
        };
        let logits = net.forward(&images, &first, pass(Statistics::OfBatch))?;
        let mean = Reduction::Mean;
        let loss =
            logits.f_cross_entropy_loss(&labels, None::<&Tensor>, mean, -100, options.label_smoothing)?;
        let (mut total, mut distillation) = (loss.shallow_clone(), 0.0);
        if subnetwork == Subnetwork::Distil {
            let student = net.forward(&images, &drawn()?, pass(Statistics::OfBatchOnly))?;
            let taught = soft_cross_entropy(&student, &logits)?;
            distillation = taught.f_double_value(&[])?;
            total = total.f_add(&taught)?;
        }
        total.f_backward()?;
        self.learner.optimiser.step(net, self.schedule.rate(step))?;
        if let Some(average) = &self.learner.average {
            // While there are few steps to average, the average is young too.
            let decay = options.average.min((step as f64 + 1.0) / (step as f64 + 10.0));
            optimise::follow(average, net, decay)?;
        }
        let value = loss.f_double_value(&[])?;
        if !(value + distillation).is_finite() {
            return Err(TrainError::Diverged { step, loss: value + distillation });
        }
        let right = no_grad(|| {
            logits.f_argmax(1, false)?.f_eq_tensor(&labels)?.f_sum(Kind::Int64)?.f_int64_value(&[])
        })?;
        let images = batch.len() as f64;
        sums.loss += value * images;
        sums.distillation += distillation * images;
        sums.hits += right as f64;
        sums.images += images;
        self.position.steps_done += 1;
        Ok(())
    }

    /// What the network is worth now.
    fn judge(&self) -> Result<Report, TrainError> {
        let (net, images) = (self.learner.best(), self.material.validation);
        let hits = judge::hits(net, images, images.len(), &ActiveSet::full())?;
        Ok(Report {
            validation_accuracy: hits as f64 / images.len().max(1) as f64,
            validation_interval: wilson(hits, images.len()),
            validation_images: images.len(),
            subnetwork_accuracy: judge::probe(net, images, self.dropping(), &self.expendable)?,
        })
    }

    fn dropping(&self) -> Dropping {
        let Options { drop_branch, drop_shortcut, .. } = self.position.options;
        Dropping { branch: drop_branch, shortcut: drop_shortcut }
    }
}

/// Cross entropy of `student` against what `teacher` holds likely; the teacher learns nothing from it.
fn soft_cross_entropy(student: &Tensor, teacher: &Tensor) -> Result<Tensor, TrainError> {
    let likely = no_grad(|| teacher.f_detach()?.f_softmax(1, Kind::Float))?;
    let each = likely.f_mul(&student.f_log_softmax(1, Kind::Float)?)?;
    Ok(each.f_sum_dim_intlist([1_i64].as_slice(), false, Kind::Float)?.f_mean(Kind::Float)?.f_neg()?)
}

fn tick(bar: &ProgressBar, sums: &Sums) {
    bar.inc(1);
    bar.set_message(format!(
        "loss {:.3}, {:.1} % right",
        sums.loss / sums.images,
        100.0 * sums.hits / sums.images
    ));
}
