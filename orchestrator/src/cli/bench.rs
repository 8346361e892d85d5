//! `weir bench`: how much does a cluster answer, and how fast?

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::builder::RangedU64ValueParser;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore as _, SeedableRng as _};
use serde::Serialize;

use super::admin::{Form, print};
use super::gateway::{GatewayArgs, seconds};
use crate::client::latency::LatencyMs;
use crate::client::load::{Arrivals, Load, Loop, Sample, send};
use crate::client::{Model, photograph};
use crate::terminal::progress;
use crate::terminal::table::milliseconds;

/// A run keeps every sample; these are about a gigabyte.
const REQUESTS_MAX: u64 = 10_000_000;

/// Drawn images; more than one, so that equal inputs are not answered from some memory on the way.
const DRAWN: usize = 16;

/// Arguments of `bench`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  weir bench                                        what four clients get through in ten seconds
  weir bench --rate 50 --duration 60                50 requests a second, at random, for a minute
  weir bench --rate 50 --arrivals even --batch 4
  weir bench --concurrency 16 --output json | jq .latency_ms.p99
  weir bench --rate 20 photos/*.jpg

With --rate the loop is open: requests are due at times of their own, whether or not earlier ones are answered, and a \
latency counts from when the request was due. A stall of the cluster is charged to all requests that had to wait in it. \
Without --rate the loop is closed: each of --concurrency clients sends its next request when it has its answer, which \
shows the greatest throughput and hides stalls. Latencies are those of answered requests.

Exit status: 0 every request was answered; 1 one was not, or none was sent; 2 wrong arguments.")]
pub(super) struct Args {
    /// PNG or JPEG files to send in turns; without any, drawn noise.
    #[arg(value_name = "IMAGE")]
    images: Vec<PathBuf>,
    #[command(flatten)]
    gateway: GatewayArgs,
    /// Requests each second (an open loop).
    #[arg(long, value_name = "PER_SECOND", value_parser = rate, conflicts_with = "concurrency")]
    rate: Option<f64>,
    /// How the requests of an open loop are spread.
    #[arg(long, value_enum, default_value_t = Arrivals::Poisson, requires = "rate")]
    arrivals: Arrivals,
    /// Clients that each wait for their answers (a closed loop).
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = RangedU64ValueParser::<usize>::new().range(1..=512))]
    concurrency: usize,
    /// Seconds for which requests are sent and counted.
    #[arg(long, value_name = "SECONDS", default_value_t = 10.0, value_parser = seconds)]
    duration: f64,
    /// Seconds before that, in which requests are sent but not counted.
    #[arg(long, value_name = "SECONDS", default_value_t = 1.0, value_parser = warm_up)]
    warm_up: f64,
    /// Stop after so many requests, if that is sooner.
    #[arg(long, value_name = "N", default_value_t = REQUESTS_MAX, value_parser = clap::value_parser!(u64).range(1..=REQUESTS_MAX))]
    requests: u64,
    /// Images in one request; not more than the gateway's largest batch.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = RangedU64ValueParser::<usize>::new().range(1..))]
    batch: usize,
    /// Seeds drawn images and times.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    form: Form,
}

fn rate(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number: &f64| *number > 0.0 && *number <= 1e5);
    number.ok_or_else(|| format!("{text:?} is no number above 0 and up to 100000"))
}

fn warm_up(text: &str) -> Result<f64, String> {
    if text.parse() == Ok(0.0) { Ok(0.0) } else { seconds(text) }
}

/// What is printed. Counts are of requests that were due behind the warm-up.
#[derive(Debug, Serialize)]
struct Report {
    model: String,
    /// `open` or `closed`.
    r#loop: &'static str,
    rate_per_second: Option<f64>,
    concurrency: Option<usize>,
    batch: usize,
    seconds: f64,
    sent: usize,
    answered: usize,
    answered_per_second: f64,
    images_per_second: f64,
    retried: usize,
    degraded: usize,
    /// Why requests were not answered, and how many each time.
    failures: BTreeMap<String, usize>,
    /// Answers of each plan.
    plans: BTreeMap<String, usize>,
    latency_ms: LatencyMs,
}

/// Sends and prints.
///
/// # Errors
/// If the gateway does not answer at all, or an image cannot be used.
pub(super) async fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let (model, client) = args.gateway.connect().await?;
    anyhow::ensure!(
        args.batch <= model.max_batch,
        "--batch is {}, but the gateway takes at most {} images in a request",
        args.batch,
        model.max_batch
    );
    let pattern = match args.rate {
        Some(rate) => Loop::Open { rate, arrivals: args.arrivals },
        None => Loop::Closed { concurrency: args.concurrency },
    };
    let load = Load {
        pattern,
        duration: Duration::from_secs_f64(args.warm_up + args.duration),
        requests: usize::try_from(args.requests)?,
        warm_up: Duration::from_secs_f64(args.warm_up),
        bodies: Arc::new(bodies(args, &model)?),
        seed: args.seed,
    };
    let bar = progress::bar(load.duration.as_secs().max(1), "s");
    let (mut ok, mut failed) = (0u64, 0u64);
    let (samples, took) = send(&client, &load, |sample| {
        *if sample.outcome.is_ok() { &mut ok } else { &mut failed } += 1;
        bar.set_position((sample.at + sample.latency).as_secs());
        bar.set_message(format!("{ok} answered, {failed} failed"));
    })
    .await;
    bar.finish_and_clear();
    let report = report(args, &model, &samples, took);
    print(args.form.output, &report, |report| lines(args, report))?;
    let all = report.sent > 0 && report.failures.is_empty();
    Ok(if all { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// One request's numbers each: the given images in turns, or noise.
fn bodies(args: &Args, model: &Model) -> anyhow::Result<Vec<Vec<f32>>> {
    let images: Vec<Vec<f32>> = if args.images.is_empty() {
        let mut dice = ChaCha8Rng::seed_from_u64(args.seed);
        let mut noise = || f32::from((dice.next_u32() >> 16) as u16) / 32_768.0 - 1.0;
        (0..DRAWN).map(|_| (0..model.image.elements()).map(|_| noise()).collect()).collect()
    } else {
        args.images.iter().map(|path| photograph::load(path, model)).collect::<Result<_, _>>()?
    };
    let batch = |first: usize| {
        (0..args.batch).flat_map(|next| images[(first + next) % images.len()].clone()).collect()
    };
    Ok((0..images.len()).map(batch).collect())
}

fn report(args: &Args, model: &Model, samples: &[Sample], took: Duration) -> Report {
    let answered: Vec<_> =
        samples.iter().filter_map(|sample| Some((sample, sample.outcome.as_ref().ok()?))).collect();
    let latencies: Vec<Duration> = answered.iter().map(|(sample, _)| sample.latency).collect();
    let mut failures = BTreeMap::new();
    for reason in samples.iter().filter_map(|sample| sample.outcome.as_ref().err()) {
        *failures.entry(reason.clone()).or_default() += 1;
    }
    let mut plans = BTreeMap::new();
    for (_, answer) in &answered {
        *plans.entry(answer.plan.clone()).or_default() += 1;
    }
    let seconds = took.as_secs_f64();
    let per_second = answered.len() as f64 / seconds.max(1e-3);
    Report {
        model: model.name.clone(),
        r#loop: if args.rate.is_some() { "open" } else { "closed" },
        rate_per_second: args.rate,
        concurrency: args.rate.is_none().then_some(args.concurrency),
        batch: args.batch,
        seconds,
        sent: samples.len(),
        answered: answered.len(),
        answered_per_second: per_second,
        images_per_second: per_second * args.batch as f64,
        retried: answered.iter().filter(|(_, answer)| answer.retried).count(),
        degraded: answered.iter().filter(|(_, answer)| answer.degraded).count(),
        failures,
        plans,
        latency_ms: LatencyMs::of(&latencies),
    }
}

fn lines(args: &Args, report: &Report) -> Vec<String> {
    let Report { model, batch, seconds, sent, answered, answered_per_second, images_per_second, .. } = report;
    let how = match args.rate {
        Some(rate) => format!("open loop, {rate} requests/s"),
        None => format!("closed loop, {} clients", args.concurrency),
    };
    let mut lines = vec![
        format!("load        {how}, batch {batch}, on {model}"),
        format!("requests    {answered} of {sent} answered in {seconds:.1} s"),
        format!("throughput  {answered_per_second:.1} requests/s, {images_per_second:.1} images/s"),
    ];
    if *answered > 0 {
        let LatencyMs { p50, p90, p99, max, mean } = report.latency_ms;
        let [p50, p90, p99, max, mean] = [p50, p90, p99, max, mean].map(milliseconds);
        lines.push(format!("latency ms  p50 {p50}  p90 {p90}  p99 {p99}  max {max}  mean {mean}"));
        let plans: Vec<_> = report.plans.iter().map(|(plan, count)| format!("{plan} ({count})")).collect();
        lines.push(format!("plans       {}", plans.join(", ")));
    }
    if report.retried + report.degraded > 0 {
        lines.push(format!("of these    {} sent again, {} degraded", report.retried, report.degraded));
    }
    lines.extend(report.failures.iter().map(|(why, count)| format!("failed      {count} times: {why}")));
    lines
}
