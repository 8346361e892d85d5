//! What is done about a worker that has fallen silent: plans are made without it at once, and nothing is given up.
//!
//! Requests of the running plan go on; those that wait for the silent worker are interrupted when its session is lost, as
//! ever. If it speaks again before another plan runs, nothing has changed.

use actix::prelude::*;
use weir_shared::ids::WorkerId;

use super::actor::{Admission, Supervisor};
use super::messages::{WorkerFellSilent, WorkerSpokeAgain};
use crate::cluster::SessionId;
use crate::replan::trace::What;

impl Supervisor {
    fn is_current(&self, worker: &WorkerId, session: SessionId) -> bool {
        self.sessions.get(worker).is_some_and(|(current, _)| *current == session)
    }

    fn serves(&self, worker: &WorkerId) -> bool {
        self.admission == Admission::Open
            && self.plan.as_ref().is_some_and(|plan| plan.stage_of(worker).is_some())
    }
}

impl Handler<WorkerFellSilent> for Supervisor {
    type Result = ();

    fn handle(
        &mut self,
        WorkerFellSilent { worker, session }: WorkerFellSilent,
        context: &mut Self::Context,
    ) {
        if !self.is_current(&worker, session) {
            return;
        }
        self.cluster.fell_silent(&worker);
        // Where everybody is silent, this machine is what is cut off.
        let others = self.cluster.connected().filter(|(_, view)| !view.is_silent).count();
        if !self.serves(&worker) || others == 0 || self.rollout.is_some() || self.steering.paused {
            return;
        }
        tracing::warn!(%worker, "worker silent; plans are made without it");
        let why = format!("{worker} is silent");
        self.replanning.replanner.broken(&why);
        self.replanning.note(What::Broken(why));
        self.bypass(&[worker], context);
        self.replanning.looked = None;
        self.reconcile(context);
    }
}

impl Handler<WorkerSpokeAgain> for Supervisor {
    type Result = ();

    fn handle(
        &mut self,
        WorkerSpokeAgain { worker, session }: WorkerSpokeAgain,
        context: &mut Self::Context,
    ) {
        if !self.is_current(&worker, session) {
            return;
        }
        tracing::info!(%worker, "worker speaks again");
        self.cluster.spoke_again(&worker);
        let another = self.cluster.connected().any(|(other, view)| view.is_silent && self.serves(other));
        if self.serves(&worker) && self.rollout.is_none() && !another {
            self.replanning.replanner.mended();
            self.replanning.note(What::Mended {});
        }
        self.reconcile(context);
    }
}
