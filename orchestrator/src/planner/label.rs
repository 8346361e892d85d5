//! Partial plans: everything up to the start of a stage is decided, with its true cost.

use super::validate::WORKERS_MAX;

const WORDS: usize = WORKERS_MAX / u64::BITS as usize;

/// Workers that have a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Visited([u64; WORDS]);

impl Visited {
    pub(super) fn contains(&self, worker: usize) -> bool {
        self.0[worker / 64] & (1 << (worker % 64)) != 0
    }

    pub(super) fn with(mut self, worker: usize) -> Self {
        self.0[worker / 64] |= 1 << (worker % 64);
        self
    }

    pub(super) fn is_within(&self, other: &Self) -> bool {
        self.0.iter().zip(&other.0).all(|(mine, theirs)| mine & !theirs == 0)
    }
}

/// What the stage that begins does with a shortcut that is open at its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    /// None is open, or the stage takes in the join and has the shortcut's value.
    Plain,
    /// It ends before the join; the shortcut's value stays with its maker.
    Without,
}

/// Who holds the value that a shortcut may need later: the shortcut's maker, or the stage before.
#[derive(Debug, Clone, Copy)]
pub(super) struct Holder {
    pub(super) worker: usize,
    /// When it has computed its stage.
    pub(super) end_seconds: f64,
    /// Where its stage ends.
    pub(super) cut: usize,
    /// What it spends on a request so far.
    pub(super) joules: f64,
}

/// How a shortcut's value came that bypassed the stage before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bypass {
    pub(super) from: usize,
    pub(super) encoding: usize,
}

/// A partial plan: stages up to `start` are decided, and `worker` computes from there.
#[derive(Debug, Clone)]
pub(super) struct Label {
    pub(super) parent: Option<u32>,
    pub(super) start: usize,
    pub(super) worker: usize,
    pub(super) kind: Kind,
    /// Encoding of the main value on its way here.
    pub(super) encoding: usize,
    pub(super) bypass: Option<Bypass>,
    pub(super) visited: Visited,
    /// When everything is there.
    pub(super) seconds: f64,
    pub(super) joules: f64,
    pub(super) loss: f64,
    pub(super) period: f64,
    /// What this worker spends on receiving.
    pub(super) received_joules: f64,
    pub(super) holder: Option<Holder>,
    /// Multipliers of the workers that have a stage.
    pub(super) use_prices: f64,
    /// No plan that begins like this costs less.
    pub(super) bound: f64,
}
