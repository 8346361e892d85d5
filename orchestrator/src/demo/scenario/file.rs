//! Scenarios as TOML, version 1: read strictly, and every mistake named by its field.
//!
//! `scenarios/README.md` describes the form. Unknown fields are refused, because a mistyped one would otherwise
//! make a scenario tell another story than its author meant.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use weir_shared::arch::Arch;
use weir_shared::ids::WorkerId;

use super::spec::*;
use crate::demo::config::Dataset;
use crate::demo::emulator::{BitRate, LinkState, LossRate, Preset};
use crate::demo::topology::{GATEWAY, WORKERS_MAX};

/// Of the form that is described here.
pub const VERSION: u32 = 1;

/// A run longer than this is a soak, not a demonstration.
const DURATION_MAX_SECONDS: f64 = 3600.0;

/// More than this meets the limit of requests under way at the gateway.
const RATE_MAX: f64 = 500.0;

/// A worker slower than this computes no image before the deadline, billions of multiply-accumulate operations per second.
const GMACS_MIN: f64 = 0.001;

/// No machine is faster, billions of multiply-accumulate operations per second.
const GMACS_MAX: f64 = 1e6;

/// Why a file is no scenario.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// It cannot be read.
    #[error("cannot read the scenario {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It is not TOML, or has fields that no scenario has.
    #[error("{}: this is no scenario (scenarios/README.md describes the form)", path.display())]
    Toml {
        /// The file.
        path: PathBuf,
        /// Where and why.
        #[source]
        source: Box<toml::de::Error>,
    },
    /// A field holds something that makes no sense.
    #[error("{}: {field}: {problem}", path.display())]
    Field {
        /// The file.
        path: PathBuf,
        /// Which field, as `event[2].worker`, counted from 0.
        field: String,
        /// What is wrong, and what would be right.
        problem: String,
    },
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: u32,
    name: String,
    title: Option<String>,
    plan: Option<toml::Table>,
    seed: Option<u64>,
    network: Option<String>,
    dataset: Option<Dataset>,
    images: Option<usize>,
    duration_seconds: f64,
    runs: Option<Vec<RunKind>>,
    alone: Option<String>,
    #[serde(default)]
    policy: toml::Table,
    load: LoadEntry,
    #[serde(default)]
    worker: Vec<WorkerEntry>,
    #[serde(default)]
    link: Vec<LinkEntry>,
    #[serde(default)]
    event: Vec<toml::Table>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct LoadEntry {
    requests_per_second: f64,
    #[serde(default)]
    arrivals: Arrivals,
    deadline_ms: Option<u64>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct WorkerEntry {
    name: String,
    #[serde(default)]
    link: ConditionsEntry,
    gmacs_per_second: Option<f64>,
    threads: Option<u16>,
    nice: Option<u8>,
    memory_limit_mb: Option<u64>,
    power: Option<PowerEntry>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct PowerEntry {
    idle_watts: f64,
    max_watts: f64,
    joules_per_byte: Option<f64>,
    budget_watts: Option<f64>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct LinkEntry {
    from: String,
    to: String,
    link: ConditionsEntry,
}

/// A preset's name, or a table of what differs from one.
#[derive(Deserialize, Serialize, Clone)]
#[serde(untagged)]
enum ConditionsEntry {
    Preset(String),
    Table(ConditionsTable),
}

#[derive(Deserialize, Serialize, Clone, Default)]
#[serde(deny_unknown_fields)]
struct ConditionsTable {
    preset: Option<String>,
    rate_kbit: Option<u64>,
    delay_ms: Option<f64>,
    jitter_ms: Option<f64>,
    loss_percent: Option<f64>,
    queue_kb: Option<usize>,
    cut: Option<bool>,
}

impl Default for ConditionsEntry {
    fn default() -> Self {
        Self::Preset(Preset::Lan.name().to_owned())
    }
}

#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
enum EventEntry {
    Link { worker: String, with: Option<String>, link: toml::Value },
    Heal { worker: Option<String> },
    Noise { percent: f64, period_ms: Option<u64> },
    Power { worker: String, budget_watts: Option<f64>, factor: Option<f64> },
    Kill { worker: String },
    Start { worker: String },
    Load { requests_per_second: Option<f64>, factor: Option<f64> },
    Policy { policy: toml::Table },
}

/// A mistake, before the file's name is known.
type Checked<T> = Result<T, (String, String)>;

impl Scenario {
    /// Reads a file.
    ///
    /// # Errors
    /// Names the field that is wrong.
    pub fn load(path: &Path) -> Result<Self, ScenarioError> {
        let text = std::fs::read_to_string(path);
        let text = text.map_err(|source| ScenarioError::Read { path: path.to_owned(), source })?;
        Self::parse(&text, path)
    }

    /// Reads the text of a file; `path` is named in errors.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn parse(text: &str, path: &Path) -> Result<Self, ScenarioError> {
        let toml = |source| ScenarioError::Toml { path: path.to_owned(), source: Box::new(source) };
        let file: File = toml::from_str(text).map_err(toml)?;
        let field = |(field, problem)| ScenarioError::Field { path: path.to_owned(), field, problem };
        check(file).map_err(field)
    }
}

fn check(file: File) -> Checked<Scenario> {
    if file.version != VERSION {
        return wrong(
            "version",
            format!("{} is not known to this release; it reads {VERSION}", file.version),
        );
    }
    let arch = file.network.as_deref().unwrap_or(Arch::ResNet20.name());
    let arch: Arch = arch.parse().or_else(|error| wrong("network", format!("{error}")))?;
    let duration = seconds("duration_seconds", file.duration_seconds)?;
    between("duration_seconds", file.duration_seconds, 1.0, DURATION_MAX_SECONDS)?;
    let images = file.images.unwrap_or(200);
    if !(1..=10_000).contains(&images) {
        return wrong("images", "give a number from 1 to 10000");
    }
    let runs = file.runs.unwrap_or_else(|| vec![RunKind::Adaptive, RunKind::Static, RunKind::Alone]);
    if runs.first() != Some(&RunKind::Adaptive) || runs.iter().collect::<BTreeSet<_>>().len() != runs.len() {
        return wrong(
            "runs",
            "begin with \"adaptive\", whose first plan the others need, and name each once",
        );
    }
    let load = Load {
        rate_per_second: between("load.requests_per_second", file.load.requests_per_second, 0.1, RATE_MAX)?,
        arrivals: file.load.arrivals,
        deadline: Duration::from_millis(file.load.deadline_ms.unwrap_or(5_000)),
    };
    if load.deadline.is_zero() {
        return wrong("load.deadline_ms", "a request needs some time; give 1 or more");
    }
    let workers = workers(file.worker)?;
    let known: Vec<&str> = workers.iter().map(|worker| worker.name.as_str()).collect();
    let alone = alone(file.alone, &workers)?;
    let mut links = Vec::new();
    for (index, entry) in file.link.into_iter().enumerate() {
        let at = |field: &str| format!("link[{index}].{field}");
        peer(&at("from"), &entry.from, &known)?;
        peer(&at("to"), &entry.to, &known)?;
        if entry.from == entry.to {
            return wrong(&at("to"), "a link leads from one peer to another");
        }
        links.push((entry.from, entry.to, conditions(&at("link"), entry.link)?));
    }
    let events = events(file.event, &workers, &load, duration)?;
    let title = file.title.unwrap_or_else(|| file.name.clone());
    Ok(Scenario {
        name: file.name,
        title,
        seed: file.seed.unwrap_or(1),
        arch,
        dataset: file.dataset.unwrap_or(Dataset::Shapes),
        images,
        duration,
        runs,
        alone,
        policy: file.policy,
        plan: file.plan,
        load,
        workers,
        links,
        events,
    })
}

fn workers(entries: Vec<WorkerEntry>) -> Checked<Vec<WorkerSpec>> {
    if entries.is_empty() || entries.len() > WORKERS_MAX {
        return wrong("worker", format!("give 1 to {WORKERS_MAX} workers, each as [[worker]]"));
    }
    let mut workers: Vec<WorkerSpec> = Vec::new();
    for (index, entry) in entries.into_iter().enumerate() {
        let at = |field: &str| format!("worker[{index}].{field}");
        if let Err(error) = entry.name.parse::<WorkerId>() {
            return wrong(&at("name"), format!("{error}"));
        }
        if entry.name == GATEWAY || workers.iter().any(|worker| worker.name == entry.name) {
            return wrong(&at("name"), format!("{:?} is the name of another peer", entry.name));
        }
        let nice = entry.nice.unwrap_or(0);
        if nice > 19 {
            return wrong(&at("nice"), "give 0 to 19");
        }
        let threads = entry.threads.unwrap_or(1);
        if !(1..=64).contains(&threads) {
            return wrong(&at("threads"), "give 1 to 64");
        }
        let speed =
            entry.gmacs_per_second.map(|gmacs| between(&at("gmacs_per_second"), gmacs, GMACS_MIN, GMACS_MAX));
        workers.push(WorkerSpec {
            attachment: conditions(&at("link"), entry.link)?,
            gmacs_per_second: speed.transpose()?,
            threads,
            nice,
            memory_limit_bytes: entry.memory_limit_mb.map(|mb| mb.saturating_mul(1_000_000)),
            power: entry.power.map_or(Ok(Power::BOARD), |power| self::power(&at("power"), &power))?,
            name: entry.name,
        });
    }
    Ok(workers)
}

fn power(field: &str, entry: &PowerEntry) -> Checked<Power> {
    let at = |name: &str| format!("{field}.{name}");
    let idle_watts = between(&at("idle_watts"), entry.idle_watts, 0.0, 10_000.0)?;
    let max_watts = between(&at("max_watts"), entry.max_watts, idle_watts, 10_000.0)?;
    let per_byte = entry.joules_per_byte.unwrap_or(Power::BOARD.joules_per_byte);
    let joules_per_byte = between(&at("joules_per_byte"), per_byte, 0.0, 1.0)?;
    let budget = entry.budget_watts.map(|watts| between(&at("budget_watts"), watts, idle_watts, 10_000.0));
    Ok(Power { idle_watts, max_watts, joules_per_byte, budget_watts: budget.transpose()? })
}

/// The worker of the run alone: the one that is named, or the fastest.
fn alone(named: Option<String>, workers: &[WorkerSpec]) -> Checked<String> {
    let known: Vec<&str> = workers.iter().map(|worker| worker.name.as_str()).collect();
    if let Some(name) = named {
        worker("alone", &name, &known)?;
        return Ok(name);
    }
    let speed = |worker: &WorkerSpec| worker.gmacs_per_second.unwrap_or(f64::INFINITY);
    // The first of equals.
    let fastest = workers.iter().rev().max_by(|a, b| speed(a).total_cmp(&speed(b)));
    Ok(fastest.map(|worker| worker.name.clone()).unwrap_or_default())
}

fn conditions(field: &str, entry: ConditionsEntry) -> Checked<NamedConditions> {
    let table = match entry {
        ConditionsEntry::Preset(name) => ConditionsTable { preset: Some(name), ..ConditionsTable::default() },
        ConditionsEntry::Table(table) => table,
    };
    let preset = table.preset.as_deref().unwrap_or(Preset::Lan.name());
    let preset: Preset = preset.parse().or_else(|error| wrong(field, format!("{error}")))?;
    let mut conditions = preset.conditions();
    let mut differs = Vec::new();
    if let Some(kbit) = table.rate_kbit {
        if kbit == 0 {
            return wrong(&format!("{field}.rate_kbit"), "a link without a rate is cut: write cut = true");
        }
        conditions = conditions.with_rate(BitRate::kilobits(kbit));
        differs.push(if kbit < 1000 {
            format!("{kbit} kbit/s")
        } else {
            format!("{} Mbit/s", kbit as f64 / 1e3)
        });
    }
    if let Some(ms) = table.delay_ms {
        let ms = between(&format!("{field}.delay_ms"), ms, 0.0, 10_000.0)?;
        conditions.delay = Duration::from_secs_f64(ms / 1e3);
        differs.push(format!("{ms} ms"));
    }
    if let Some(ms) = table.jitter_ms {
        let ms = between(&format!("{field}.jitter_ms"), ms, 0.0, 10_000.0)?;
        conditions.jitter = Duration::from_secs_f64(ms / 1e3);
        differs.push(format!("jitter {ms} ms"));
    }
    if let Some(percent) = table.loss_percent {
        let field = format!("{field}.loss_percent");
        let percent = between(&field, percent, 0.0, 100.0)?;
        conditions.loss = LossRate::new(percent / 100.0).or_else(|error| wrong(&field, error.to_string()))?;
        differs.push(format!("{percent} % lost"));
    }
    if let Some(kb) = table.queue_kb {
        conditions.queue_bytes = kb.saturating_mul(1024);
    }
    if table.cut == Some(true) {
        conditions.state = LinkState::Cut;
        differs.push("cut".to_owned());
    }
    let name = match (differs.is_empty(), table.preset.is_some()) {
        (true, _) => preset.name().to_owned(),
        (false, true) => format!("{} with {}", preset.name(), differs.join(", ")),
        (false, false) => differs.join(", "),
    };
    Ok(NamedConditions { name, conditions })
}

fn events(
    tables: Vec<toml::Table>,
    workers: &[WorkerSpec],
    load: &Load,
    duration: Duration,
) -> Checked<Vec<Event>> {
    let known: Vec<&str> = workers.iter().map(|worker| worker.name.as_str()).collect();
    let mut events = Vec::new();
    // What is true so far, for events that change something by a factor.
    let mut rate = load.rate_per_second;
    let mut budgets: Vec<Option<f64>> = workers.iter().map(|worker| worker.power.budget_watts).collect();
    let mut dead = BTreeSet::new();
    let mut order = Duration::ZERO;
    for (index, mut table) in tables.into_iter().enumerate() {
        let at = |field: &str| format!("event[{index}].{field}");
        let moment = take_seconds(&mut table, &at("at_seconds"))?;
        if moment >= duration || order > moment {
            return wrong(
                &at("at_seconds"),
                "events stand in the order of their times, before duration_seconds",
            );
        }
        let repeat = take_repeat(&mut table, &at("repeat"))?;
        let title = match table.remove("title") {
            None => None,
            Some(toml::Value::String(title)) => Some(title),
            Some(_) => return wrong(&at("title"), "give a text"),
        };
        let entry: EventEntry = table
            .try_into()
            .or_else(|error| wrong(&format!("event[{index}]"), error.to_string().trim().to_owned()))?;
        let action = match entry {
            EventEntry::Link { worker, with, link } => {
                peer(&at("worker"), &worker, &known)?;
                with.as_deref().map_or(Ok(()), |other| peer(&at("with"), other, &known))?;
                let link: ConditionsEntry =
                    link.try_into().or_else(|_| wrong(&at("link"), LINK_FORM.to_owned()))?;
                let conditions = conditions(&at("link"), link)?;
                Action::Link { side: LinkSide { peer: worker, other: with }, conditions }
            }
            EventEntry::Heal { worker } => {
                worker.as_deref().map_or(Ok(()), |name| peer(&at("worker"), name, &known))?;
                Action::Heal(worker)
            }
            EventEntry::Noise { percent, period_ms } => Action::Noise {
                share: between(&at("percent"), percent, 0.0, 95.0)? / 100.0,
                period: Duration::from_millis(period_ms.unwrap_or(200).max(10)),
            },
            EventEntry::Power { worker: name, budget_watts, factor } => {
                let place = worker(&at("worker"), &name, &known)?;
                let watts = changed(&at("factor"), budgets[place], budget_watts, factor, "budget_watts")?;
                let idle = workers[place].power.idle_watts;
                let watts = between(&at("budget_watts"), watts, idle, 10_000.0)?;
                budgets[place] = Some(watts);
                Action::Budget { worker: name, watts }
            }
            EventEntry::Kill { worker: name } => {
                worker(&at("worker"), &name, &known)?;
                if !dead.insert(name.clone()) {
                    return wrong(&at("worker"), format!("{name} was killed before"));
                }
                Action::Kill(name)
            }
            EventEntry::Start { worker: name } => {
                worker(&at("worker"), &name, &known)?;
                if !dead.remove(&name) {
                    return wrong(
                        &at("worker"),
                        format!("{name} runs; only one that was killed can be started"),
                    );
                }
                Action::Start(name)
            }
            EventEntry::Load { requests_per_second, factor } => {
                rate =
                    changed(&at("factor"), Some(rate), requests_per_second, factor, "requests_per_second")?;
                Action::Load(between(&at("requests_per_second"), rate, 0.1, RATE_MAX)?)
            }
            EventEntry::Policy { policy } => Action::Policy(policy),
        };
        let title = title.unwrap_or_else(|| action.describe());
        if repeat.is_some() && !matches!(action, Action::Policy(_) | Action::Link { .. } | Action::Heal(_)) {
            return wrong(&at("repeat"), "only link, heal and policy can happen again and again");
        }
        let again = repeat.unwrap_or(Repeat { every_seconds: 0.0, times: 1 });
        let last = moment.as_secs_f64() + again.every_seconds * f64::from(again.times - 1);
        if last >= duration.as_secs_f64() {
            return wrong(
                &at("repeat"),
                format!("the last time would be at {last} s, after duration_seconds"),
            );
        }
        order = moment;
        for time in 0..again.times {
            let at = moment + Duration::from_secs_f64(again.every_seconds * f64::from(time));
            events.push(Event { at, title: title.clone(), action: action.clone() });
        }
    }
    events.sort_by_key(|event: &Event| event.at);
    Ok(events)
}

const LINK_FORM: &str = "write a preset's name, or a table with some of preset, rate_kbit, delay_ms, jitter_ms, \
                         loss_percent, queue_kb and cut";

/// A new value, given as it is or as a factor of the old one.
fn changed(
    field: &str,
    old: Option<f64>,
    value: Option<f64>,
    factor: Option<f64>,
    name: &str,
) -> Checked<f64> {
    match (value, factor, old) {
        (Some(value), None, _) => Ok(value),
        (None, Some(factor), Some(old)) => Ok(old * between(field, factor, 0.01, 100.0)?),
        (None, Some(_), None) => wrong(field, format!("there is no {name} yet that it could be a factor of")),
        _ => wrong(field, format!("give either factor or {name}")),
    }
}

fn take_seconds(table: &mut toml::Table, field: &str) -> Checked<Duration> {
    match table.remove("at_seconds") {
        Some(toml::Value::Float(value)) => seconds(field, value),
        Some(toml::Value::Integer(value)) => seconds(field, value as f64),
        _ => wrong(field, "give seconds since the first request, as a number"),
    }
}

/// How often an event happens again.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Repeat {
    every_seconds: f64,
    times: u32,
}

fn take_repeat(table: &mut toml::Table, field: &str) -> Checked<Option<Repeat>> {
    let Some(value) = table.remove("repeat") else { return Ok(None) };
    let form = || (field.to_owned(), "write { every_seconds = 0.5, times = 10 }".to_owned());
    let repeat: Repeat = value.try_into().map_err(|_| form())?;
    between(&format!("{field}.every_seconds"), repeat.every_seconds, 0.01, DURATION_MAX_SECONDS)?;
    if (1..=10_000).contains(&repeat.times) { Ok(Some(repeat)) } else { Err(form()) }
}

fn seconds(field: &str, value: f64) -> Checked<Duration> {
    between(field, value, 0.0, DURATION_MAX_SECONDS).map(Duration::from_secs_f64)
}

fn between(field: &str, value: f64, low: f64, high: f64) -> Checked<f64> {
    if (low..=high).contains(&value) {
        Ok(value)
    } else {
        wrong(field, format!("{value} is not from {low} to {high}"))
    }
}

/// The place of a worker among those that are known.
fn worker(field: &str, name: &str, known: &[&str]) -> Checked<usize> {
    let found = known.iter().position(|known| *known == name);
    found.map_or_else(
        || wrong(field, format!("no worker is called {name:?}; there are {}", known.join(", "))),
        Ok,
    )
}

fn peer(field: &str, name: &str, known: &[&str]) -> Checked<()> {
    if name == GATEWAY { Ok(()) } else { worker(field, name, known).map(|_| ()) }
}

fn wrong<T>(field: &str, problem: impl Into<String>) -> Checked<T> {
    Err((field.to_owned(), problem.into()))
}
