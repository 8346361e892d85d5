//! `weir pins`: connections that a person has decided on, in every plan.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::admin::AdminArgs;
use crate::client::operate::Form;

const PATH: &str = "/api/v1/pins";

/// Arguments of `pins`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  weir pins                                     what is pinned
  weir pins set --on F:layer2.1 --off S:layer1.0
  weir pins set                                 nothing

F is a residual branch, S a shortcut, by the name of its block. A pinned connection stays so in every plan; `set` replaces \
all pins. Only connections that the accuracy profile knows can be pinned off.")]
pub(super) struct Args {
    #[command(flatten)]
    admin: AdminArgs,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Replace all pins.
    Set(SetArgs),
}

#[derive(Debug, clap::Args)]
struct SetArgs {
    #[command(flatten)]
    admin: AdminArgs,
    /// A connection that every plan computes, such as F:layer2.1. Can be given several times.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    on: Vec<String>,
    /// A connection that no plan computes, such as S:layer1.0. Can be given several times.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    off: Vec<String>,
}

/// Asks and prints.
///
/// # Errors
/// If the orchestrator does not answer, or refuses a name.
pub(super) async fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let Some(Command::Set(set)) = &args.command else {
        let found: Value = args.admin.client()?.get(PATH).await?;
        return args.admin.print(&found, lines);
    };
    let client = set.admin.client()?;
    let etag = client.tagged(PATH).await?.etag;
    let pins = json!({ "on": set.on, "off": set.off });
    client.replace(PATH, Form::Json, pins.to_string(), etag.as_deref()).await?;
    let found: Value = client.get(PATH).await?;
    set.admin.print(&found, lines)
}

fn lines(pins: &Value) -> Vec<String> {
    let names = |which: &str| {
        let names: Vec<_> = pins[which].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        if names.is_empty() { "nothing".to_owned() } else { names.join(", ") }
    };
    vec![format!("pinned on   {}", names("on")), format!("pinned off  {}", names("off"))]
}
