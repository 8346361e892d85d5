//! Whether a snapshot can be planned on: checked once, so that nothing below meets NaN, strangers or gaps.

use std::collections::BTreeSet;

use weir_shared::arch::Network;
use weir_shared::ids::{PeerName, Role};
use weir_shared::plan::ActiveSetError;
use weir_shared::plan::plan::BATCH_MAX;

use super::snapshot::{AccuracyTable, LinkState, Snapshot, VERSION, WorkerState};

/// The most workers in one snapshot: what a search keeps in four machine words.
pub const WORKERS_MAX: usize = 256;

/// Why a snapshot cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// Not JSON of this form.
    #[error("not a snapshot; docs/snapshot.md shows its form")]
    Malformed(#[from] serde_json::Error),
    /// Another version of the format.
    #[error(
        "the snapshot has version {found}, but this program reads version {VERSION}; take it again with `weir snapshot`"
    )]
    Version {
        /// As written.
        found: u32,
    },
    /// A number that cannot be.
    #[error("{what} is {value}, but it must be {expect}")]
    Number {
        /// Which.
        what: String,
        /// As written.
        value: f64,
        /// What it must be.
        expect: &'static str,
    },
    /// Two entries for one thing.
    #[error("{0} is listed twice; keep one of them")]
    Twice(String),
    /// A link of somebody who is not there.
    #[error(
        "a link leads from {from} to {to}, but {stranger} is neither a worker of the snapshot nor its gateway"
    )]
    Stranger {
        /// Who sends.
        from: PeerName,
        /// Who receives.
        to: PeerName,
        /// Who is not known.
        stranger: PeerName,
    },
    /// A link to oneself.
    #[error("a link leads from {0} to itself")]
    Loop(PeerName),
    /// Times for another number of layers.
    #[error(
        "worker {worker} states times of {found} layers, but the network has {layers}; leave the list empty or state all"
    )]
    Layers {
        /// Who.
        worker: String,
        /// Entries.
        found: usize,
        /// Layers.
        layers: u16,
    },
    /// An active set of another network.
    #[error("a candidate does not fit the network")]
    ActiveSet(#[from] ActiveSetError),
    /// Everything active must be possible.
    #[error("the active sets do not contain the full one; list it with a loss of 0")]
    NoFullSet,
    /// There is nobody.
    #[error("no workers are listed; a plan needs at least one")]
    NoWorkers,
    /// More than the planner takes.
    #[error("{0} workers are listed, but the planner takes at most {WORKERS_MAX}")]
    TooManyWorkers(usize),
    /// The gateway is no orchestrator.
    #[error("the gateway must be an orchestrator, and {0} is not")]
    Gateway(PeerName),
    /// A cut outside the network.
    #[error("an encoding is listed for cut point {cut}, but cut points are 1 to {last}")]
    Cut {
        /// As written.
        cut: u16,
        /// The last.
        last: u16,
    },
}

impl Snapshot {
    /// Reads and checks JSON.
    ///
    /// # Errors
    /// If the text is of another form or version, or says what cannot be.
    pub fn parse(json: &[u8]) -> Result<Self, SnapshotError> {
        #[derive(serde::Deserialize)]
        struct Version {
            version: u32,
        }
        // The version first: another one may have other fields.
        let Version { version } = serde_json::from_slice(json)?;
        if version != VERSION {
            return Err(SnapshotError::Version { found: version });
        }
        let snapshot: Self = serde_json::from_slice(json)?;
        snapshot.check()?;
        Ok(snapshot)
    }

    /// Checks everything that the planner relies on.
    ///
    /// # Errors
    /// Names the first thing that cannot be.
    pub fn check(&self) -> Result<(), SnapshotError> {
        if self.version != VERSION {
            return Err(SnapshotError::Version { found: self.version });
        }
        if self.gateway.role() != Role::Orchestrator {
            return Err(SnapshotError::Gateway(self.gateway.clone()));
        }
        if !(1..=BATCH_MAX).contains(&self.batch) {
            let value = f64::from(self.batch);
            return Err(SnapshotError::Number { what: "batch".to_owned(), value, expect: "1 to 256" });
        }
        not_negative(|| "offered_load".to_owned(), self.offered_load)?;
        let network = self.network.network();
        self.check_workers(&network)?;
        self.check_links()?;
        check_accuracy(&self.accuracy, &network)?;
        let mut encodings = BTreeSet::new();
        for cost in &self.codec {
            if !encodings.insert(cost.encoding) {
                return Err(SnapshotError::Twice(format!("the codec cost of {}", cost.encoding)));
            }
            not_negative(|| format!("the codec cost of {}", cost.encoding), cost.seconds_per_element)?;
        }
        Ok(())
    }

    fn check_workers(&self, network: &Network) -> Result<(), SnapshotError> {
        match self.workers.len() {
            0 => return Err(SnapshotError::NoWorkers),
            count if count > WORKERS_MAX => return Err(SnapshotError::TooManyWorkers(count)),
            _ => {}
        }
        let mut names = BTreeSet::new();
        for worker in &self.workers {
            if !names.insert(&worker.name) {
                return Err(SnapshotError::Twice(format!("worker {}", worker.name)));
            }
            worker.check(network)?;
        }
        Ok(())
    }

    fn check_links(&self) -> Result<(), SnapshotError> {
        let known: BTreeSet<PeerName> =
            self.workers.iter().map(|worker| worker.name.peer()).chain([self.gateway.clone()]).collect();
        let mut pairs = BTreeSet::new();
        for link in &self.links {
            let LinkState { from, to, .. } = link;
            if let Some(stranger) = [from, to].into_iter().find(|peer| !known.contains(peer)) {
                let stranger = stranger.clone();
                return Err(SnapshotError::Stranger { from: from.clone(), to: to.clone(), stranger });
            }
            if from == to {
                return Err(SnapshotError::Loop(from.clone()));
            }
            if !pairs.insert((from, to)) {
                return Err(SnapshotError::Twice(format!("the link from {from} to {to}")));
            }
            let name = |what: &str| format!("{what} of the link from {from} to {to}");
            not_negative(|| name("rtt_seconds"), link.rtt_seconds)?;
            positive(|| name("goodput"), link.goodput)?;
            if !(0.0..=1.0).contains(&link.loss) {
                return Err(SnapshotError::Number { what: name("loss"), value: link.loss, expect: "0 to 1" });
            }
        }
        Ok(())
    }
}

impl WorkerState {
    /// Checks everything that the planner relies on.
    ///
    /// # Errors
    /// Names the first thing that cannot be.
    pub fn check(&self, network: &Network) -> Result<(), SnapshotError> {
        let name = |what: &str| format!("{what} of worker {}", self.name);
        let layers = network.layer_count();
        if !self.layer_seconds.is_empty() && self.layer_seconds.len() != usize::from(layers) {
            let (worker, found) = (self.name.to_string(), self.layer_seconds.len());
            return Err(SnapshotError::Layers { worker, found, layers });
        }
        for seconds in self.layer_seconds.iter().flatten() {
            not_negative(|| name("layer_seconds"), *seconds)?;
        }
        positive(|| name("macs_per_second"), self.macs_per_second)?;
        not_negative(|| name("idle_watts"), self.idle_watts)?;
        not_negative(|| name("active_watts"), self.active_watts)?;
        self.power_budget_watts.map_or(Ok(()), |watts| not_negative(|| name("power_budget_watts"), watts))?;
        not_negative(|| name("joules_per_byte_sent"), self.joules_per_byte_sent)?;
        not_negative(|| name("joules_per_byte_received"), self.joules_per_byte_received)
    }
}

fn check_accuracy(accuracy: &AccuracyTable, network: &Network) -> Result<(), SnapshotError> {
    if let Some(value) = accuracy.full_accuracy.filter(|value| !(0.0..=1.0).contains(value)) {
        return Err(SnapshotError::Number { what: "full_accuracy".to_owned(), value, expect: "0 to 1" });
    }
    for (index, candidate) in accuracy.candidates.iter().enumerate() {
        candidate.active.check(network)?;
        finite(|| format!("loss_points of candidate {index}"), candidate.loss_points)?;
        if accuracy.candidates[..index].iter().any(|earlier| earlier.active == candidate.active) {
            let names = candidate.active.describe(network);
            return Err(SnapshotError::Twice(format!("the active set without {names:?}")));
        }
    }
    if !accuracy.candidates.iter().any(|candidate| candidate.active.is_full()) {
        return Err(SnapshotError::NoFullSet);
    }
    let mut pairs = BTreeSet::new();
    for loss in &accuracy.encodings {
        let last = network.layer_count() - 1;
        if !(1..=last).contains(&loss.cut.0) {
            return Err(SnapshotError::Cut { cut: loss.cut.0, last });
        }
        let name = || format!("the loss of {} at cut point {}", loss.encoding, loss.cut);
        finite(name, loss.loss_points)?;
        if !pairs.insert((loss.cut, loss.encoding)) {
            return Err(SnapshotError::Twice(name()));
        }
    }
    Ok(())
}

fn finite(what: impl Fn() -> String, value: f64) -> Result<(), SnapshotError> {
    let fine = value.is_finite();
    if fine { Ok(()) } else { Err(SnapshotError::Number { what: what(), value, expect: "a finite number" }) }
}

fn positive(what: impl Fn() -> String, value: f64) -> Result<(), SnapshotError> {
    let fine = value.is_finite() && value > 0.0;
    if fine { Ok(()) } else { Err(SnapshotError::Number { what: what(), value, expect: "above zero" }) }
}

fn not_negative(what: impl Fn() -> String, value: f64) -> Result<(), SnapshotError> {
    let fine = value.is_finite() && value >= 0.0;
    if fine { Ok(()) } else { Err(SnapshotError::Number { what: what(), value, expect: "zero or above" }) }
}
