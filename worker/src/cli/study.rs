//! `weir-worker study`: what every connection of a network is worth, as an accuracy profile and a report.

use std::io::Write as _;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use weir_shared::plan::plan::BatchNorm;
use weir_shared::profile::schema::{Among, SplitData};
use weir_shared::profile::{ErrorSummary, Profile, StudyData, weights_digest};
use weir_shared::weights::{Checkpoint, Manifest, atomic};

use crate::dataset::{Dataset, Images, Split};
use crate::resnet::prefix::Cost;
use crate::resnet::{WholeNetwork, threads};
use crate::study::report;
use crate::study::survey::bench::Bench;
use crate::study::survey::ledger::{Key, Ledger};
use crate::study::survey::{Budget, Options, Subject, SurveyError, survey};
use crate::study::train::Resume;

use super::arguments::{DataArgs, NetworkArgs};

/// Arguments of `study`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    network: NetworkArgs,
    #[command(flatten)]
    data: DataArgs,
    /// Where the profile goes; what is measured on the way is kept beside it until the end.
    #[arg(long, value_name = "FILE.profile.json")]
    out: PathBuf,
    /// Also write a report for people.
    #[arg(long, value_name = "FILE.html")]
    html: Option<PathBuf>,
    /// Make choices on the first N images of the validation split.
    #[arg(long, value_name = "N")]
    images_validation: Option<NonZeroUsize>,
    /// Report figures of the first N images of the test split.
    #[arg(long, value_name = "N")]
    images_test: Option<NonZeroUsize>,
    /// Threads, each with a copy of the weights and a batch of its own; the result does not depend on them.
    #[arg(long, value_name = "N", default_value = "1")]
    threads: NonZeroUsize,
    /// Images computed at once. Fewer need less memory; logits depend on it in the last bits.
    #[arg(long, value_name = "N", default_value = "100")]
    batch: NonZeroUsize,
    /// How much is measured.
    #[arg(long, value_enum, default_value = "standard")]
    budget: Budget,
    /// Seeds drawn sets.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// What to do about an earlier study to the same output that did not end.
    #[arg(long, value_enum, default_value = "auto")]
    resume: Resume,
}

/// Measures, writes and prints.
///
/// # Errors
/// If weights, images and network do not fit, or a file can not be read or written.
pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    // Threads take batches, not parts of an operation: that is faster for small networks, and changes no figure.
    threads::configure(NonZeroUsize::MIN)?;
    let effort = args.budget.effort();
    let dataset = args.data.dataset(args.network.arch)?;
    let load = |split, asked: Option<NonZeroUsize>, usual| {
        dataset.load(split, Some(asked.map_or(usual, NonZeroUsize::get)))
    };
    let validation = load(Split::Validation, args.images_validation, effort.validation)?;
    let test = load(Split::Test, args.images_test, effort.test)?;
    let checkpoint = Checkpoint::open(&args.network.weights)?;
    let spec = args.network.spec(&checkpoint, &test)?;
    let weights = weights_digest(&Manifest::compute(&checkpoint, &spec)?.digests());
    let batch_norm = BatchNorm::Folded;
    let load = |_| WholeNetwork::load(&checkpoint, spec.network(), batch_norm);
    let networks = (0..args.threads.get()).map(load).collect::<Result<Vec<_>, _>>()?;

    let key =
        Key { network: spec, weights, images: [validation.digest(), test.digest()], batch: args.batch.get() };
    let data = StudyData {
        name: dataset.name().to_owned(),
        seed: match dataset {
            Dataset::Shapes { seed } => Some(seed),
            Dataset::Cifar10 { .. } | Dataset::Folder { .. } => None,
        },
        validation: split_data(&validation, &key.images[0]),
        test: split_data(&test, &key.images[1]),
    };
    let state = Ledger::beside(&args.out);
    let mut bench = Bench::new(
        networks,
        [&validation, &test],
        args.batch.get(),
        ledger(args, &state, key)?,
        state.clone(),
    )?;
    let command = command(args, &dataset, &data);
    let subject = Subject { network: spec, weights, data, command, batch_norm };
    let options = Options { effort, seed: args.seed, batch: args.batch };
    let profile = survey(subject, options, &mut bench, |line| eprintln!("{line}"))?;

    write(&args.out, &profile.to_json()?)?;
    if let Some(path) = &args.html {
        write(path, report::html(&profile).as_bytes())?;
    }
    // The profile is there; a state that can not be removed does no harm but to the disk.
    let _ = std::fs::remove_file(&state);
    print(args, &profile, bench.cost());
    Ok(())
}

fn split_data(images: &Images, digest: &weir_shared::digest::Digest) -> SplitData {
    SplitData { images: images.len() as u32, sha256: *digest }
}

fn ledger(args: &Args, path: &Path, key: Key) -> Result<Ledger, SurveyError> {
    let found = match args.resume {
        Resume::Never => None,
        Resume::Auto | Resume::Always => Ledger::load(path, &key)?,
    };
    match found {
        Some(ledger) => Ok(ledger),
        None if args.resume == Resume::Always => Err(SurveyError::NothingToResume(path.to_owned())),
        None => Ok(Ledger::new(key)),
    }
}

fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let wrong = || format!("cannot write {}; check the folder and the free space", path.display());
    atomic::replace(path, |file| file.write_all(bytes)).with_context(wrong)
}

/// The command without folders: they are of this machine.
fn command(args: &Args, dataset: &Dataset, data: &StudyData) -> String {
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let seed = data.seed.map(|seed| format!(" --data-seed {seed}")).unwrap_or_default();
    let folder = if data.seed.is_none() { " --data DIR" } else { "" };
    format!(
        "weir-worker study --arch {} --weights {} --dataset {}{folder}{seed} --out {} --budget {} \
         --images-validation {} --images-test {} --batch {} --seed {}",
        args.network.arch,
        name(&args.network.weights),
        dataset.name(),
        name(&args.out),
        args.budget.name(),
        data.validation.images,
        data.test.images,
        args.batch,
        args.seed,
    )
}

fn print(args: &Args, profile: &Profile, cost: Cost) {
    let document = profile.document();
    let full = document.full_test;
    let interval = full.interval();
    println!("network    {} from {}", args.network.arch, args.network.weights.display());
    println!(
        "full       {:.2} % of {} test images (95 % interval {:.2} % to {:.2} %)",
        100.0 * full.accuracy(),
        full.count(),
        100.0 * interval.low,
        100.0 * interval.high
    );
    println!("sets       {} measured, {} encodings at cuts", document.sets.len(), document.encodings.len());
    for best in report::best(profile, Among::Branches) {
        println!(
            "at {:>4} points on validation: {:.1} % of operations dropped, {:.2} points lost on test, off {}",
            best.limit,
            100.0 * (1.0 - best.set.macs_kept),
            document.loss_of(best.set).0,
            best.set.off
        );
    }
    if let Some(errors) = document.surrogate {
        let said = |of: ErrorSummary| {
            format!("{:.2} points on average, {:.2} for 95 % of {} sets", of.mean, of.p95, of.sets)
        };
        println!("surrogate  off by {} held out", said(errors.all));
        if errors.small.sets > 0 {
            println!("           and where the loss is at most 3 points by {}", said(errors.small));
        }
    }
    if cost.shared > 0 {
        println!("operations {:.1} times fewer than set by set", cost.alone as f64 / cost.shared as f64);
    }
    println!("profile    {}", args.out.display());
}
