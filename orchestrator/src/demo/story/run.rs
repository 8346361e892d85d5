//! A scenario from its first step to its last, and the clean-up behind it.
//!
//! Always true: whether it ends well, fails or is interrupted, every process has ended before it returns.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Notify, mpsc};
use tokio::time::sleep;

use super::cast::{self, CastError};
use super::decisions::told;
use super::director::{self, DirectorError, Stage};
use super::generator::generate;
use super::judge::judge;
use super::measure::Basis;
use super::recording::{DecisionRecord, PlanRecord, RunRecording};
use super::report::StoryReport;
use super::targets::Runs;
use super::watcher::{Seen, watch};
use super::{narrate, page};
use crate::admin::views::PlanDocument;
use crate::client::{AdminClient, InferClient};
use crate::demo::cluster::ClusterSpec;
use crate::demo::command::Binaries;
use crate::demo::config::{Config, Dataset};
use crate::demo::oracle::{Oracle, Question, most_likely};
use crate::demo::run::{DemoError, Keys, Running, interrupted, prepare};
use crate::demo::scenario::arrivals::{Arrival, arrivals};
use crate::demo::scenario::timeline::initial_links;
use crate::demo::scenario::{Arrivals, Load, RunKind, Scenario};
use crate::demo::topology::LinkPlan;
use crate::demo::wiring::Wiring;
use crate::terminal::table::percent;
use crate::terminal::{say, step};

/// Workers report four times a second, and the watcher looks as often: after this all counters are in.
const SETTLE: Duration = Duration::from_millis(700);

/// Sights that may wait to be told; the terminal takes far fewer than a second for as many.
const SIGHTS: usize = 256;

/// Requests are sent this long before the first one that counts: they open connections and wake every process.
const WARM_UP: Duration = Duration::from_secs(2);

/// The supervisor also has to measure what it was told nothing about, and soft changes keep a distance in time.
const WARM_UP_ADAPTIVE: Duration = Duration::from_secs(16);

/// What a scenario is played with.
#[derive(Debug, Clone)]
pub struct StoryConfig {
    /// Scenarios: the story first; `weir demo --bench` adds others.
    pub story: Scenario,
    /// Many plan switches under load.
    pub switches: Option<Scenario>,
    /// Noise alone.
    pub noise: Option<Scenario>,
    /// The loss of a worker whose blocks can be skipped.
    pub loss: Option<Scenario>,
    /// The checkpoint; without one, the one in `models/`.
    pub weights: Option<PathBuf>,
    /// The accuracy profile; without one, the one beside the checkpoint, if there is one.
    pub profile: Option<PathBuf>,
    /// The folder of a data set on disk.
    pub data: Option<PathBuf>,
    /// Where reports and logs go.
    pub out: PathBuf,
    /// Where the binaries are; without it, beside this one.
    pub bin_dir: Option<PathBuf>,
}

/// What all runs of a scenario share.
struct Prepared {
    binaries: Binaries,
    weights: PathBuf,
    profile: Option<PathBuf>,
    oracle: Arc<Oracle>,
    basis: Basis,
}

/// Plays everything, tells what it does, and writes `report.json`, `report.html` and `recording.json`.
///
/// # Errors
/// If it did not come to a report. A report that did not pass is no error here.
pub async fn run(config: &StoryConfig) -> Result<StoryReport, DemoError> {
    let report_file = config.out.join("report.json");
    prepare(&config.out, &report_file)?;
    let mut running = Running::default();
    let outcome = tokio::select! {
        outcome = play_all(config, &mut running) => outcome,
        heard = interrupted() => Err(heard.map_or_else(DemoError::Signals, |()| DemoError::Interrupted)),
    };
    let left = running.processes.stop().await;
    drop(running);
    let mut report = outcome?;
    report.problems.extend(left.iter().map(|error| weir_shared::chain(error)));
    report.passed = report.problems.is_empty();
    report.save(&report_file)?;
    let html = config.out.join("report.html");
    fs::write(&html, page::html(&report)).map_err(|source| DemoError::Out { path: html.clone(), source })?;
    for line in narrate::summary(&report) {
        say(&line);
    }
    say(&format!("report: {} and {}", report_file.display(), html.display()));
    Ok(report)
}

async fn play_all(config: &StoryConfig, running: &mut Running) -> Result<StoryReport, DemoError> {
    let (story, mut runs) = play(config, &config.story, running).await?;
    let mut extra = Vec::new();
    for scenario in [&config.switches, &config.noise, &config.loss] {
        extra.push(match scenario {
            Some(scenario) => {
                let (prepared, mut runs) = play(config, scenario, running).await?;
                Some((prepared.basis, runs.swap_remove(0)))
            }
            None => None,
        });
    }
    let loss = extra.pop().flatten();
    let noise = extra.pop().flatten();
    let switches = extra.pop().flatten();
    let others = || [&switches, &noise, &loss].into_iter().flatten().map(|(_, run)| run);
    let all: Vec<&RunRecording> = runs.iter().chain(others()).collect();
    crate::demo::report::save(&all, &config.out.join("recording.json"))?;
    // What went wrong beside the story fails the whole.
    let problems: Vec<_> = others().flat_map(|run| run.problems.clone()).collect();
    if let Some(first) = runs.first_mut() {
        first.problems.extend(problems);
    }
    let all = Runs {
        story: &runs,
        switches: switches.as_ref().map(|(basis, run)| (run, basis)),
        noise: noise.as_ref().map(|(_, run)| run),
        loss: loss.as_ref().map(|(_, run)| run),
    };
    Ok(StoryReport::new(&config.story, &story.basis, all))
}

/// Plays all runs of one scenario, and judges every answer.
async fn play(
    config: &StoryConfig,
    scenario: &Scenario,
    running: &mut Running,
) -> Result<(Prepared, Vec<RunRecording>), DemoError> {
    let Scenario { title, arch, dataset, .. } = scenario;
    say(&format!(
        "weir demo: {title} ({arch} over {} workers, images of {})",
        scenario.workers.len(),
        dataset.name()
    ));
    let prepared = prepare_scenario(config, scenario).await?;
    let keys = Keys(config.out.join(format!(".certs-{}", std::process::id())));
    let mut recordings: Vec<RunRecording> = Vec::new();
    let mut first_plan = None;
    for kind in &scenario.runs {
        let folder = config.out.join(&scenario.name).join(kind.name());
        fs::create_dir_all(&folder).map_err(|source| DemoError::Out { path: folder.clone(), source })?;
        let one = OneRun { scenario, kind: *kind, folder: &folder, keys: &keys.0, prepared: &prepared };
        let mut recording = one.play(first_plan.as_ref(), running).await?;
        let wrong = running.processes.stop().await;
        recording.problems.extend(wrong.iter().map(|error| weir_shared::chain(error)));
        running.wiring = None;
        if *kind == RunKind::Adaptive {
            first_plan = recording.plans.first().map(|record| record.plan.clone());
        }
        recordings.push(recording);
    }
    let question = question(config, scenario, &prepared);
    let tell = |what: &str| step("unsplit network", what);
    let out = config.out.join(&scenario.name);
    judge(&mut recordings, &prepared.oracle, &prepared.binaries.worker, &question, &out, tell).await?;
    Ok((prepared, recordings))
}

fn question<'a>(config: &'a StoryConfig, scenario: &Scenario, prepared: &'a Prepared) -> Question<'a> {
    Question {
        arch: scenario.arch,
        weights: &prepared.weights,
        dataset: scenario.dataset,
        data: config.data.as_deref(),
        images: scenario.images,
    }
}

async fn prepare_scenario(config: &StoryConfig, scenario: &Scenario) -> Result<Prepared, DemoError> {
    let binaries = Binaries::find(config.bin_dir.as_deref())?;
    let lookup = lookup(config, scenario);
    let weights = lookup.weights_file(&binaries.worker)?;
    step("weights", &weights.display().to_string());
    let beside = weights.with_extension("profile.json");
    let profile = config.profile.clone().or_else(|| beside.is_file().then_some(beside));
    step(
        "profile",
        &profile.as_ref().map_or_else(
            || "none: no connection will be switched".to_owned(),
            |path| path.display().to_string(),
        ),
    );
    let question = Question {
        arch: scenario.arch,
        weights: &weights,
        dataset: scenario.dataset,
        data: config.data.as_deref(),
        images: scenario.images,
    };
    let oracle = Oracle::ask(&binaries.worker, &question, &config.out.join("unsplit.safetensors")).await?;
    let right = |index: usize| most_likely(oracle.logits(index)) == oracle.label(index);
    let basis = Basis::new(scenario, (0..oracle.len()).map(right).collect());
    let share = oracle.correct() as f64 / oracle.len() as f64;
    step("unsplit network", &format!("{} images in one process, {} right", oracle.len(), percent(share)));
    Ok(Prepared { binaries, weights, profile, oracle: Arc::new(oracle), basis })
}

/// The stream's way to find a checkpoint.
fn lookup(config: &StoryConfig, scenario: &Scenario) -> Config {
    Config {
        dataset: scenario.dataset,
        data: config.data.clone(),
        arch: scenario.arch,
        weights: config.weights.clone(),
        images: scenario.images,
        workers: scenario.workers.len(),
        conditions: crate::demo::topology::Conditions::Home,
        concurrency: 1,
        out: config.out.clone(),
        bin_dir: config.bin_dir.clone(),
    }
}

/// One run of a scenario.
struct OneRun<'a> {
    scenario: &'a Scenario,
    kind: RunKind,
    folder: &'a Path,
    keys: &'a Path,
    prepared: &'a Prepared,
}

impl OneRun<'_> {
    async fn play(
        &self,
        first_plan: Option<&PlanDocument>,
        running: &mut Running,
    ) -> Result<RunRecording, DemoError> {
        let Self { scenario, kind, folder, prepared, .. } = self;
        say("");
        say(&format!("{}: {}", kind.name(), headline(*kind, scenario)));
        let starts = cast::workers(scenario, *kind, folder)?;
        let flags = cast::orchestrator(scenario, *kind, prepared.profile.as_deref(), first_plan, folder)?;
        let spec = ClusterSpec {
            binaries: &prepared.binaries,
            arch: scenario.arch,
            weights: &prepared.weights,
            workers: &starts,
            orchestrator_flags: &flags,
            deadline: scenario.load.deadline,
            certs: self.keys,
            out: folder,
        };
        if !self.keys.exists() {
            spec.certify()?;
        }
        let links = initial_links(scenario).into_iter().map(|((from, to), link)| LinkPlan {
            from,
            to,
            name: link.name,
            conditions: link.conditions,
        });
        let names = scenario.worker_names();
        let wiring = running.wiring.insert(Wiring::new(&names, links.collect(), scenario.seed)?);
        let admin = AdminClient::new(&format!("http://{}", wiring.admin))?;
        spec.start(wiring, &mut running.processes)?;
        let took = spec.wait_until_ready(&admin, &mut running.processes).await?;
        step(
            "cluster",
            &format!("ready after {:.1} s; look at it: http://{}/", took.as_secs_f64(), wiring.admin),
        );
        let limit = scenario.load.deadline + Duration::from_secs(5);
        let oracle = &prepared.oracle;
        let client = InferClient::new(&wiring.http.to_string(), scenario.arch.name(), oracle.shape(), limit)?;
        self.warm_up(&client).await;
        sleep(SETTLE).await;
        let schedule = arrivals(scenario, oracle.len());
        let stage = Stage { scenario, spec: &spec, wiring, admin: &admin, folder };
        self.record(&stage, &client, &schedule, &mut running.processes).await
    }

    /// Sends requests at the scenario's rate before it begins, so that links and workers have been measured: the
    /// supervisor is to be watched in steady state first, and its plan of then is the best for the initial conditions.
    async fn warm_up(&self, client: &InferClient) {
        let lasts = if self.kind == RunKind::Adaptive { WARM_UP_ADAPTIVE } else { WARM_UP };
        let load = Load { arrivals: Arrivals::Even, ..self.scenario.load };
        let calm = Scenario { duration: lasts, events: Vec::new(), load, ..self.scenario.clone() };
        let schedule = arrivals(&calm, self.prepared.oracle.len());
        // What does not go well here will be seen when it counts.
        generate(client, &self.prepared.oracle, &schedule, Instant::now(), |_| ()).await;
    }

    /// Requests, the scenario's steps and the watcher side by side.
    async fn record(
        &self,
        stage: &Stage<'_>,
        client: &InferClient,
        schedule: &[Arrival],
        processes: &mut crate::demo::processes::Processes,
    ) -> Result<RunRecording, DemoError> {
        let basis = &self.prepared.basis;
        let (hurry, (seen, mut sights)) = (Arc::new(Notify::new()), mpsc::channel(SIGHTS));
        let start = Instant::now();
        let watching = tokio::spawn(watch(stage.admin.clone(), start, hurry.clone(), seen));
        // The task must end when we leave, also by an error.
        let _watching = AbortOnDrop(watching);
        let log = RefCell::new(Log::default());
        let see = |sight: Seen| log.borrow_mut().see(sight, basis);
        let direct = async {
            let done =
                director::direct(stage, processes, start, |record| log.borrow_mut().step(record)).await;
            done.map_err(DemoError::from)
        };
        let generate = generate(client, &self.prepared.oracle, schedule, start, |request| {
            let known = |id: &str| log.borrow().plans.iter().any(|record: &PlanRecord| record.id == id);
            if request.answer().is_some_and(|answer| !known(&answer.plan)) {
                hurry.notify_one();
            }
        });
        let (directed, requests) = {
            let work = async { tokio::join!(direct, generate) };
            tokio::pin!(work);
            loop {
                tokio::select! {
                    done = &mut work => break done,
                    Some(sight) = sights.recv() => see(sight),
                }
            }
        };
        directed?;
        // The last counters.
        let until = Instant::now() + SETTLE;
        while let Ok(Some(sight)) = tokio::time::timeout_at(until.into(), sights.recv()).await {
            see(sight);
        }
        let counters = stage.admin.text("/metrics").await.map(|text| counters(&text)).unwrap_or_default();
        let Log { plans, decisions, steps, samples, .. } = log.into_inner();
        Ok(RunRecording {
            kind: self.kind,
            duration_seconds: self.scenario.duration.as_secs_f64(),
            requests,
            plans,
            steps,
            samples,
            decisions,
            counters,
            problems: Vec::new(),
        })
    }
}

/// What was seen so far; tells the terminal.
#[derive(Default)]
struct Log {
    plans: Vec<PlanRecord>,
    decisions: Vec<DecisionRecord>,
    steps: Vec<super::recording::StepRecord>,
    samples: Vec<super::recording::Sample>,
}

impl Log {
    fn see(&mut self, sight: Seen, basis: &Basis) {
        match sight {
            Seen::Plan(record) => {
                for line in narrate::plan(&record, &self.decisions, basis) {
                    say(&line);
                }
                self.plans.push(*record);
            }
            Seen::Decision(record) => {
                let number = |record: &DecisionRecord| told(&record.event).number;
                match self.decisions.iter_mut().find(|known| number(known) == number(&record)) {
                    // The time is that of the first word about it.
                    Some(known) => known.event = record.event,
                    None => self.decisions.push(record),
                }
            }
            Seen::Sample(sample) => self.samples.push(*sample),
        }
    }

    fn step(&mut self, record: super::recording::StepRecord) {
        for line in narrate::step(&record) {
            say(&line);
        }
        self.steps.push(record);
    }
}

struct AbortOnDrop(tokio::task::JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn headline(kind: RunKind, scenario: &Scenario) -> String {
    let seconds = scenario.duration.as_secs_f64();
    match kind {
        RunKind::Adaptive => format!("the supervisor plans again whenever things change ({seconds:.0} s)"),
        RunKind::Static => {
            format!("the plan that was best in the beginning, whatever happens ({seconds:.0} s)")
        }
        RunKind::Alone => format!("{} computes everything ({seconds:.0} s)", scenario.alone),
    }
}

/// Prometheus text as sums by name, without labels; comments and what is no number are left out.
fn counters(text: &str) -> BTreeMap<String, f64> {
    let mut sums = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let Some((series, value)) = line.rsplit_once(' ') else { continue };
        let name = series.split('{').next().unwrap_or(series);
        if let Some(value) = value.parse::<f64>().ok().filter(|value| value.is_finite()) {
            *sums.entry(name.to_owned()).or_insert(0.0) += value;
        }
    }
    sums
}

/// The data set of a scenario needs a folder.
pub fn needs_data(scenario: &Scenario) -> bool {
    scenario.dataset == Dataset::Cifar10
}

impl From<CastError> for DemoError {
    fn from(error: CastError) -> Self {
        DirectorError::Cast(error).into()
    }
}
