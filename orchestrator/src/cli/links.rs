//! `weir links`: what passes between the peers.

use std::process::ExitCode;

use super::admin::AdminArgs;
use crate::admin::views::{LinkDocument, LinksDocument};
use crate::terminal::table::{self, Align, bytes, milliseconds};

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
        ("RTT ms", Align::Right),
        ("activations", Align::Right),
        ("sent", Align::Right),
        ("packets", Align::Right),
        ("lost", Align::Right),
    ];
    let row = |link: &LinkDocument| {
        vec![
            link.from.clone(),
            link.to.clone(),
            if link.up { "up" } else { "down" }.to_owned(),
            link.rtt_seconds.map_or_else(String::new, |rtt| milliseconds(rtt * 1e3)),
            link.activations.to_string(),
            bytes(link.sent_bytes),
            link.packets_sent.to_string(),
            link.packets_lost.to_string(),
        ]
    };
    table::lines(&columns, found.links.iter().map(row))
}
