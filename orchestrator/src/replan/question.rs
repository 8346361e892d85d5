//! What is asked of the optimisation model, and what it answers. The slow part: it may run on any thread.

use std::time::Duration;

use weir_shared::ids::{PeerName, WorkerId};

use crate::planner::snapshot::{Placement, Snapshot, Terms};

use super::flap::Pair;

/// The optimisation model under a policy, as far as re-planning needs it.
pub trait Model: Send + Sync {
    /// The best placements within the policy, or those that overrun it least.
    ///
    /// # Errors
    /// In words for people: why there is none at all.
    fn solve(&self, snapshot: &Snapshot) -> Result<Solved, String>;

    /// What a placement is worth.
    ///
    /// # Errors
    /// If it cannot be carried out at all, as when a worker or link of it is gone.
    fn judge(&self, snapshot: &Snapshot, placement: &Placement) -> Result<Judged, String>;

    /// Objectives below this are as good as zero: gains are measured against at least this much.
    fn floor(&self) -> f64 {
        0.0
    }

    /// Checks a placement that the model has judged, by code of its own, against every limit that [`Judged::excess`] does
    /// not say is broken.
    ///
    /// # Errors
    /// In words for people: what is wrong with it.
    fn check(&self, _snapshot: &Snapshot, _judged: &Judged) -> Result<(), String> {
        Ok(())
    }
}

/// What the model found.
#[derive(Debug, Clone, PartialEq)]
pub struct Solved {
    /// The very best first.
    pub found: Vec<Judged>,
    /// Where none meets every limit: which ones stand in the way, for people.
    pub unmet: Option<String>,
}

/// A placement with its worth.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged {
    /// What.
    pub placement: Placement,
    /// The model's terms.
    pub terms: Terms,
    /// What the policy makes small.
    pub objective: f64,
    /// By what share the worst broken bound of the policy is broken; 0 where none is.
    pub excess: f64,
    /// What decides among objectives that are equal, where the objective is below [`Model::floor`] most of the time.
    pub tie: Option<f64>,
}

/// Everything that an answer depends on.
#[derive(Debug, Clone)]
pub struct Question {
    /// When it was asked.
    pub at: Duration,
    /// The snapshot, with the cost model's corrections in it.
    pub snapshot: Snapshot,
    pub(super) policy: u64,
    pub(super) suppressed: Vec<Pair>,
    pub(super) left_out: Vec<WorkerId>,
    pub(super) avoid: Vec<Placement>,
    pub(super) held: Option<Placement>,
}

/// What the model says to a question.
#[derive(Debug, Clone)]
pub struct Answer {
    /// When it was asked.
    pub at: Duration,
    /// On what.
    pub snapshot: Snapshot,
    /// Under which policy, counted from the start.
    pub(super) policy: u64,
    /// What runs; an error where it cannot go on running.
    pub current: Option<Result<Judged, String>>,
    /// The best that may be chosen.
    pub best: Result<Judged, String>,
    /// Why the best does not meet every limit, where it does not.
    pub unmet: Option<String>,
    /// The best that differs from what runs in its active set only.
    pub shed: Option<Judged>,
    /// The candidate whose advantage has to persist, on this snapshot.
    pub held: Option<Judged>,
    /// [`Model::floor`].
    pub floor: f64,
}

impl Question {
    /// Asks the model.
    pub fn answer(self, model: &dyn Model) -> Answer {
        let Self { at, snapshot, policy, suppressed, left_out, avoid, held } = self;
        let mut trusted = snapshot.clone();
        trusted.workers.retain(|worker| !left_out.contains(&worker.name));
        let of_nobody = |peer: &PeerName| left_out.iter().any(|worker| worker.peer() == *peer);
        trusted.links.retain(|link| {
            let flaps = suppressed.iter().any(|(from, to)| *from == link.from && *to == link.to);
            !flaps && !of_nobody(&link.from) && !of_nobody(&link.to)
        });
        let mut solved = model.solve(&trusted);
        // A link that flaps is better than none, or than a broken limit, and so is a worker that refused something.
        let excess = overrun(&solved);
        if excess > 0.0 && trusted != snapshot {
            let of_all = model.solve(&snapshot);
            if overrun(&of_all) < excess {
                solved = of_all;
            }
        }
        let unmet = solved.as_ref().ok().and_then(|solved| solved.unmet.clone());
        let best = solved.and_then(|solved| {
            let mut found = solved.found.into_iter();
            let first = found.next().ok_or("the planner found nothing")?;
            if avoid.contains(&first.placement) {
                Ok(found.find(|other| !avoid.contains(&other.placement)).unwrap_or(first))
            } else {
                Ok(first)
            }
        });
        let running = snapshot.current.as_ref();
        let current = running.map(|placement| model.judge(&snapshot, placement));
        let shed = running.and_then(|placement| shed(model, &snapshot, placement, &avoid));
        let held = held.filter(|placement| !placement.workers.iter().any(|worker| left_out.contains(worker)));
        let held = held.and_then(|placement| model.judge(&snapshot, &placement).ok());
        Answer { at, best, unmet, current, shed, held, floor: model.floor(), snapshot, policy }
    }
}

/// By what share the best overruns the limits; infinite where there is none.
fn overrun(solved: &Result<Solved, String>) -> f64 {
    let best = solved.as_ref().ok().and_then(|solved| solved.found.first());
    best.map_or(f64::INFINITY, |best| best.excess)
}

/// The best active set for the partition as it is: no weight moves for it.
fn shed(model: &dyn Model, snapshot: &Snapshot, running: &Placement, avoid: &[Placement]) -> Option<Judged> {
    let candidates =
        snapshot.accuracy.candidates.iter().filter(|candidate| candidate.active != running.active);
    let placed =
        candidates.map(|candidate| Placement { active: candidate.active.clone(), ..running.clone() });
    let judged = placed.filter(|placement| !avoid.contains(placement));
    let judged = judged.filter_map(|placement| model.judge(snapshot, &placement).ok());
    judged.min_by(|a, b| {
        let key = |judged: &Judged| (judged.excess.max(0.0), judged.objective);
        let ((a_excess, a), (b_excess, b)) = (key(a), key(b));
        a_excess.total_cmp(&b_excess).then(a.total_cmp(&b))
    })
}
