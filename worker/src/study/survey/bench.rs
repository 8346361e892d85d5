//! Measures many variants at once: batch by batch, each batch once through everything the variants share.
//!
//! Threads take whole batches and libtorch uses one thread for each, so a figure does not depend on how many
//! there are. Every figure goes through the ledger.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use weir_shared::arch::Network;
use weir_shared::profile::Score;

use super::SurveyError;
use super::ledger::Ledger;
use crate::dataset::{Images, Split};
use crate::resnet::prefix::Cost;
use crate::resnet::{SharedProgram, Variant, WholeNetwork};
use crate::study::evaluate::{check_fit, most_likely};
use crate::study::progress;

/// The ledger is written this often; more would wear out a memory card, less would lose more in a crash.
const SAVE_EVERY: Duration = Duration::from_secs(5);

/// Networks, images and what has been measured.
pub struct Bench<'a> {
    /// One for each thread: libtorch's tensors are used by one at a time.
    networks: Vec<WholeNetwork>,
    network: Network,
    validation: &'a Images,
    test: &'a Images,
    batch: usize,
    ledger: Ledger,
    path: PathBuf,
    cost: Cost,
    phase: String,
}

/// A batch and what it lacks.
struct Job {
    batch: u32,
    lacks: Arc<Lacks>,
}

/// Variants that some batches lack.
struct Lacks {
    program: SharedProgram,
    names: Vec<String>,
}

impl<'a> Bench<'a> {
    /// A bench with one thread for each of `networks`, which are copies of each other.
    ///
    /// # Errors
    /// If network and images do not fit.
    pub fn new(
        networks: Vec<WholeNetwork>,
        [validation, test]: [&'a Images; 2],
        batch: usize,
        ledger: Ledger,
        path: PathBuf,
    ) -> Result<Self, SurveyError> {
        let network = networks.first().ok_or(SurveyError::Lost)?.network().clone();
        check_fit(&network, validation)?;
        check_fit(&network, test)?;
        let cost = Cost::default();
        Ok(Self { networks, network, validation, test, batch, ledger, path, cost, phase: String::new() })
    }

    /// The network as data.
    pub const fn network(&self) -> &Network {
        &self.network
    }

    /// Operations so far, with and without sharing; those found in the ledger do not count.
    pub const fn cost(&self) -> Cost {
        self.cost
    }

    /// Names what follows, for the progress bar.
    pub fn phase(&mut self, name: &str) {
        name.clone_into(&mut self.phase);
    }

    /// How many of the first `limit` images of `split` each variant has right; all of them without a limit.
    ///
    /// # Errors
    /// If computing fails, or the ledger can not be written.
    pub fn score(
        &mut self,
        variants: &[Variant],
        split: Split,
        limit: Option<usize>,
    ) -> Result<Vec<Score>, SurveyError> {
        let count = limit.unwrap_or(usize::MAX).min(self.images(split).len());
        let batches = count.div_ceil(self.batch) as u32;
        self.measure(variants, split, batches)?;
        // Whole batches, so that each is the one that `eval` computes.
        let count = (batches as usize * self.batch).min(self.images(split).len());
        let score = |variant: &Variant| {
            let name = name(&self.network, variant);
            let correct = (0..batches).filter_map(|batch| self.ledger.get(split, &name, batch)).sum();
            Ok(Score::new(correct, count as u32)?)
        };
        variants.iter().map(score).collect()
    }

    const fn images(&self, split: Split) -> &'a Images {
        match split {
            Split::Test => self.test,
            Split::Train | Split::Validation => self.validation,
        }
    }

    fn measure(&mut self, variants: &[Variant], split: Split, batches: u32) -> Result<(), SurveyError> {
        let jobs = self.jobs(variants, split, batches);
        if jobs.is_empty() {
            return Ok(());
        }
        let bar = progress::bar(jobs.len() as u64, &format!("{} ({} variants)", self.phase, variants.len()));
        let (images, size, next) = (self.images(split), self.batch, AtomicUsize::new(0));
        let (ledger, path, cost) = (&mut self.ledger, &self.path, &mut self.cost);
        let (sender, receiver) = mpsc::sync_channel(self.networks.len());
        let mut saved = Instant::now();
        let mut done = 0;
        std::thread::scope(|scope| {
            for network in &mut self.networks {
                let (sender, jobs, next) = (sender.clone(), &jobs, &next);
                // Shared by nobody else: `&mut` is what may go to another thread.
                scope.spawn(move || {
                    while let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let found = compute(network, images, size, job);
                        let failed = found.is_err();
                        if sender.send((job, found)).is_err() || failed {
                            return;
                        }
                    }
                });
            }
            drop(sender);
            for (job, found) in receiver {
                let found = found.inspect_err(|_| next.store(jobs.len(), Ordering::Relaxed))?;
                for (name, correct) in job.lacks.names.iter().zip(found) {
                    ledger.put(split, name, job.batch, correct);
                }
                let here = job.lacks.program.cost();
                *cost = Cost { alone: cost.alone + here.alone, shared: cost.shared + here.shared };
                done += 1;
                bar.inc(1);
                if saved.elapsed() >= SAVE_EVERY {
                    ledger.save(path).inspect_err(|_| next.store(jobs.len(), Ordering::Relaxed))?;
                    saved = Instant::now();
                }
            }
            Ok::<_, SurveyError>(())
        })?;
        bar.finish_and_clear();
        if done < jobs.len() {
            return Err(SurveyError::Lost);
        }
        self.ledger.save(&self.path)
    }

    /// One job for each batch that lacks something; batches that lack the same share a program.
    fn jobs(&self, variants: &[Variant], split: Split, batches: u32) -> Vec<Job> {
        let names: Vec<String> = variants.iter().map(|variant| name(&self.network, variant)).collect();
        let mut known: HashMap<Vec<usize>, Arc<Lacks>> = HashMap::new();
        let mut jobs = Vec::new();
        for batch in 0..batches {
            let is_missing = |index: &usize| self.ledger.get(split, &names[*index], batch).is_none();
            let missing: Vec<usize> = (0..variants.len()).filter(is_missing).collect();
            if missing.is_empty() {
                continue;
            }
            let make = |missing: &Vec<usize>| {
                let variants: Vec<Variant> = missing.iter().map(|&index| variants[index].clone()).collect();
                let names = missing.iter().map(|&index| names[index].clone()).collect();
                Arc::new(Lacks { program: SharedProgram::new(&self.network, &variants), names })
            };
            jobs.push(Job { batch, lacks: known.entry(missing).or_insert_with_key(make).clone() });
        }
        jobs
    }
}

/// A variant's name in the ledger.
fn name(network: &Network, variant: &Variant) -> String {
    let off = variant.active.describe(network);
    match variant.recoded {
        Some((cut, encoding)) => format!("{off} {encoding}@{cut}"),
        None => off,
    }
}

fn compute(
    network: &mut WholeNetwork,
    images: &Images,
    size: usize,
    job: &Job,
) -> Result<Vec<u32>, SurveyError> {
    let first = job.batch as usize * size;
    let batch = images.batch(first..(first + size).min(images.len()));
    let logits = network.stage().run_shared(&job.lacks.program, batch.len(), &batch.images)?;
    let classes = network.network().head.classes as usize;
    let correct = |logits: Vec<f32>| {
        let answers = logits.chunks_exact(classes).map(most_likely);
        answers.zip(&batch.labels).filter(|(answer, label)| *answer == usize::from(**label)).count() as u32
    };
    Ok(logits.into_iter().map(correct).collect())
}
