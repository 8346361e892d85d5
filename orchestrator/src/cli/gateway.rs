//! What the commands that send images share: where to, and how long to wait.

use std::time::Duration;

use crate::client::{InferClient, InferError, Model, model};

/// Arguments of every command that sends images.
#[derive(Debug, clap::Args)]
pub(super) struct GatewayArgs {
    /// The orchestrator's inference API.
    #[arg(long, env = "WEIR_HTTP_URL", value_name = "URL", default_value = "http://127.0.0.1:8080")]
    http: String,
    /// Seconds that a request may take.
    #[arg(long, value_name = "SECONDS", default_value_t = 30.0, value_parser = seconds)]
    timeout: f64,
}

/// A time that can be waited for.
pub(super) fn seconds(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number: &f64| *number > 0.0 && *number <= 86_400.0);
    number.ok_or_else(|| format!("{text:?} is no number of seconds above 0 and up to 86400"))
}

impl GatewayArgs {
    /// The network that is served, and a client of it.
    pub(super) async fn connect(&self) -> Result<(Model, InferClient), InferError> {
        let address = model::address(&self.http)?;
        let model = Model::ask(&address).await?;
        let timeout = Duration::from_secs_f64(self.timeout);
        let client = InferClient::new(&address, &model.name, model.image, timeout)?;
        Ok((model, client))
    }
}
