//! `weir policy`: what plans aim at, read and changed while the cluster runs.
//!
//! Two people who change it at once do not undo each other: `get` writes the policy's tag into its first line, `set` sends
//! the tag along, and the orchestrator refuses what was made of an older policy.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use reqwest::StatusCode;
use serde_json::json;

use super::admin::{AdminArgs, Form as OutputForm, Orchestrator, Output, print};
use super::plan;
use crate::client::AdminError;
use crate::client::operate::Form;
use crate::replan::model;
use crate::terminal::say;

const PATH: &str = "/api/v1/policy";

/// The first line of what `get` prints. TOML ignores it.
const TAG: &str = "# etag: ";

/// Arguments of `policy`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  weir policy get > home.toml
  $EDITOR home.toml
  weir policy check home.toml                 here, without an orchestrator
  weir policy set --dry-run home.toml         the plan that it would give
  weir policy set home.toml

docs/planner.md and docs/replanning.md describe the file.")]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Print the policy in force, as TOML.
    Get(GetArgs),
    /// Put another policy in force.
    Set(SetArgs),
    /// Check a policy file; nobody is asked.
    Check(CheckArgs),
}

#[derive(Debug, clap::Args)]
struct GetArgs {
    #[command(flatten)]
    orchestrator: Orchestrator,
    /// The TOML itself, or with its tag as JSON.
    #[command(flatten)]
    form: OutputForm,
}

/// Arguments of `policy set`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  weir policy set --dry-run home.toml
  weir policy set home.toml
  weir policy set --if-match '*' home.toml    whatever is in force now

A file that `weir policy get` wrote begins with the tag of the policy that it was made of. If another one is in force by \
now, nothing is changed and the exit status is 1. A file without a tag replaces the policy that is in force now.")]
struct SetArgs {
    #[command(flatten)]
    admin: AdminArgs,
    /// The policy (TOML).
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Show the plan that it would give; nothing is changed.
    #[arg(long)]
    dry_run: bool,
    /// Only if this tag names the policy in force, instead of the tag in the file; * for any.
    #[arg(long, value_name = "ETAG")]
    if_match: Option<String>,
}

#[derive(Debug, clap::Args)]
struct CheckArgs {
    /// The policy (TOML).
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    form: OutputForm,
}

/// Does what is asked.
///
/// # Errors
/// If the orchestrator does not answer, or the policy is refused.
pub(super) async fn run(args: &Args) -> anyhow::Result<ExitCode> {
    match &args.command {
        Command::Get(args) => get(args).await,
        Command::Set(args) => set(args).await,
        Command::Check(args) => check(args),
    }
}

async fn get(args: &GetArgs) -> anyhow::Result<ExitCode> {
    let found = args.orchestrator.client()?.tagged(PATH).await?;
    let document = json!({ "policy": found.content, "etag": found.etag });
    print(args.form.output, &document, |_| {
        let tag = found.etag.iter().map(|etag| format!("{TAG}{etag}"));
        tag.chain(found.content.lines().map(str::to_owned)).collect()
    })?;
    Ok(ExitCode::SUCCESS)
}

async fn set(args: &SetArgs) -> anyhow::Result<ExitCode> {
    let (tag, text) = read(&args.file)?;
    let client = args.admin.client()?;
    let etag = match args.if_match.clone().or(tag) {
        Some(etag) => Some(etag),
        None => match client.tagged(PATH).await {
            Ok(found) => found.etag,
            // There is none in force, so none can be lost.
            Err(AdminError::Refused { status: StatusCode::NOT_FOUND, .. }) => Some("*".to_owned()),
            Err(error) => return Err(error.into()),
        },
    };
    let path = if args.dry_run { format!("{PATH}?dry_run=true") } else { PATH.to_owned() };
    let answer = match client.replace(&path, Form::Toml, text, etag.as_deref()).await {
        Err(AdminError::Refused { status: StatusCode::PRECONDITION_FAILED, detail, .. }) => anyhow::bail!(
            "{detail}; somebody has changed the policy meanwhile: look at `weir policy get`, and bring your change into that"
        ),
        answer => answer?,
    };
    if !args.dry_run {
        return args.admin.print(&answer.content, |_| vec!["the policy is in force".to_owned()]);
    }
    if args.admin.output() == Output::Json {
        return args.admin.print(&answer.content, |_| Vec::new());
    }
    let snapshot = client.snapshot().await?;
    say("the policy is well-formed; nothing was changed. It would give:");
    plan::solved_lines(&answer.content, &snapshot).iter().for_each(|line| say(line));
    Ok(ExitCode::SUCCESS)
}

/// As the orchestrator reads it, with the rules of re-planning.
fn check(args: &CheckArgs) -> anyhow::Result<ExitCode> {
    let (_, text) = read(&args.file)?;
    let (_, model) =
        model::read(&text).map_err(anyhow::Error::msg).with_context(|| args.file.display().to_string())?;
    let policy = model.policy();
    let document = json!({ "file": args.file, "usable": true });
    print(args.form.output, &document, |_| {
        vec![format!("{} is a usable policy: {policy:?}", args.file.display())]
    })?;
    Ok(ExitCode::SUCCESS)
}

/// The tag in the first line, where there is one, and the text without it.
fn read(path: &Path) -> anyhow::Result<(Option<String>, String)> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read the policy {}", path.display()))?;
    Ok(split(&text))
}

fn split(text: &str) -> (Option<String>, String) {
    let (first, rest) = text.split_once('\n').unwrap_or((text, ""));
    match first.strip_prefix(TAG) {
        Some(tag) => (Some(tag.trim().to_owned()), rest.to_owned()),
        None => (None, text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tag_is_no_part_of_the_policy() {
        let (tag, text) = split("# etag: \"ab\"\n[bounds]\n");
        assert_eq!((tag.as_deref(), text.as_str()), (Some("\"ab\""), "[bounds]\n"));
        assert_eq!(split("[bounds]\n# etag: x\n"), (None, "[bounds]\n# etag: x\n".to_owned()));
        assert_eq!(split(""), (None, String::new()));
    }
}
