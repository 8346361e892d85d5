//! Joins what the admin API says with what the emulator knows, into the rows of the live table and the report.
//!
//! Workers count from their start; what is shown is the difference to a [`Reading`] taken when the stream began.

use std::time::{Duration, Instant};

use super::emulator::LinkCounters;
use super::report::{EmulatedReport, LinkReport, StageReport};
use super::topology::LinkPlan;
use crate::admin::views::{LinkDocument, LinksDocument, PlanDocument, WorkerDocument, WorkersDocument};
use crate::client::{AdminClient, AdminError};

/// The cluster at one moment, as the admin API tells it.
#[derive(Debug, Clone)]
pub struct Reading {
    /// When.
    pub at: Instant,
    /// The committed plan, or why there is none.
    pub plan: Result<PlanDocument, String>,
    /// All workers.
    pub workers: WorkersDocument,
    /// All links.
    pub links: LinksDocument,
}

/// What both ends of a stretch of time come to.
#[derive(Debug, Clone, Default)]
pub struct Observed {
    /// In the order of computation.
    pub stages: Vec<StageReport>,
    /// Those of the plan first, in its order.
    pub links: Vec<LinkReport>,
}

impl Reading {
    /// Asks for it.
    ///
    /// # Errors
    /// If the admin API does not answer.
    pub async fn take(admin: &AdminClient) -> Result<Self, AdminError> {
        let (plan, workers, links) = tokio::try_join!(admin.plan(), admin.workers(), admin.links())?;
        Ok(Self { at: Instant::now(), plan, workers, links })
    }

    fn worker(&self, name: &str) -> Option<&WorkerDocument> {
        self.workers.workers.iter().find(|worker| worker.name == name)
    }

    fn link(&self, from: &str, to: &str) -> Option<&LinkDocument> {
        self.links.links.iter().find(|link| (link.from.as_str(), link.to.as_str()) == (from, to))
    }
}

/// What happened from `before` to `after` on the emulated links.
pub fn observe<'a>(
    before: &Reading,
    after: &Reading,
    emulated: impl Iterator<Item = (&'a LinkPlan, LinkCounters)>,
) -> Observed {
    let Ok(plan) = &after.plan else {
        return Observed::default();
    };
    let time = after.at.duration_since(before.at);
    let stages = plan.stages.iter().map(|stage| {
        let name = &stage.worker;
        let measured =
            after.worker(name).map(|now| of_worker(before.worker(name), now, time)).unwrap_or_default();
        StageReport {
            index: stage.index,
            worker: name.clone(),
            layers: format!("{}..{}", stage.first, stage.last),
            macs: stage.macs,
            ..measured
        }
    });
    let mut links: Vec<_> = emulated
        .map(|(link, counters)| {
            let place = plan.routes.iter().position(|route| route.from == link.from && route.to == link.to);
            let now = after.link(&link.from, &link.to);
            (place, of_link(link, counters, before.link(&link.from, &link.to), now))
        })
        .map(|(place, link)| (place.unwrap_or(usize::MAX), LinkReport { in_plan: place.is_some(), ..link }))
        .collect();
    links.sort_by_key(|(place, _)| *place);
    Observed { stages: stages.collect(), links: links.into_iter().map(|(_, link)| link).collect() }
}

fn of_worker(before: Option<&WorkerDocument>, now: &WorkerDocument, time: Duration) -> StageReport {
    // A worker that has started anew counts from 0 again.
    let before = before.filter(|before| before.executions <= now.executions);
    let executions = now.executions - before.map_or(0, |before| before.executions);
    let compute_seconds =
        (now.compute_seconds - before.map_or(0.0, |before| before.compute_seconds)).max(0.0);
    StageReport {
        weight_bytes: now.weight_bytes,
        resident_bytes: now.resident_bytes,
        executions,
        compute_ms: 1e3 * compute_seconds / executions.max(1) as f64,
        busy: compute_seconds / time.as_secs_f64().max(1e-9),
        queue_length: now.queue_length,
        ..StageReport::default()
    }
}

fn of_link(
    link: &LinkPlan,
    counters: LinkCounters,
    before: Option<&LinkDocument>,
    now: Option<&LinkDocument>,
) -> LinkReport {
    let conditions = link.conditions;
    let both = [counters.forward, counters.reverse];
    let rose = |count: fn(&LinkDocument) -> u64| {
        let (now, before) = (now.map_or(0, count), before.map_or(0, count));
        now.checked_sub(before).unwrap_or(now)
    };
    LinkReport {
        from: link.from.clone(),
        to: link.to.clone(),
        in_plan: false,
        emulated: EmulatedReport {
            name: link.name.clone(),
            rate_bits_per_second: conditions.rate.map(|rate| rate.per_second()),
            delay_ms: conditions.delay.as_secs_f64() * 1e3,
            jitter_ms: conditions.jitter.as_secs_f64() * 1e3,
            loss: conditions.loss.fraction(),
            packets_passed: both.iter().map(|way| way.packets).sum(),
            packets_dropped: both.iter().map(|way| way.lost + way.overflowed + way.cut).sum(),
        },
        rtt_ms: now.filter(|link| link.up).and_then(|link| link.rtt_seconds).map(|rtt| rtt * 1e3),
        activations: rose(|link| link.activations),
        sent_bytes: rose(|link| link.sent_bytes),
        packets_sent: rose(|link| link.packets_sent),
        packets_lost: rose(|link| link.packets_lost),
    }
}
