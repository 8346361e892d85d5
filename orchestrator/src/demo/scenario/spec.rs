//! What a scenario says, after it has been checked.
//!
//! Always true: every name in an event is a worker of the scenario, events stand in the order of their times, and
//! every number is finite and in a range that makes sense.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use weir_shared::arch::Arch;

use crate::demo::config::Dataset;
use crate::demo::emulator::LinkConditions;

/// A whole scenario.
#[derive(Debug, Clone, PartialEq)]
pub struct Scenario {
    /// A short name, for files and headings.
    pub name: String,
    /// One line for people.
    pub title: String,
    /// Seeds losses, jitter, arrivals and the order of images.
    pub seed: u64,
    /// The network.
    pub arch: Arch,
    /// The images.
    pub dataset: Dataset,
    /// Different images; they are sent round and round.
    pub images: usize,
    /// How long requests are sent in each run.
    pub duration: Duration,
    /// What is compared, in order.
    pub runs: Vec<RunKind>,
    /// Who computes everything in the run of one worker alone.
    pub alone: String,
    /// The planner's policy, as its own file has it; empty for the default.
    pub policy: toml::Table,
    /// The plan of the adaptive run to begin with, as a plan file has it; none leaves it to the planner.
    pub plan: Option<toml::Table>,
    /// What is asked.
    pub load: Load,
    /// Who is there.
    pub workers: Vec<WorkerSpec>,
    /// Links that are not as good as their worse end: from, to, conditions.
    pub links: Vec<(String, String, NamedConditions)>,
    /// What happens.
    pub events: Vec<Event>,
}

/// How plans are made in a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunKind {
    /// The supervisor plans and plans again.
    Adaptive,
    /// The plan that was best in the beginning, whatever happens.
    Static,
    /// One worker computes everything.
    Alone,
}

impl RunKind {
    /// The name in files and tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Adaptive => "adaptive",
            Self::Static => "static",
            Self::Alone => "alone",
        }
    }
}

/// What is asked of the cluster: an open loop, that waits for no answer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Load {
    /// Requests per second, of one image each.
    pub rate_per_second: f64,
    /// How they are spread.
    pub arrivals: Arrivals,
    /// How long the gateway may take for one.
    pub deadline: Duration,
}

/// How requests are spread in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Arrivals {
    /// At equal distances.
    #[default]
    Even,
    /// As independent clients send: exponential distances.
    Poisson,
}

/// A worker.
#[derive(Debug, Clone, PartialEq)]
pub struct WorkerSpec {
    /// Its name, also in its certificate.
    pub name: String,
    /// How it is attached; a link is as good as its worse end.
    pub attachment: NamedConditions,
    /// Billions of multiply-accumulate operations per second that it computes; `None` is as fast as this machine.
    pub gmacs_per_second: Option<f64>,
    /// Compute threads.
    pub threads: u16,
    /// `nice` value of its process, 0 to 19.
    pub nice: u8,
    /// What its process may hold, bytes; `None` is without limit.
    pub memory_limit_bytes: Option<u64>,
    /// What it draws.
    pub power: Power,
}

/// The stated power model: `idle + (max - idle) * utilisation`, and so much for each byte on the air.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Power {
    /// Drawn without work, watts.
    pub idle_watts: f64,
    /// Drawn at full work, watts.
    pub max_watts: f64,
    /// For each byte sent or received, joules.
    pub joules_per_byte: f64,
    /// What it may draw on average, watts; `None` is without limit.
    pub budget_watts: Option<f64>,
}

/// Link conditions with the name that tables show.
#[derive(Debug, Clone, PartialEq)]
pub struct NamedConditions {
    /// A preset's name, or what differs from it.
    pub name: String,
    /// How the link behaves.
    pub conditions: LinkConditions,
}

/// Something that happens.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// When, since the first request.
    pub at: Duration,
    /// For people.
    pub title: String,
    /// What.
    pub action: Action,
}

/// What happens.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Links of a worker behave differently.
    Link {
        /// Which links.
        side: LinkSide,
        /// How from now on.
        conditions: NamedConditions,
    },
    /// Links behave as in the beginning again: those of one worker, or all.
    Heal(Option<String>),
    /// Round-trip times of all links move at random within this share of themselves, until a [`Heal`](Self::Heal).
    Noise {
        /// The most that a delay changes, as a share of itself.
        share: f64,
        /// How often it changes.
        period: Duration,
    },
    /// A worker may draw another average power, watts.
    Budget {
        /// Who.
        worker: String,
        /// How much.
        watts: f64,
    },
    /// A worker's process is killed with SIGKILL.
    Kill(String),
    /// A worker that was killed is started again.
    Start(String),
    /// Requests per second from now on.
    Load(f64),
    /// Another policy for the planner, as its own file has it.
    Policy(toml::Table),
}

/// Links at one end of which a worker is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkSide {
    /// The worker (or `main`, the gateway).
    pub peer: String,
    /// The other end; `None` is everybody.
    pub other: Option<String>,
}

impl LinkSide {
    /// Whether the directed link from `from` to `to` is meant; both directions are.
    pub fn covers(&self, from: &str, to: &str) -> bool {
        let other_fits = |end: &str| self.other.as_deref().is_none_or(|other| other == end);
        (from == self.peer && other_fits(to)) || (to == self.peer && other_fits(from))
    }
}

impl Scenario {
    /// The worker of this name.
    pub fn worker(&self, name: &str) -> Option<&WorkerSpec> {
        self.workers.iter().find(|worker| worker.name == name)
    }

    /// Names of all workers, in order.
    pub fn worker_names(&self) -> Vec<String> {
        self.workers.iter().map(|worker| worker.name.clone()).collect()
    }
}

impl Power {
    /// What a real single-board computer draws, roughly; stated, not measured: only relations matter here.
    pub const BOARD: Self =
        Self { idle_watts: 2.0, max_watts: 6.0, joules_per_byte: 1e-7, budget_watts: None };

    /// Energy above idling, joules: `(max - idle) * seconds computed`, and the bytes.
    ///
    /// Source: the stated model of DESIGN.md's energy term; idling is the same for every plan and stands apart.
    pub fn active_joules(&self, compute_seconds: f64, bytes: u64) -> f64 {
        (self.max_watts - self.idle_watts) * compute_seconds + self.joules_per_byte * bytes as f64
    }
}

impl Action {
    /// Whom it befalls; `None` is everybody.
    pub fn worker(&self) -> Option<&str> {
        match self {
            Self::Link { side, .. } => Some(&side.peer),
            Self::Budget { worker, .. } | Self::Kill(worker) | Self::Start(worker) => Some(worker),
            Self::Heal(worker) => worker.as_deref(),
            Self::Noise { .. } | Self::Load(_) | Self::Policy(_) => None,
        }
    }

    /// In short, for tables.
    pub fn describe(&self) -> String {
        match self {
            Self::Link { side, conditions } => {
                let other = side.other.as_deref().unwrap_or("all");
                format!("links between {} and {other}: {}", side.peer, conditions.name)
            }
            Self::Heal(None) => "all links as in the beginning".to_owned(),
            Self::Heal(Some(worker)) => format!("{worker}'s links as in the beginning"),
            Self::Noise { share, .. } => format!("delays of all links wander by ±{:.0} %", 100.0 * share),
            Self::Budget { worker, watts } => format!("{worker} may draw {watts:.2} W"),
            Self::Kill(worker) => format!("{worker} is killed"),
            Self::Start(worker) => format!("{worker} is started again"),
            Self::Load(rate) => format!("{rate:.0} requests/s"),
            Self::Policy(_) => "another policy".to_owned(),
        }
    }
}
