//! Streams images through the gateway, a fixed number of requests at once, and tallies every answer.
//!
//! Each lane sends its next image when the last one is answered, so the load follows what the cluster can do.
//! Looking at the cluster runs beside the lanes and never holds them up.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use super::observe::Reading;
use super::oracle::Oracle;
use super::tally::{Reply, Tally};
use crate::client::{AdminClient, InferClient};

/// How often the cluster is looked at, and the display told.
const LOOK_PERIOD: Duration = Duration::from_millis(250);

/// A cluster that fails this often has a fault; more of the same would only take time.
const FAILURES_MAX: usize = 20;

/// What the stream came to.
#[derive(Debug)]
pub struct Streamed {
    /// All answers.
    pub tally: Tally,
    /// From the first request to the last answer.
    pub duration: Duration,
    /// Whether it was given up.
    pub ending: Ending,
}

/// How a stream ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// All images were sent.
    Complete,
    /// Too many requests failed.
    GivenUp,
}

/// What is there to see while images stream.
#[derive(Debug)]
pub struct Look<'a> {
    /// How many images there are.
    pub total: usize,
    /// Since the first request.
    pub elapsed: Duration,
    /// Answers so far.
    pub tally: &'a Tally,
    /// The cluster, when it was last looked at.
    pub reading: Option<&'a Reading>,
}

/// Sends all images of `oracle`, `concurrency` at once; `show` is called a few times a second, and must be quick.
pub async fn stream(
    client: &InferClient,
    admin: &AdminClient,
    oracle: Arc<Oracle>,
    concurrency: usize,
    mut show: impl FnMut(&Look<'_>),
) -> Streamed {
    // The tasks end when this is dropped, however we leave.
    let mut tasks = JoinSet::new();
    let (replies, mut waiting) = mpsc::channel(concurrency);
    let next = Arc::new(AtomicUsize::new(0));
    let began = Instant::now();
    for _ in 0..concurrency {
        tasks.spawn(lane(client.clone(), oracle.clone(), next.clone(), replies.clone()));
    }
    // The lanes hold the rest: the queue ends with the last of them.
    drop(replies);
    let (publish, reading) = watch::channel(None);
    tasks.spawn(watch_cluster(admin.clone(), publish));

    let mut tally = Tally::default();
    let mut ending = Ending::Complete;
    let mut tick = interval(LOOK_PERIOD);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut duration = Duration::ZERO;
    loop {
        tokio::select! {
            reply = waiting.recv() => {
                let Some(reply) = reply else { break };
                tally.take(&oracle, reply);
                duration = began.elapsed();
                if tally.failed() >= FAILURES_MAX {
                    ending = Ending::GivenUp;
                    break;
                }
            }
            _ = tick.tick() => {
                let reading = reading.borrow();
                let (total, elapsed) = (oracle.len(), began.elapsed());
                show(&Look { total, elapsed, tally: &tally, reading: reading.as_ref() });
            }
        }
    }
    Streamed { tally, duration, ending }
}

async fn lane(
    client: InferClient,
    oracle: Arc<Oracle>,
    next: Arc<AtomicUsize>,
    replies: mpsc::Sender<Reply>,
) {
    loop {
        let image = next.fetch_add(1, Relaxed);
        if image >= oracle.len() {
            return;
        }
        let began = Instant::now();
        let answer = client.infer(oracle.image(image)).await;
        let latency = began.elapsed();
        let answer = answer.map_err(|error| weir_shared::chain(&error));
        if replies.send(Reply { image, latency, answer }).await.is_err() {
            return;
        }
    }
}

/// A reading that cannot be taken is skipped; requests tell by themselves if the orchestrator is gone.
async fn watch_cluster(admin: AdminClient, publish: watch::Sender<Option<Reading>>) {
    let mut tick = interval(LOOK_PERIOD);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        if let Ok(reading) = Reading::take(&admin).await {
            publish.send_replace(Some(reading));
        }
    }
}
