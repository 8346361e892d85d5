//! What the commands that look at a cluster share: whom to ask, and in which form to answer.

use std::process::ExitCode;

use serde::Serialize;

use crate::client::{AdminClient, AdminError};
use crate::terminal::say;

/// Arguments of every command that looks at a cluster.
#[derive(Debug, clap::Args)]
pub(super) struct AdminArgs {
    /// The orchestrator's admin API.
    #[arg(long, env = "WEIR_ADMIN_URL", value_name = "URL", default_value = "http://127.0.0.1:7610")]
    admin: String,
    /// A table for people, or what the admin API says as JSON for programs.
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

/// The orchestrator alone, for commands with a form of their own.
#[derive(Debug, clap::Args)]
pub(super) struct Orchestrator {
    /// The orchestrator's admin API.
    #[arg(long, env = "WEIR_ADMIN_URL", value_name = "URL", default_value = "http://127.0.0.1:7610")]
    admin: String,
}

impl Orchestrator {
    pub(super) fn client(&self) -> Result<AdminClient, AdminError> {
        AdminClient::new(&self.admin)
    }
}

/// In which form a command answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Output {
    Table,
    Json,
}

impl AdminArgs {
    pub(super) fn client(&self) -> Result<AdminClient, AdminError> {
        AdminClient::new(&self.admin)
    }

    /// Prints `found` as JSON, or the lines that `table` makes of it.
    pub(super) fn print<T: Serialize>(
        &self,
        found: &T,
        table: impl FnOnce(&T) -> Vec<String>,
    ) -> anyhow::Result<ExitCode> {
        match self.output {
            Output::Json => say(&serde_json::to_string_pretty(found)?),
            Output::Table => table(found).iter().for_each(|line| say(line)),
        }
        Ok(ExitCode::SUCCESS)
    }
}
