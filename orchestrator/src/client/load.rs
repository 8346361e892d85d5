//! Sends requests for a while and records how each went.
//!
//! In an open loop requests are due at times that do not depend on the answers, as those of many clients are, and a
//! latency counts from when the request was due, not from when it was sent: a server that stalls is charged for all
//! that had to wait (no coordinated omission). In a closed loop each of some clients sends when its last answer is there.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore as _, SeedableRng as _};
use tokio::sync::{Semaphore, mpsc};

use super::{InferClient, InferError};

/// More connections than this at once run out of file handles on a usual system. What is due beyond them waits, and its
/// waiting counts.
const OUTSTANDING_MAX: usize = 512;

/// When requests are sent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Loop {
    /// At times of their own.
    Open {
        /// Requests each second.
        rate: f64,
        /// How they are spread.
        arrivals: Arrivals,
    },
    /// When an earlier one is answered.
    Closed {
        /// Requests under way at once.
        concurrency: usize,
    },
}

/// How the requests of an open loop are spread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Arrivals {
    /// At random, as from many clients that know nothing of each other.
    Poisson,
    /// At equal distances.
    Even,
}

/// A load to be sent.
#[derive(Debug, Clone)]
pub struct Load {
    /// When.
    pub pattern: Loop,
    /// For how long requests are sent, warming up included.
    pub duration: Duration,
    /// The most requests.
    pub requests: usize,
    /// Requests that were due earlier are sent, but do not count.
    pub warm_up: Duration,
    /// What is sent, in turns; each the numbers of one request.
    pub bodies: Arc<Vec<Vec<f32>>>,
    /// Seeds the times of Poisson arrivals.
    pub seed: u64,
}

/// How one request went.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// When it was due (open loop) or sent (closed loop), from the start.
    pub at: Duration,
    /// From then to the last byte of the answer.
    pub latency: Duration,
    /// What came.
    pub outcome: Result<Answered, String>,
}

/// What matters of an answer here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// The plan.
    pub plan: String,
    /// Sent into the pipeline more than once.
    pub retried: bool,
    /// Without the layers of a lost worker.
    pub degraded: bool,
}

/// Sends the load, and returns how each request went that was due behind the warm-up, with the time that all took. `tell`
/// sees each as it ends.
pub async fn send(
    client: &InferClient,
    load: &Load,
    mut tell: impl FnMut(&Sample),
) -> (Vec<Sample>, Duration) {
    let start = Instant::now();
    let (done, mut ended) = mpsc::channel(OUTSTANDING_MAX);
    let sending = async {
        match load.pattern {
            Loop::Open { rate, arrivals } => open(client, load, rate, arrivals, start, done).await,
            Loop::Closed { concurrency } => closed(client, load, concurrency, start, done).await,
        }
    };
    let mut samples = Vec::new();
    let receiving = async {
        while let Some(sample) = ended.recv().await {
            tell(&sample);
            samples.push(sample);
        }
    };
    futures_util::future::join(sending, receiving).await;
    let took = start.elapsed().saturating_sub(load.warm_up);
    samples.retain(|sample| sample.at >= load.warm_up);
    samples.sort_by_key(|sample| sample.at);
    (samples, took)
}

async fn open(
    client: &InferClient,
    load: &Load,
    rate: f64,
    arrivals: Arrivals,
    start: Instant,
    done: mpsc::Sender<Sample>,
) {
    let places = Semaphore::new(OUTSTANDING_MAX);
    let mut due = Schedule::new(rate, arrivals, load.seed);
    let mut under_way = FuturesUnordered::new();
    for number in 0..load.requests {
        let at = due.next();
        if at >= load.duration {
            break;
        }
        let mut sleep = std::pin::pin!(tokio::time::sleep_until((start + at).into()));
        loop {
            tokio::select! {
                biased;
                () = &mut sleep => break,
                Some(()) = under_way.next() => {}
            }
        }
        let (places, done) = (&places, done.clone());
        under_way.push(async move {
            let _place = places.acquire().await;
            one(client, load, number, at, start, &done).await;
        });
    }
    while under_way.next().await.is_some() {}
}

async fn closed(
    client: &InferClient,
    load: &Load,
    concurrency: usize,
    start: Instant,
    done: mpsc::Sender<Sample>,
) {
    let sent = AtomicUsize::new(0);
    let one_client = || async {
        loop {
            let (number, at) = (sent.fetch_add(1, Ordering::Relaxed), start.elapsed());
            if number >= load.requests || at >= load.duration {
                break;
            }
            one(client, load, number, at, start, &done).await;
        }
    };
    futures_util::future::join_all((0..concurrency).map(|_| one_client())).await;
    drop(done);
}

async fn one(
    client: &InferClient,
    load: &Load,
    number: usize,
    at: Duration,
    start: Instant,
    done: &mpsc::Sender<Sample>,
) {
    let answer = client.infer(&load.bodies[number % load.bodies.len()]).await;
    let latency = start.elapsed().saturating_sub(at);
    let outcome = match answer {
        Ok(answer) => {
            Ok(Answered { plan: answer.plan, retried: answer.attempts > 1, degraded: answer.degraded })
        }
        Err(error) => Err(reason(&error)),
    };
    // Nobody listens only when the run is over.
    let _ = done.send(Sample { at, latency, outcome }).await;
}

/// Without what differs from request to request, so that equal failures count together.
fn reason(error: &InferError) -> String {
    match error {
        InferError::Unreachable(source) if source.is_timeout() => "no answer in time (--timeout)".to_owned(),
        InferError::Unreachable(source) if source.is_connect() => {
            "the gateway takes no connection".to_owned()
        }
        InferError::Unreachable(_) => "the connection broke".to_owned(),
        InferError::Refused { status, reason } => {
            format!("{status}: {}", reason.split([':', '\n']).next().unwrap_or_default())
        }
        other => other.to_string(),
    }
}

/// When the requests of an open loop are due.
#[derive(Debug)]
struct Schedule {
    rate: f64,
    arrivals: Arrivals,
    dice: ChaCha8Rng,
    seconds: f64,
    count: u64,
}

impl Schedule {
    fn new(rate: f64, arrivals: Arrivals, seed: u64) -> Self {
        Self { rate, arrivals, dice: ChaCha8Rng::seed_from_u64(seed), seconds: 0.0, count: 0 }
    }

    fn next(&mut self) -> Duration {
        self.seconds = match self.arrivals {
            Arrivals::Even => self.count as f64 / self.rate,
            // Distances are exponential; the share is above 0, so its logarithm is finite.
            Arrivals::Poisson => {
                let share = ((self.dice.next_u64() >> 11) + 1) as f64 / (1u64 << 53) as f64;
                self.seconds - share.ln() / self.rate
            }
        };
        self.count += 1;
        Duration::from_secs_f64(self.seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrivals_have_their_rate() {
        let mut even = Schedule::new(4.0, Arrivals::Even, 1);
        let times: Vec<_> = (0..3).map(|_| even.next().as_millis()).collect();
        assert_eq!(times, [0, 250, 500]);
        let mut random = Schedule::new(100.0, Arrivals::Poisson, 1);
        let times: Vec<_> = (0..10_000).map(|_| random.next()).collect();
        assert!(times.is_sorted());
        let seconds = times[9_999].as_secs_f64();
        assert!((95.0..105.0).contains(&seconds), "10000 requests at 100/s took {seconds} s");
    }
}
