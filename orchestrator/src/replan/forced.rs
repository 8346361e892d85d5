//! A person asks the planner: the same question as ever, and an answer that no rule damps.

use std::time::Duration;

use super::decision::{Decision, Kind};
use super::question::{Answer, Question};
use super::replanner::Replanner;
use crate::planner::snapshot::Snapshot;

impl Replanner {
    /// What would be asked now, with nothing held back; the rules remember nothing of it.
    pub fn question(&self, at: Duration, mut snapshot: Snapshot) -> Question {
        snapshot.current = self.running().cloned();
        self.corrections.apply(&mut snapshot);
        Question {
            at,
            snapshot,
            policy: self.policy,
            suppressed: self.suppressed.clone(),
            left_out: self.left_out().to_vec(),
            avoid: Vec::new(),
            held: None,
        }
    }

    /// The snapshot as the planner would get it: with the cost model's corrections.
    pub fn corrected(&self, snapshot: &mut Snapshot) {
        self.corrections.apply(snapshot);
    }

    /// The best, if it is not what runs; for whoever begins it.
    ///
    /// # Errors
    /// If there is none, or the answer is about another plan or policy than those of now.
    pub fn forced(&self, kind: Kind, because: &str, answer: &Answer) -> Result<Option<Decision>, String> {
        if self.running() != answer.snapshot.current.as_ref() || self.policy != answer.policy {
            return Err("the plan or the policy changed meanwhile; ask again".to_owned());
        }
        let best = answer.best.as_ref().map_err(Clone::clone)?;
        if Some(&best.placement) == self.running() {
            return Ok(None);
        }
        let current = answer.current.as_ref().and_then(|current| current.as_ref().ok());
        let decision = self.decision(kind, because.to_owned(), answer, current, best);
        Ok(Some(decision))
    }
}
