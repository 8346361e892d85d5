//! What quinn needs of an identity: one configuration to accept with, and one for each protocol to dial with.

use std::sync::Arc;

use super::endpoint::{BindError, Protocol};
use super::identity::Identity;
use super::settings::{HANDSHAKES_MAX, Settings};
use super::tls;

/// For accepting.
pub(super) fn accepting(identity: &Identity, settings: Settings) -> Result<quinn::ServerConfig, BindError> {
    let mut server = quinn::ServerConfig::with_crypto(Arc::new(tls::server(identity)?));
    server.transport_config(settings.transport()).migration(false).max_incoming(HANDSHAKES_MAX);
    Ok(server)
}

/// For dialling.
#[derive(Debug)]
pub(super) struct Dialling {
    control: quinn::ClientConfig,
    data: quinn::ClientConfig,
    weights: quinn::ClientConfig,
    probe: quinn::ClientConfig,
}

impl Dialling {
    pub(super) fn new(identity: &Identity, settings: Settings) -> Result<Self, BindError> {
        let transport = settings.transport();
        let client = |protocol| {
            let mut config = quinn::ClientConfig::new(Arc::new(tls::client(identity, protocol)?));
            config.transport_config(transport.clone());
            Ok::<_, BindError>(config)
        };
        let [control, data, weights, probe] = Protocol::ALL.map(client);
        Ok(Self { control: control?, data: data?, weights: weights?, probe: probe? })
    }

    pub(super) fn of(&self, protocol: Protocol) -> quinn::ClientConfig {
        match protocol {
            Protocol::Control => self.control.clone(),
            Protocol::Data => self.data.clone(),
            Protocol::Weights => self.weights.clone(),
            Protocol::Probe => self.probe.clone(),
        }
    }
}
