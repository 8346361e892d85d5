//! `weir top`: the cluster at a glance, drawn again each second.
//!
//! Plain text on the terminal's other screen: what was there before comes back at the end. Where the output is no
//! terminal, one picture is printed.

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use super::admin::Orchestrator;
use super::plan;
use super::workers::condition;
use crate::admin::views::{
    AccuracyDocument, LinkDocument, LoadDocument, PredictedDocument, StateDocument, WorkerDocument,
};
use crate::client::{AdminClient, AdminError};
use crate::supervisor::{AnswerRates, ReplanningState};
use crate::terminal::moment::utc;
use crate::terminal::say;
use crate::terminal::table::{self, Align, bytes, milliseconds, optional, percent};

/// The terminal's other screen without a cursor, and back (xterm's control sequences, which all terminals know).
const ENTER: &str = "\x1b[?1049h\x1b[?25l";
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";

/// Home; to the end of the line; to the end of the screen.
const HOME: &str = "\x1b[H";
const CLEAR_LINE: &str = "\x1b[K";
const CLEAR_REST: &str = "\x1b[J";

/// Rows and columns where the terminal does not say.
const USUAL_SIZE: (u16, u16) = (24, 80);

/// Arguments of `top`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  weir top
  weir top --admin http://192.0.2.1:7610 --period 5
  weir top --once                          one picture, for a script or a report

Interrupt it (Ctrl-C) to leave. Where the output is no terminal, one picture is printed.")]
pub(super) struct Args {
    #[command(flatten)]
    orchestrator: Orchestrator,
    /// Seconds between two pictures.
    #[arg(long, value_name = "SECONDS", default_value_t = 1.0, value_parser = super::gateway::seconds)]
    period: f64,
    /// Print one picture and end.
    #[arg(long)]
    once: bool,
}

/// Draws until interrupted.
///
/// # Errors
/// If the orchestrator does not answer in the beginning.
pub(super) async fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let client = args.orchestrator.client()?;
    let first = ask(&client).await?;
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    if args.once || dumb || !std::io::stdout().is_terminal() {
        lines(&first).iter().for_each(|line| say(line));
        return Ok(ExitCode::SUCCESS);
    }
    let drawn = draw(ENTER).and_then(|()| picture(&lines(&first)));
    let ended = match drawn {
        Ok(()) => watch(&client, Duration::from_secs_f64(args.period)).await,
        Err(error) => Err(error),
    };
    // A terminal that is gone needs no restoring.
    let _ = draw(LEAVE);
    ended?;
    Ok(ExitCode::SUCCESS)
}

async fn ask(client: &AdminClient) -> Result<StateDocument, AdminError> {
    client.get("/api/v1/state").await
}

async fn watch(client: &AdminClient, period: Duration) -> std::io::Result<()> {
    let mut interrupted = std::pin::pin!(weir_shared::signal::terminated());
    loop {
        tokio::select! {
            biased;
            ended = &mut interrupted => return ended,
            () = tokio::time::sleep(period) => {}
        }
        match ask(client).await {
            Ok(state) => picture(&lines(&state))?,
            Err(error) => picture(&[weir_shared::chain(&error), String::new(), "trying again".to_owned()])?,
        }
    }
}

/// Draws lines from the top, no more and no longer ones than the terminal shows.
fn picture(lines: &[String]) -> std::io::Result<()> {
    let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok();
    let (rows, columns) =
        size.map(|size| (size.ws_row, size.ws_col)).filter(|(rows, _)| *rows > 0).unwrap_or(USUAL_SIZE);
    let mut text = HOME.to_owned();
    for (row, line) in lines.iter().take(usize::from(rows)).enumerate() {
        if row > 0 {
            text.push_str("\r\n");
        }
        text.extend(line.chars().take(usize::from(columns)));
        text.push_str(CLEAR_LINE);
    }
    draw(&(text + CLEAR_REST))
}

fn draw(text: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

fn lines(state: &StateDocument) -> Vec<String> {
    let mut lines = head(state);
    lines.push(String::new());
    lines.extend(workers(state));
    let links: Vec<&LinkDocument> = state.links.iter().filter(|link| link.in_plan).collect();
    if !links.is_empty() {
        lines.push(String::new());
        lines.extend(links_of(&links));
    }
    lines
}

fn head(state: &StateDocument) -> Vec<String> {
    let ms = |seconds: f64| milliseconds(seconds * 1e3);
    let mut lines = vec![format!(
        "weir  {}  requests {}, re-planning {}",
        utc(state.unix_ms),
        state.admission.replace('_', " "),
        match state.replanning {
            ReplanningState::Running => "running",
            ReplanningState::Paused => "paused",
            ReplanningState::Off => "off",
        }
    )];
    match &state.plan {
        Some(plan) => lines.push(format!("plan     {}", plan::title(plan))),
        None => lines.push("plan     none".to_owned()),
    }
    lines.extend(state.blocked.as_ref().map(|why| format!("blocked  {why}")));
    let LoadDocument { offered_per_second, in_flight, .. } = state.load;
    lines.push(format!("load     {offered_per_second:.1} requests/s offered, {in_flight} in flight"));
    if let Some(AnswerRates { per_second, latency_p50_seconds, latency_p99_seconds, failed_per_second }) =
        &state.answers
    {
        let (p50, p99) = (ms(*latency_p50_seconds), ms(*latency_p99_seconds));
        lines.push(format!(
            "answers  {per_second:.1}/s, p50 {p50} ms, p99 {p99} ms, failed {failed_per_second:.1}/s"
        ));
    }
    if let Some(PredictedDocument { latency_seconds, energy_joules, .. }) = &state.predicted {
        let (latency, energy) = (ms(*latency_seconds), milliseconds(energy_joules * 1e3));
        lines.push(format!("model    {latency} ms, {energy} mJ for each request"));
    }
    if let Some(AccuracyDocument { full, expected, degraded, .. }) = &state.accuracy {
        let expected = expected.map_or_else(|| "unknown".to_owned(), percent);
        let note = if *degraded { ", degraded" } else { "" };
        lines.push(format!("accuracy {expected} of {}{note}", percent(*full)));
    }
    lines
}

fn workers(state: &StateDocument) -> Vec<String> {
    let columns = [
        ("worker", Align::Left),
        ("state", Align::Left),
        ("busy", Align::Right),
        ("waiting", Align::Right),
        ("memory", Align::Right),
        ("power", Align::Right),
        ("battery", Align::Right),
        ("layers", Align::Left),
    ];
    let stages = state.plan.as_ref().map(|plan| plan.stages.as_slice()).unwrap_or_default();
    let row = |worker: &WorkerDocument| {
        let layers = stages.iter().filter(|stage| stage.worker == worker.name);
        let layers: Vec<_> = layers.map(|stage| format!("{} .. {}", stage.first, stage.last)).collect();
        let limit =
            worker.memory_limit_bytes.map_or_else(String::new, |limit| format!(" of {}", bytes(limit)));
        vec![
            worker.name.clone(),
            condition(worker),
            optional(worker.utilisation_ratio, percent),
            worker.queue_length.to_string(),
            bytes(worker.resident_bytes) + &limit,
            optional(worker.power_watts, |watts| format!("{watts:.1} W")),
            optional(worker.battery_ratio, percent),
            layers.join(", "),
        ]
    };
    table::lines(&columns, state.workers.iter().map(row))
}

fn links_of(links: &[&LinkDocument]) -> Vec<String> {
    let columns = [
        ("link", Align::Left),
        ("state", Align::Left),
        ("RTT ms", Align::Right),
        ("goodput", Align::Right),
        ("loss", Align::Right),
    ];
    let row = |link: &&LinkDocument| {
        vec![
            format!("{} -> {}", link.from, link.to),
            if link.up { "up" } else { "down" }.to_owned(),
            optional(link.rtt_seconds, |rtt| milliseconds(rtt * 1e3)),
            optional(link.goodput_bytes_per_second, |rate| format!("{}/s", bytes(rate as u64))),
            optional(link.loss_ratio, percent),
        ]
    };
    table::lines(&columns, links.iter().map(row))
}
