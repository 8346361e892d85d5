//! Sends requests when they are due, whether or not earlier ones are answered, and records each.
//!
//! An open loop is what shows an overload: a client that waits for answers would slow down with the cluster.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::sleep_until;

use super::recording::{AnswerRecord, Outcome, RequestRecord, Verdict};
use crate::client::{Answer, InferClient};
use crate::demo::oracle::{Oracle, most_likely};
use crate::demo::scenario::arrivals::Arrival;

/// Sends all of `arrivals` from `start` on, and returns when each has its outcome. `tell` sees each in the order of
/// outcomes; the result is in the order of arrivals.
pub async fn generate(
    client: &InferClient,
    oracle: &Arc<Oracle>,
    arrivals: &[Arrival],
    start: Instant,
    mut tell: impl FnMut(&RequestRecord),
) -> Vec<RequestRecord> {
    // As long as the schedule, so that no outcome ever waits to be counted.
    let (done, mut waiting) = mpsc::channel(arrivals.len().max(1));
    // The tasks end when this is dropped, however we leave.
    let mut tasks = JoinSet::new();
    let (client, oracle, schedule) = (client.clone(), oracle.clone(), arrivals.to_vec());
    tasks.spawn(async move {
        let mut requests = JoinSet::new();
        for arrival in schedule {
            sleep_until((start + arrival.at).into()).await;
            requests.spawn(one(client.clone(), oracle.clone(), arrival, start, done.clone()));
            while requests.try_join_next().is_some() {}
        }
        drop(done);
        while requests.join_next().await.is_some() {}
    });
    let mut records = Vec::with_capacity(arrivals.len());
    while let Some(record) = waiting.recv().await {
        tell(&record);
        records.push(record);
    }
    records.sort_by(|a, b| a.at_seconds.total_cmp(&b.at_seconds));
    records
}

async fn one(
    client: InferClient,
    oracle: Arc<Oracle>,
    arrival: Arrival,
    start: Instant,
    done: mpsc::Sender<RequestRecord>,
) {
    let answer = client.infer(oracle.image(arrival.image)).await;
    // From when it was due, not from when it was sent: see RequestRecord.
    let latency = start.elapsed().saturating_sub(arrival.at);
    let outcome = match answer {
        Ok(answer) => Outcome::Answered(record(answer, oracle.label(arrival.image))),
        Err(error) => Outcome::Failed(weir_shared::chain(&error)),
    };
    let record = RequestRecord {
        at_seconds: arrival.at.as_secs_f64(),
        image: arrival.image,
        latency_ms: latency.as_secs_f64() * 1e3,
        outcome,
    };
    // Nobody listens only when the run is over.
    let _ = done.send(record).await;
}

fn record(answer: Answer, label: i64) -> AnswerRecord {
    let Answer { logits, plan, attempts, queue_ms, degraded, expected_accuracy } = answer;
    let correct = !logits.is_empty() && most_likely(&logits) == label;
    AnswerRecord {
        plan,
        attempts,
        queue_ms,
        degraded,
        expected_accuracy,
        correct,
        verdict: Verdict::Unchecked,
        logits,
    }
}
