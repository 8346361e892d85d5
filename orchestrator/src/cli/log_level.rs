//! `weir log-level`: what the orchestrator writes to its log, changed while it runs.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::admin::AdminArgs;
use crate::client::operate::Form;

const PATH: &str = "/api/v1/log-level";

/// Arguments of `log-level`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  weir log-level
  weir log-level info,weir_orchestrator::supervisor=debug

The filter has the form of RUST_LOG: levels for modules, separated by commas. It holds until the process ends.")]
pub(super) struct Args {
    #[command(flatten)]
    admin: AdminArgs,
    /// What to write from now on; without it, what is written is shown.
    #[arg(value_name = "FILTER")]
    filter: Option<String>,
}

/// Asks and prints.
///
/// # Errors
/// If the orchestrator does not answer, or refuses the filter.
pub(super) async fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let client = args.admin.client()?;
    let found = match &args.filter {
        None => client.get(PATH).await?,
        Some(filter) => {
            client.replace(PATH, Form::Json, json!({ "filter": filter }).to_string(), None).await?.content
        }
    };
    args.admin.print(&found, |found: &Value| {
        vec![found["filter"].as_str().map_or_else(|| found.to_string(), str::to_owned)]
    })
}
