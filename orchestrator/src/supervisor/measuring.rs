//! Telemetry on its way through the supervisor: who measures what, reports in, figures for operators out.

use std::time::Duration;

use actix::prelude::*;
use weir_shared::ids::WorkerId;
use weir_shared::telemetry::Report;

use super::actor::Supervisor;
use crate::clock::now;
use crate::gateway::messages::{GetLinks, MeasureLinks};

/// How often the gateway's links are read and figures are published: the workers' own period by default.
pub(super) const MEASURE: Duration = Duration::from_millis(250);

impl Supervisor {
    /// A worker's readings have come.
    pub(super) fn reported(&mut self, worker: &WorkerId, report: Report) {
        if let Err(absurdity) = self.cluster.reported(now(), worker, report) {
            self.parts.metrics.telemetry_rejected(absurdity);
            // Each is counted; a worker that sends nothing else would fill the log, so only the first is told.
            if self.rejected.insert(worker.clone()) {
                tracing::warn!(%worker, reason = absurdity.name(), "report rejected: it cannot be true");
            } else {
                tracing::debug!(%worker, reason = absurdity.name(), "report rejected");
            }
        } else {
            self.rejected.remove(worker);
        }
    }

    /// Tells everybody what to measure if that has changed, reads the gateway's links, and publishes what is believed.
    pub(super) fn measure(&mut self, context: &mut Context<Self>) {
        let wanted = self.cluster.measurements(&self.parts.links, &self.parts.gateway_name);
        if wanted != self.measurements {
            for (worker, directive) in &wanted.workers {
                let told = self.measurements.workers.iter().find(|(known, _)| known == worker);
                if told.is_none_or(|(_, known)| known != directive) {
                    self.tell(worker, directive.clone());
                }
            }
            self.parts.gateway.do_send(MeasureLinks(wanted.gateway.clone()));
            self.measurements = wanted;
        }
        let links = self.parts.gateway.send(GetLinks).into_actor(self);
        context.spawn(links.map(|links, supervisor, _| {
            let now = now();
            // A gateway that is gone ends the process.
            let links = links.unwrap_or_default();
            supervisor.cluster.gateway_reported(now, &links);
            let (network, gateway) = (supervisor.parts.network, &supervisor.parts.gateway_name);
            supervisor.parts.metrics.gateway_links(gateway, &links);
            supervisor.parts.metrics.cluster(now, &supervisor.cluster, &network.network(), gateway);
        }));
    }

    /// A worker in a new session has forgotten what it was told.
    pub(super) fn forget_measurements(&mut self, worker: &WorkerId) {
        self.measurements.workers.retain(|(known, _)| known != worker);
    }
}
