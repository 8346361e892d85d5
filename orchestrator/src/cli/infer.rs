//! `weir infer`: what is on these photographs?

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use clap::builder::RangedU64ValueParser;
use futures_util::StreamExt as _;
use serde::Serialize;

use super::admin::{Form, print};
use super::gateway::GatewayArgs;
use crate::client::{Answer, InferClient, Model, photograph};
use crate::labels;
use crate::terminal::progress;
use crate::terminal::table::{self, Align, milliseconds, percent};

/// Arguments of `infer`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  weir infer cat.jpg
  weir infer --top 1 --batch 8 photos/*.jpg
  weir infer --http http://192.0.2.1:8080 --output json cat.jpg | jq '.images[0].classes[0].label'

An image is turned upright, its shorter side scaled, the middle cut out and its colours normalised, as the gateway \
says in the metadata of its network. Class names come from there too, or from --labels.

Exit status: 0 every image was answered; 1 one was not, and why is on standard error; 2 wrong arguments.")]
pub(super) struct Args {
    /// PNG or JPEG files.
    #[arg(value_name = "IMAGE", required = true)]
    images: Vec<PathBuf>,
    #[command(flatten)]
    gateway: GatewayArgs,
    /// How many classes are told of each image, the likeliest first.
    #[arg(long, value_name = "K", default_value_t = 3, value_parser = RangedU64ValueParser::<usize>::new().range(1..))]
    top: usize,
    /// Images in one request; the gateway's largest batch, if that is smaller.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = RangedU64ValueParser::<usize>::new().range(1..))]
    batch: usize,
    /// Requests under way at once.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = RangedU64ValueParser::<usize>::new().range(1..=64))]
    concurrency: usize,
    /// Names of the classes, one on a line, instead of the gateway's.
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,
    /// Pixels to which the shorter side is brought before the middle is cut out, instead of the gateway's.
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u32).range(1..=16_384))]
    resize: Option<u32>,
    #[command(flatten)]
    form: Form,
}

/// What is printed.
#[derive(Debug, Serialize)]
struct Report {
    model: String,
    images: Vec<Recognised>,
}

/// One image and what it shows.
#[derive(Debug, Serialize)]
struct Recognised {
    image: PathBuf,
    classes: Vec<Class>,
    plan: String,
    attempts: u8,
    degraded: bool,
    expected_accuracy: Option<f64>,
    latency_ms: f64,
}

#[derive(Debug, Serialize)]
struct Class {
    index: usize,
    label: String,
    probability: f64,
    logit: f32,
}

/// Sends and prints.
///
/// # Errors
/// If the gateway does not answer at all.
pub(super) async fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let (mut model, client) = args.gateway.connect().await?;
    if let Some(path) = &args.labels {
        model.labels = Some(labels::load(path, model.classes as u32)?);
    }
    model.shorter_side = args.resize.unwrap_or(model.shorter_side);
    let model = Arc::new(model);
    let batches = args.images.chunks(args.batch.min(model.max_batch)).map(<[PathBuf]>::to_vec);
    let answers = batches.map(|paths| one_request(&client, &model, paths, args.top));
    let mut answers = futures_util::stream::iter(answers).buffered(args.concurrency);
    let bar = progress::bar(args.images.len() as u64, "images");
    let mut report = Report { model: model.name.clone(), images: Vec::new() };
    let mut failed = 0;
    while let Some(results) = answers.next().await {
        bar.inc(results.len() as u64);
        for result in results {
            match result {
                Ok(image) => report.images.push(image),
                Err(error) => {
                    failed += 1;
                    bar.suspend(|| eprintln!("error: {error:#}"));
                }
            }
        }
    }
    bar.finish_and_clear();
    print(args.form.output, &report, lines)?;
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Sends the images of one request; one that cannot be read does not keep the others back.
async fn one_request(
    client: &InferClient,
    model: &Arc<Model>,
    paths: Vec<PathBuf>,
    top: usize,
) -> Vec<anyhow::Result<Recognised>> {
    let mut results = Vec::new();
    let (mut ready, mut numbers) = (Vec::new(), Vec::new());
    for path in paths {
        let (decoded, model) = (path.clone(), model.clone());
        // Decoding takes milliseconds of computing, in which answers should be read.
        match tokio::task::spawn_blocking(move || photograph::load(&decoded, &model)).await {
            Ok(Ok(image)) => {
                numbers.extend(image);
                ready.push(path);
            }
            Ok(Err(error)) => results.push(Err(error.into())),
            Err(error) => results.push(Err(error.into())),
        }
    }
    if ready.is_empty() {
        return results;
    }
    let began = Instant::now();
    match client.infer(&numbers).await {
        Ok(answer) => {
            let latency_ms = began.elapsed().as_secs_f64() * 1e3;
            let each = answer.logits.chunks(model.classes.max(1));
            results.extend(
                ready.into_iter().zip(each).map(|(path, logits)| {
                    Ok(recognised(path, &answer, best(logits, model, top), latency_ms))
                }),
            );
        }
        Err(error) => {
            let why = weir_shared::chain(&error);
            results.extend(ready.iter().map(|path| Err(anyhow::anyhow!("{}: {why}", path.display()))));
        }
    }
    results
}

fn recognised(image: PathBuf, answer: &Answer, classes: Vec<Class>, latency_ms: f64) -> Recognised {
    let Answer { plan, attempts, degraded, expected_accuracy, .. } = answer;
    let (plan, attempts, degraded, expected_accuracy) =
        (plan.clone(), *attempts, *degraded, *expected_accuracy);
    Recognised { image, classes, plan, attempts, degraded, expected_accuracy, latency_ms }
}

/// The likeliest classes; equal ones in the order of their index.
fn best(logits: &[f32], model: &Model, top: usize) -> Vec<Class> {
    let greatest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    // Softmax; the greatest is taken off so that nothing overflows.
    let share = |logit: f32| f64::from(logit - greatest).exp();
    let sum: f64 = logits.iter().map(|&logit| share(logit)).sum();
    let mut ranked: Vec<(usize, f32)> = logits.iter().copied().enumerate().collect();
    ranked.sort_by(|(_, a), (_, b)| b.total_cmp(a));
    ranked.truncate(top);
    let class =
        |(index, logit)| Class { index, label: model.label(index), probability: share(logit) / sum, logit };
    ranked.into_iter().map(class).collect()
}

fn lines(report: &Report) -> Vec<String> {
    let columns = [
        ("image", Align::Left),
        ("class", Align::Left),
        ("probability", Align::Right),
        ("ms", Align::Right),
        ("plan", Align::Left),
    ];
    let rows = report.images.iter().flat_map(|image| {
        image.classes.iter().enumerate().map(|(place, class)| {
            let first = |text: String| if place == 0 { text } else { String::new() };
            let degraded = if image.degraded { " (degraded)" } else { "" };
            vec![
                first(image.image.display().to_string()),
                class.label.clone(),
                percent(class.probability),
                first(milliseconds(image.latency_ms)),
                first(format!("{}{degraded}", image.plan)),
            ]
        })
    });
    if report.images.is_empty() { Vec::new() } else { table::lines(&columns, rows) }
}
