//! Looks at the cluster through its admin API while requests run, and keeps what it sees.
//!
//! Counters of processes begin anew when a process does; here they go on, so that a worker's death loses no work
//! that was done. Plans are asked for often and whenever an answer names one that is not known, so that even a
//! plan of a moment is known when its answers are judged.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::sync::{Notify, mpsc};
use tokio::time::{MissedTickBehavior, interval};

use super::decisions::told;
use super::recording::{DecisionRecord, PlanRecord, Sample, WorkerSample, plan_id};
use crate::admin::views::{LinksDocument, PlanDocument, WorkersDocument};
use crate::client::AdminClient;

/// How often plans and events are asked for: well below the time that a switch may take.
const PLAN_PERIOD: Duration = Duration::from_millis(50);

/// How often counters are taken; workers report four times a second.
const SAMPLE_PERIOD: Duration = Duration::from_millis(250);

/// What the watcher saw.
#[derive(Debug, Clone, PartialEq)]
pub enum Seen {
    /// A plan that was not known.
    Plan(Box<PlanRecord>),
    /// An event of the supervisor.
    Decision(DecisionRecord),
    /// Counters.
    Sample(Box<Sample>),
}

/// Watches until it is dropped. `hurry` asks for the plan at once.
pub async fn watch(admin: AdminClient, start: Instant, hurry: Arc<Notify>, seen: mpsc::Sender<Seen>) {
    let mut watcher =
        Watcher { start, known: Vec::new(), plan: None, events: BTreeMap::new(), totals: Totals::default() };
    let (mut plans, mut samples) = (interval(PLAN_PERIOD), interval(SAMPLE_PERIOD));
    plans.set_missed_tick_behavior(MissedTickBehavior::Delay);
    samples.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let found = tokio::select! {
            _ = samples.tick() => watcher.sample(&admin).await.into_iter().collect(),
            _ = plans.tick() => watcher.news(&admin).await,
            () = hurry.notified() => watcher.news(&admin).await,
        };
        for one in found {
            if seen.send(one).await.is_err() {
                return;
            }
        }
    }
}

#[derive(Debug)]
struct Watcher {
    start: Instant,
    known: Vec<String>,
    plan: Option<PlanDocument>,
    events: BTreeMap<u64, Value>,
    totals: Totals,
}

impl Watcher {
    fn now(&self) -> f64 {
        self.start.elapsed().as_secs_f64()
    }

    /// What is not answered now is answered next time.
    async fn news(&mut self, admin: &AdminClient) -> Vec<Seen> {
        // Events first: what a plan was chosen for is then known when the plan is told.
        let mut seen = self.events(admin).await;
        if let Ok(plan) = admin.plan().await {
            self.plan = plan.ok();
            let id = self.plan.as_ref().map(plan_id).filter(|id| !self.known.contains(id));
            if let (Some(id), Some(plan)) = (id, self.plan.clone()) {
                self.known.push(id.clone());
                seen.push(Seen::Plan(Box::new(PlanRecord {
                    at_seconds: self.now(),
                    id,
                    plan,
                    accuracy_of_all: None,
                })));
            }
        }
        seen
    }

    async fn events(&mut self, admin: &AdminClient) -> Vec<Seen> {
        let Ok(answer) = admin.get::<Value>("/api/v1/plans?limit=500").await else { return Vec::new() };
        let list = answer.get("plans").and_then(Value::as_array);
        let mut seen = Vec::new();
        // The newest comes first; they are told in the order in which they were made.
        for event in list.into_iter().flatten().rev() {
            // Events without a number cannot be told apart from those that were seen.
            let Some(number) = told(event).number else { continue };
            // More is said of an event as it goes on: committed, tried, kept.
            if self.events.get(&number) != Some(event) {
                self.events.insert(number, event.clone());
                seen.push(Seen::Decision(DecisionRecord { at_seconds: self.now(), event: event.clone() }));
            }
        }
        seen
    }

    async fn sample(&mut self, admin: &AdminClient) -> Option<Seen> {
        let (workers, links) = tokio::try_join!(admin.workers(), admin.links()).ok()?;
        let mut sample = self.totals.take(&workers, &links);
        sample.at_seconds = self.now();
        sample.plan = self.plan.as_ref().map(plan_id);
        sample.admitting = self.plan.as_ref().is_some_and(|plan| plan.admitting);
        Some(Seen::Sample(Box::new(sample)))
    }
}

/// Counters that go on when a process begins anew.
#[derive(Debug, Default)]
pub struct Totals {
    workers: BTreeMap<String, (WorkerSample, WorkerSample)>,
    links: BTreeMap<String, (u64, u64)>,
}

impl Totals {
    /// Folds readings in. Pure.
    pub fn take(&mut self, workers: &WorkersDocument, links: &LinksDocument) -> Sample {
        let mut sample = Sample::default();
        for worker in &workers.workers {
            let now = WorkerSample {
                connected: worker.state == "connected",
                compute_seconds: worker.compute_seconds,
                executions: worker.executions,
                energy_joules: None,
            };
            let (last, total) = self.workers.entry(worker.name.clone()).or_default();
            let anew = now.executions < last.executions;
            total.connected = now.connected;
            total.executions += now.executions - if anew { 0 } else { last.executions };
            total.compute_seconds +=
                (now.compute_seconds - if anew { 0.0 } else { last.compute_seconds }).max(0.0);
            *last = now;
            sample.workers.insert(worker.name.clone(), total.clone());
        }
        for link in &links.links {
            let key = format!("{}>{}", link.from, link.to);
            let (last, total) = self.links.entry(key.clone()).or_default();
            *total += if link.sent_bytes < *last { link.sent_bytes } else { link.sent_bytes - *last };
            *last = link.sent_bytes;
            if let Some(rtt) = link.rtt_seconds.filter(|_| link.up) {
                sample.rtt_ms.insert(key, rtt * 1e3);
            }
        }
        // Links that are no longer there keep what they sent; a process goes on counting for a link that comes back.
        for (key, (_, total)) in &self.links {
            sample.sent_bytes.insert(key.clone(), *total);
        }
        sample
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn readings(executions: u64, sent_bytes: u64) -> (WorkersDocument, LinksDocument) {
        let worker = format!(
            r#"{{"workers":[{{"name":"camera","state":"connected","address":"127.0.0.1:1","threads":1,"release":"0",
            "left_out":null,"stage":0,"executions":{executions},"compute_seconds":{},"queue_length":0,"weight_bytes":0,
            "resident_bytes":0,"report_age_seconds":null}}]}}"#,
            executions as f64 * 0.5
        );
        let link = format!(
            r#"{{"links":[{{"from":"camera","to":"router","up":true,"rtt_seconds":0.002,"activations":1,
            "sent_bytes":{sent_bytes},"packets_sent":1,"packets_lost":0}}]}}"#
        );
        (serde_json::from_str(&worker).unwrap(), serde_json::from_str(&link).unwrap())
    }

    #[test]
    fn counts_go_on_when_a_worker_begins_anew() {
        let mut totals = Totals::default();
        let mut last = Sample::default();
        for (executions, bytes) in [(4, 100), (10, 250), (0, 0), (2, 40)] {
            let (workers, links) = readings(executions, bytes);
            last = totals.take(&workers, &links);
        }
        assert_eq!((last.workers["camera"].executions, last.sent_bytes["camera>router"]), (12, 290));
        assert!((last.workers["camera"].compute_seconds - 6.0).abs() < 1e-9);
        let (workers, _) = readings(2, 0);
        let gone = totals.take(&workers, &LinksDocument { links: Vec::new() });
        assert_eq!(gone.sent_bytes["camera>router"], 290);
        let (workers, links) = readings(2, 300);
        assert_eq!(totals.take(&workers, &links).sent_bytes["camera>router"], 550);
    }
}
