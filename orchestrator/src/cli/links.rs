//! `weir links`: what passes between the peers.

use std::process::ExitCode;

use super::admin::AdminArgs;
use crate::admin::views::{LinkDocument, LinksDocument};
use crate::terminal::table::{self, Align, bytes, milliseconds, optional, percent};

/// Arguments of `links`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  weir links
  weir links --output json | jq '.links[] | select(.up == false)'

A link is directed: what its sender sees. Activations, bytes and packets are counted since it was opened.")]
pub(super) struct Args {
    #[command(flatten)]
    admin: AdminArgs,
}

/// Asks and prints.
///
/// # Errors
/// If the orchestrator does not answer.
pub(super) async fn run(Args { admin: args }: &Args) -> anyhow::Result<ExitCode> {
    args.show("/api/v1/links", lines).await
}

pub(super) fn lines(found: &LinksDocument) -> Vec<String> {
    if found.links.is_empty() {
        return vec!["there are no links yet: the first plan makes them".to_owned()];
    }
    let columns = [
        ("from", Align::Left),
        ("to", Align::Left),
        ("state", Align::Left),
        ("in plan", Align::Left),
        ("RTT ms", Align::Right),
        ("least", Align::Right),
        ("goodput", Align::Right),
        ("loss", Align::Right),
        ("activations", Align::Right),
        ("sent", Align::Right),
    ];
    let row = |link: &LinkDocument| {
        vec![
            link.from.clone(),
            link.to.clone(),
            if link.up { "up" } else { "down" }.to_owned(),
            if link.in_plan { "yes" } else { "no" }.to_owned(),
            optional(link.rtt_seconds, |rtt| milliseconds(rtt * 1e3)),
            optional(link.rtt_min_seconds, |rtt| milliseconds(rtt * 1e3)),
            optional(link.goodput_bytes_per_second, |rate| format!("{}/s", bytes(rate as u64))),
            optional(link.loss_ratio, percent),
            link.activations.to_string(),
            bytes(link.sent_bytes),
        ]
    };
    table::lines(&columns, found.links.iter().map(row))
}
