//! What the commands that look at a cluster share: whom to ask, with which token, and in which form to answer.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::client::AdminClient;
use crate::terminal::say;

/// More than any file with a token has.
const TOKEN_MAX_BYTES: usize = 64 << 10;

/// The orchestrator alone, for commands with a form of their own.
#[derive(Debug, clap::Args)]
pub(super) struct Orchestrator {
    /// The orchestrator's admin API.
    #[arg(long, env = "WEIR_ADMIN_URL", value_name = "URL", default_value = "http://127.0.0.1:7610")]
    admin: String,
    /// File with the token that the orchestrator asks for; its first line is sent.
    #[arg(long, env = "WEIR_TOKEN_FILE", value_name = "FILE")]
    token_file: Option<PathBuf>,
}

/// Arguments of every command that looks at a cluster.
#[derive(Debug, clap::Args)]
pub(super) struct AdminArgs {
    #[command(flatten)]
    orchestrator: Orchestrator,
    #[command(flatten)]
    form: Form,
}

/// How to answer.
#[derive(Debug, clap::Args)]
pub(super) struct Form {
    /// A table for people, or JSON for programs.
    #[arg(long, env = "WEIR_OUTPUT", value_enum, default_value_t = Output::Table)]
    pub(super) output: Output,
}

/// In which form a command answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Output {
    Table,
    Json,
}

impl Orchestrator {
    pub(super) fn client(&self) -> anyhow::Result<AdminClient> {
        let token = self.token_file.as_deref().map(token).transpose()?;
        Ok(AdminClient::new(&self.admin)?.with_token(token))
    }
}

/// The first line of a file that says something.
fn token(path: &Path) -> anyhow::Result<String> {
    let named =
        || format!("cannot read the token file {}; check --token-file (WEIR_TOKEN_FILE)", path.display());
    let text = std::fs::read_to_string(path).with_context(named)?;
    let line = text.lines().map(str::trim).find(|line| !line.is_empty());
    let line = line.filter(|_| text.len() <= TOKEN_MAX_BYTES);
    let line =
        line.with_context(|| format!("{} has no token; write one on its first line", path.display()))?;
    anyhow::ensure!(
        line.bytes().all(|byte| byte.is_ascii_graphic()),
        "the token in {} has characters that cannot be sent; use letters, digits and signs of ASCII",
        path.display()
    );
    Ok(line.to_owned())
}

impl AdminArgs {
    pub(super) fn client(&self) -> anyhow::Result<AdminClient> {
        self.orchestrator.client()
    }

    pub(super) const fn output(&self) -> Output {
        self.form.output
    }

    /// Asks for what is at `path`, and prints it whole as JSON, or the lines that `table` makes of what it knows of it.
    pub(super) async fn show<T: DeserializeOwned>(
        &self,
        path: &str,
        table: impl FnOnce(&T) -> Vec<String>,
    ) -> anyhow::Result<ExitCode> {
        let client = self.client()?;
        match self.form.output {
            Output::Json => say(&serde_json::to_string_pretty(&client.get::<Value>(path).await?)?),
            Output::Table => table(&client.get(path).await?).iter().for_each(|line| say(line)),
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Prints `found` as JSON, or the lines that `table` makes of it.
    pub(super) fn print<T: Serialize>(
        &self,
        found: &T,
        table: impl FnOnce(&T) -> Vec<String>,
    ) -> anyhow::Result<ExitCode> {
        print(self.form.output, found, table)?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Prints `found` as JSON, or the lines that `table` makes of it.
pub(super) fn print<T: Serialize>(
    output: Output,
    found: &T,
    table: impl FnOnce(&T) -> Vec<String>,
) -> anyhow::Result<()> {
    match output {
        Output::Json => say(&serde_json::to_string_pretty(found)?),
        Output::Table => table(found).iter().for_each(|line| say(line)),
    }
    Ok(())
}
