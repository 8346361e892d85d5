//! Counts answers as they come, and compares each with the unsplit network's.

use std::collections::BTreeSet;
use std::time::Duration;

use super::oracle::{Oracle, most_likely, same_bits};
use super::report::{Accuracy, Equality, Requests};
use crate::client::Answer;
use crate::client::latency::LatencyMs;

/// Images in one request, here and in the oracle.
pub const BATCH_SIZE: usize = 1;

/// Failures and differences that the report shows; the rest is counted.
const SHOWN: usize = 5;

/// What became of one request.
#[derive(Debug)]
pub struct Reply {
    /// Which image.
    pub image: usize,
    /// From sending to the last byte of the answer.
    pub latency: Duration,
    /// The answer, or in words why there is none.
    pub answer: Result<Answer, String>,
}

/// What all requests came to so far.
#[derive(Debug, Default)]
pub struct Tally {
    requests: Requests,
    equality: Equality,
    correct: usize,
    plans: BTreeSet<String>,
    latencies: Vec<Duration>,
}

impl Tally {
    /// Folds a reply in.
    pub fn take(&mut self, oracle: &Oracle, reply: Reply) {
        let Reply { image, latency, answer } = reply;
        self.requests.sent += 1;
        let answer = match answer {
            Ok(answer) => answer,
            Err(reason) => {
                self.requests.failed += 1;
                if self.requests.failures.len() < SHOWN {
                    self.requests.failures.push(format!("image {image}: {reason}"));
                }
                return;
            }
        };
        self.requests.ok += 1;
        self.requests.retried += usize::from(answer.attempts > 1);
        self.latencies.push(latency);
        self.plans.insert(answer.plan);
        self.equality.compared += 1;
        if same_bits(&answer.logits, oracle.logits(image)) {
            self.equality.equal += 1;
        } else {
            self.equality.different += 1;
            if self.equality.different_images.len() < SHOWN {
                self.equality.different_images.push(image);
            }
        }
        self.correct +=
            usize::from(!answer.logits.is_empty() && most_likely(&answer.logits) == oracle.label(image));
    }

    /// Requests that have an outcome.
    pub fn sent(&self) -> usize {
        self.requests.sent
    }

    /// Requests that were answered.
    pub fn ok(&self) -> usize {
        self.requests.ok
    }

    /// Requests that failed.
    pub fn failed(&self) -> usize {
        self.requests.failed
    }

    /// Answers that differ.
    pub fn different(&self) -> usize {
        self.equality.different
    }

    /// Latencies of all answers.
    pub fn latency_ms(&self) -> LatencyMs {
        LatencyMs::of(&self.latencies)
    }

    /// For the report.
    pub fn requests(&self) -> Requests {
        Requests { plans: self.plans.iter().cloned().collect(), ..self.requests.clone() }
    }

    /// For the report.
    pub fn equality(&self) -> Equality {
        Equality { batch_size: BATCH_SIZE, ..self.equality.clone() }
    }

    /// For the report.
    pub fn accuracy(&self, oracle: &Oracle) -> Accuracy {
        let ratio = |correct: usize, count: usize| correct as f64 / count.max(1) as f64;
        Accuracy {
            correct: self.correct,
            count: self.requests.ok,
            accuracy: ratio(self.correct, self.requests.ok),
            unsplit_accuracy: ratio(oracle.correct(), oracle.len()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::oracle::tests::example;
    use super::*;

    fn reply(image: usize, logits: &[f32], attempts: u8) -> Reply {
        let plan = format!("1.{attempts}");
        let logits = logits.to_vec();
        let answer =
            Answer { logits, plan, attempts, queue_ms: None, degraded: false, expected_accuracy: None };
        Reply { image, latency: Duration::from_millis(10), answer: Ok(answer) }
    }

    #[test]
    fn every_request_is_counted_once() {
        let (oracle, mut tally) = (example(), Tally::default());
        tally.take(&oracle, reply(0, &[9.0, 0.0, 1.0], 1));
        tally.take(&oracle, reply(1, &[9.0, 0.0, 1.000_000_1], 2));
        let failed = Err("the gateway answered 504".to_owned());
        tally.take(&oracle, Reply { image: 0, latency: Duration::ZERO, answer: failed });
        let requests = tally.requests();
        assert_eq!((requests.sent, requests.ok, requests.failed, requests.retried), (3, 2, 1, 1));
        assert_eq!(requests.plans, ["1.1", "1.2"]);
        assert_eq!(requests.failures, ["image 0: the gateway answered 504"]);
        let equality = tally.equality();
        assert_eq!((equality.compared, equality.equal, equality.different), (2, 1, 1));
        assert_eq!((equality.different_images, equality.batch_size), (vec![1], 1));
        let accuracy = tally.accuracy(&oracle);
        assert_eq!((accuracy.correct, accuracy.count, accuracy.unsplit_accuracy), (1, 2, 0.5));
    }

    #[test]
    fn an_answer_without_logits_differs() {
        let (oracle, mut tally) = (example(), Tally::default());
        tally.take(&oracle, reply(0, &[], 1));
        assert_eq!((tally.different(), tally.accuracy(&oracle).correct), (1, 0));
    }
}
