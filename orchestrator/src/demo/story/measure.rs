//! Figures of a run, from its recording and the stated power model. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::recording::{RequestRecord, RunRecording, Sample, Verdict};
use crate::admin::views::PlanDocument;
use crate::client::latency::LatencyMs;
use crate::demo::scenario::{Power, RunKind, Scenario};
use crate::demo::topology::GATEWAY;

/// Seconds of the timeline that become one point.
pub const BUCKET_SECONDS: f64 = 1.0;

/// Accuracy is a share of few images in one second, so it is taken over this many.
const ACCURACY_SECONDS: f64 = 5.0;

/// What figures need beside the recording.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Basis {
    /// What each worker draws.
    pub power: BTreeMap<String, Power>,
    /// Multiply-accumulate operations of the whole network.
    pub network_macs: u64,
    /// Whether the whole network is right about each image.
    pub full_correct: Vec<bool>,
    /// What a request was allowed, milliseconds.
    pub deadline_ms: f64,
}

/// A run in numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// How plans were made.
    pub kind: RunKind,
    /// Requests sent.
    pub sent: usize,
    /// With logits.
    pub answered: usize,
    /// Without.
    pub failed: usize,
    /// Answers that equal the unsplit network's, bit for bit.
    pub equal: usize,
    /// Answers that do not.
    pub different: usize,
    /// Answers of a plan that nobody saw.
    pub unchecked: usize,
    /// Answers that took more than one attempt.
    pub retried: usize,
    /// Answers marked as degraded.
    pub degraded: usize,
    /// Of answers, from when they were due.
    pub latency_ms: LatencyMs,
    /// Mean over all requests; one that failed counts as its whole deadline, or longer if it took longer.
    pub mean_with_failures_ms: f64,
    /// Answers per second.
    pub throughput_per_second: f64,
    /// Share of answers with the right class.
    pub accuracy: f64,
    /// The same share for the whole network on the same images.
    pub full_accuracy: f64,
    /// Points of accuracy lost, each answer counting as its plan does on all images of the scenario: these are several times
    /// the answers of one plan. None where a plan was not judged.
    pub lost_points_of_all: Option<f64>,
    /// Bytes of activations between workers.
    pub shared_bytes: u64,
    /// The same for one answer.
    pub shared_bytes_per_inference: f64,
    /// Energy above idling, joules, by the stated model.
    pub active_joules: f64,
    /// The same for one answer.
    pub joules_per_inference: f64,
    /// Plans that answered.
    pub plans: usize,
}

/// One second of a run.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Bucket {
    /// Its beginning.
    pub at_seconds: f64,
    /// Requests due.
    pub offered_per_second: f64,
    /// Answers that came.
    pub answered_per_second: f64,
    /// Requests due in it that failed.
    pub failed: usize,
    /// Median latency of the requests due in it; absent where none was answered.
    pub latency_p50_ms: Option<f64>,
    /// The slowest of them.
    pub latency_max_ms: Option<f64>,
    /// Share of right answers over the last [`ACCURACY_SECONDS`].
    pub accuracy: Option<f64>,
    /// Bytes between workers for one answer.
    pub shared_bytes_per_inference: Option<f64>,
    /// Energy above idling for one answer, joules.
    pub joules_per_inference: Option<f64>,
}

/// A stretch of time on one plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stretch {
    /// From.
    pub from_seconds: f64,
    /// To.
    pub to_seconds: f64,
    /// The plan.
    pub plan: String,
    /// Each stage in order: worker and share of the network's operations.
    pub stages: Vec<(String, f64)>,
    /// Share of the network's operations that is computed.
    pub macs_kept: f64,
    /// Connections that are off.
    pub off: String,
    /// Encodings between workers, other than f32.
    pub encodings: BTreeSet<String>,
}

impl Basis {
    /// Of a scenario, and whether the whole network is right about each image.
    pub fn new(scenario: &Scenario, full_correct: Vec<bool>) -> Self {
        let network = scenario.arch.network();
        Self {
            power: scenario.workers.iter().map(|worker| (worker.name.clone(), worker.power)).collect(),
            network_macs: network.layers().iter().map(|layer| layer.macs).sum(),
            full_correct,
            deadline_ms: scenario.load.deadline.as_secs_f64() * 1e3,
        }
    }
}

/// The figures of a run.
pub fn figures(run: &RunRecording, basis: &Basis) -> Figures {
    let answers: Vec<_> = run.answers().collect();
    let count = |wanted: Verdict| answers.iter().filter(|(_, answer)| answer.verdict == wanted).count();
    let latencies: Vec<_> =
        answers.iter().map(|(request, _)| Duration::from_secs_f64(request.latency_ms / 1e3)).collect();
    let answered = answers.len();
    let each = |total: f64| total / answered.max(1) as f64;
    // What was counted before the first request, warming up, is not the run's.
    let counted = |count: &dyn Fn(&Sample) -> f64| {
        let ends = run.samples.first().zip(run.samples.last());
        ends.map_or(0.0, |(first, last)| (count(last) - count(first)).max(0.0))
    };
    let bytes = counted(&shared_bytes);
    let joules = counted(&|sample| active_joules(sample, basis));
    let felt = |request: &RequestRecord| match request.answer() {
        Some(_) => request.latency_ms,
        None => request.latency_ms.max(basis.deadline_ms),
    };
    let felt_ms: f64 = run.requests.iter().map(felt).sum();
    let right = |found: usize| found as f64 / answered.max(1) as f64;
    Figures {
        kind: run.kind,
        sent: run.requests.len(),
        answered,
        failed: run.requests.len() - answered,
        equal: count(Verdict::Equal),
        different: count(Verdict::Different),
        unchecked: count(Verdict::Unchecked),
        retried: answers.iter().filter(|(_, answer)| answer.attempts > 1).count(),
        degraded: answers.iter().filter(|(_, answer)| answer.degraded).count(),
        latency_ms: LatencyMs::of(&latencies),
        mean_with_failures_ms: felt_ms / run.requests.len().max(1) as f64,
        throughput_per_second: answered as f64 / run.duration_seconds.max(1e-9),
        accuracy: right(answers.iter().filter(|(_, answer)| answer.correct).count()),
        full_accuracy: right(
            answers
                .iter()
                .filter(|(request, _)| basis.full_correct.get(request.image) == Some(&true))
                .count(),
        ),
        lost_points_of_all: lost_points_of_all(run, basis),
        shared_bytes: bytes as u64,
        shared_bytes_per_inference: each(bytes),
        active_joules: joules,
        joules_per_inference: each(joules),
        plans: answers.iter().map(|(_, answer)| answer.plan.as_str()).collect::<BTreeSet<_>>().len(),
    }
}

fn lost_points_of_all(run: &RunRecording, basis: &Basis) -> Option<f64> {
    let of_plan = |id: &str| run.plans.iter().find(|plan| plan.id == id)?.accuracy_of_all;
    let each: Vec<f64> = run.answers().map(|(_, answer)| of_plan(&answer.plan)).collect::<Option<_>>()?;
    let share = |right: f64, of: usize| (of > 0).then(|| right / of as f64);
    let right = basis.full_correct.iter().filter(|right| **right).count();
    let full = share(right as f64, basis.full_correct.len())?;
    Some(100.0 * (full - share(each.iter().sum(), each.len())?))
}

/// Bytes of activations between workers; images and logits are the same for every plan.
pub fn shared_bytes(sample: &Sample) -> f64 {
    let between = sample.sent_bytes.iter().filter(|(link, _)| link.split('>').all(|end| end != GATEWAY));
    between.map(|(_, bytes)| *bytes as f64).sum()
}

/// Energy above idling of all workers: computing, and every byte at both of its ends.
pub fn active_joules(sample: &Sample, basis: &Basis) -> f64 {
    let of_worker = |(name, power): (&String, &Power)| {
        let seconds = sample.workers.get(name).map_or(0.0, |worker| worker.compute_seconds);
        let at_end = |link: &str| link.split('>').any(|end| end == name);
        let bytes: u64 =
            sample.sent_bytes.iter().filter(|(link, _)| at_end(link)).map(|(_, bytes)| bytes).sum();
        power.active_joules(seconds, bytes)
    };
    basis.power.iter().map(of_worker).sum()
}

/// The timeline of a run.
pub fn buckets(run: &RunRecording, basis: &Basis) -> Vec<Bucket> {
    let count = (run.duration_seconds / BUCKET_SECONDS).ceil() as usize;
    let bytes: Vec<_> = run.samples.iter().map(|sample| (sample.at_seconds, shared_bytes(sample))).collect();
    let joules: Vec<_> =
        run.samples.iter().map(|sample| (sample.at_seconds, active_joules(sample, basis))).collect();
    let bucket = |index: usize| {
        let from = index as f64 * BUCKET_SECONDS;
        let to = from + BUCKET_SECONDS;
        let due: Vec<_> =
            run.requests.iter().filter(|request| (from..to).contains(&request.at_seconds)).collect();
        let latencies: Vec<_> = due
            .iter()
            .filter(|request| request.answer().is_some())
            .map(|request| Duration::from_secs_f64(request.latency_ms / 1e3))
            .collect();
        let latency = (!latencies.is_empty()).then(|| LatencyMs::of(&latencies));
        let came = run.answers().filter(|(request, _)| (from..to).contains(&request.done_seconds())).count();
        let recent: Vec<_> = run
            .answers()
            .filter(|(request, _)| (to - ACCURACY_SECONDS..to).contains(&request.at_seconds))
            .collect();
        let right = recent.iter().filter(|(_, answer)| answer.correct).count();
        let each = |points: &[(f64, f64)]| {
            let rose = at(points, to)? - at(points, from)?;
            (came > 0).then(|| rose / came as f64)
        };
        Bucket {
            at_seconds: from,
            offered_per_second: due.len() as f64 / BUCKET_SECONDS,
            answered_per_second: came as f64 / BUCKET_SECONDS,
            failed: due.len() - latencies.len(),
            latency_p50_ms: latency.map(|latency| latency.p50),
            latency_max_ms: latency.map(|latency| latency.max),
            accuracy: (!recent.is_empty()).then(|| right as f64 / recent.len() as f64),
            shared_bytes_per_inference: each(&bytes),
            joules_per_inference: each(&joules),
        }
    };
    (0..count).map(bucket).collect()
}

/// A count that grows, at a time between two samples.
fn at(points: &[(f64, f64)], time: f64) -> Option<f64> {
    let after = points.partition_point(|(at, _)| *at < time);
    match (after.checked_sub(1).and_then(|before| points.get(before)), points.get(after)) {
        (Some((t0, v0)), Some((t1, v1))) => Some(v0 + (v1 - v0) * (time - t0) / (t1 - t0).max(1e-9)),
        (None, Some((_, value))) | (Some((_, value)), None) => Some(*value),
        (None, None) => None,
    }
}

/// The plans of a run as they followed one another.
pub fn stretches(run: &RunRecording, basis: &Basis) -> Vec<Stretch> {
    let ends = run.plans.iter().skip(1).map(|next| next.at_seconds).chain([run.duration_seconds]);
    let stretch = |(record, end): (&super::recording::PlanRecord, f64)| {
        let share = |macs: u64| macs as f64 / basis.network_macs.max(1) as f64;
        let plan = &record.plan;
        Stretch {
            from_seconds: record.at_seconds.max(0.0),
            to_seconds: end.max(0.0),
            plan: record.id.clone(),
            stages: plan.stages.iter().map(|stage| (stage.worker.clone(), share(stage.macs))).collect(),
            macs_kept: share(plan.stages.iter().map(|stage| stage.macs).sum()),
            off: plan.active_off.clone(),
            encodings: encodings(plan),
        }
    };
    run.plans
        .iter()
        .zip(ends)
        .map(stretch)
        .filter(|stretch| stretch.to_seconds > stretch.from_seconds)
        .collect()
}

/// Encodings of a plan other than f32.
pub fn encodings(plan: &PlanDocument) -> BTreeSet<String> {
    let rounded = plan.routes.iter().filter(|route| route.encoding != weir_shared::plan::Encoding::F32);
    rounded.map(|route| format!("{:?}", route.encoding).to_lowercase()).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::recording::{AnswerRecord, Outcome, RequestRecord, WorkerSample};
    use super::*;

    /// Ten seconds at 10 requests/s: 20 ms each, the second half on another plan at 40 ms; the last one failed.
    pub(in crate::demo::story) fn example() -> (RunRecording, Basis) {
        let request = |index: usize| RequestRecord {
            at_seconds: index as f64 / 10.0,
            image: index % 2,
            latency_ms: if index < 50 { 20.0 } else { 40.0 },
            outcome: if index == 99 {
                Outcome::Failed("504".to_owned())
            } else {
                Outcome::Answered(AnswerRecord {
                    plan: if index < 50 { "1.1" } else { "1.2" }.to_owned(),
                    attempts: 1,
                    queue_ms: Some(if index == 50 { 0.4 } else { 0.1 }),
                    degraded: index == 50,
                    expected_accuracy: None,
                    correct: index.is_multiple_of(2),
                    verdict: Verdict::Equal,
                    logits: Vec::new(),
                })
            },
        };
        let sample = |index: u32| Sample {
            at_seconds: f64::from(index) / 4.0,
            plan: None,
            admitting: true,
            workers: [(
                "camera".to_owned(),
                WorkerSample { compute_seconds: f64::from(index) * 0.025, ..WorkerSample::default() },
            )]
            .into(),
            sent_bytes: [
                ("main>camera".to_owned(), u64::from(index) * 1_000),
                ("camera>router".to_owned(), u64::from(index) * 10_000),
            ]
            .into(),
            rtt_ms: BTreeMap::new(),
        };
        let plan = |epoch: u64, worker: &str, off: &str| PlanDocument {
            term: 1,
            epoch,
            hash: String::new(),
            network: "resnet20".to_owned(),
            active_off: off.to_owned(),
            batch_norm: weir_shared::plan::plan::BatchNorm::Folded,
            max_batch: 8,
            admitting: true,
            stages: vec![crate::admin::views::StageDocument {
                index: 0,
                worker: worker.to_owned(),
                layers: crate::admin::views::LayersDocument { start: 0, end: 29 },
                first: "stem".to_owned(),
                last: "head".to_owned(),
                macs: 50,
                weight_bytes: 1,
                bypassed: false,
            }],
            routes: Vec::new(),
        };
        let record = |at_seconds, plan: PlanDocument| super::super::recording::PlanRecord {
            at_seconds,
            id: super::super::recording::plan_id(&plan),
            plan,
            accuracy_of_all: None,
        };
        let step = super::super::recording::StepRecord {
            at_seconds: 4.5,
            unix_ms: 1_000_000,
            kind: "kill".to_owned(),
            worker: Some("camera".to_owned()),
            title: "camera dies".to_owned(),
            detail: "camera is killed".to_owned(),
        };
        let run = RunRecording {
            kind: RunKind::Adaptive,
            duration_seconds: 10.0,
            requests: (0..100).map(request).collect(),
            plans: vec![record(-1.0, plan(1, "camera", "")), record(5.0, plan(2, "router", "F:layer2.1"))],
            steps: vec![step],
            samples: (0..=41).map(sample).collect(),
            decisions: Vec::new(),
            counters: BTreeMap::new(),
            problems: Vec::new(),
        };
        let power = Power { idle_watts: 2.0, max_watts: 6.0, joules_per_byte: 1e-6, budget_watts: None };
        let basis = Basis {
            power: [("camera".to_owned(), power)].into(),
            network_macs: 100,
            full_correct: vec![true, true],
            deadline_ms: 5000.0,
        };
        (run, basis)
    }

    #[test]
    fn a_run_in_numbers() {
        let (run, basis) = example();
        let figures = figures(&run, &basis);
        assert_eq!((figures.sent, figures.answered, figures.failed, figures.plans), (100, 99, 1, 2));
        assert_eq!((figures.equal, figures.degraded, figures.shared_bytes), (99, 1, 410_000));
        assert!((figures.accuracy - 50.0 / 99.0).abs() < 1e-9 && figures.full_accuracy == 1.0);
        // 41 samples of 0.025 s at 4 W, and 451,000 bytes that camera sent or received at 1 uJ each.
        assert!(
            (figures.active_joules - (41.0 * 0.025 * 4.0 + 0.451)).abs() < 1e-9,
            "{}",
            figures.active_joules
        );
    }

    #[test]
    fn a_timeline_has_a_point_for_each_second() {
        let (run, basis) = example();
        let buckets = buckets(&run, &basis);
        assert_eq!(buckets.len(), 10);
        assert_eq!((buckets[0].offered_per_second, buckets[0].latency_p50_ms), (10.0, Some(20.0)));
        assert_eq!((buckets[9].failed, buckets[9].latency_p50_ms), (1, Some(40.0)));
        assert!((buckets[3].shared_bytes_per_inference.unwrap() - 4_000.0).abs() < 1e-6);
    }

    #[test]
    fn plans_follow_one_another() {
        let (run, basis) = example();
        let stretches = stretches(&run, &basis);
        assert_eq!(stretches.len(), 2);
        assert_eq!((stretches[0].from_seconds, stretches[0].to_seconds), (0.0, 5.0));
        assert_eq!((stretches[1].to_seconds, stretches[1].macs_kept), (10.0, 0.5));
    }
}
