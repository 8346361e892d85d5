//! rustls configurations: TLS 1.3 only, both sides prove themselves, nothing is resumed.
//!
//! Resumption is off because rustls does not check the client's certificate again when a session is resumed:
//! a revoked peer would come back with its ticket. Early data is off because it can be replayed.

use std::sync::Arc;

use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, ring};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{ClientConfig, ServerConfig};

use super::endpoint::{BindError, Protocol};
use super::identity::Identity;

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// For accepting: requires a client certificate from the authority, offers every protocol of ours.
pub(super) fn server(identity: &Identity) -> Result<QuicServerConfig, BindError> {
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(identity.roots.clone()), provider())
        .build()
        .map_err(|error| BindError::Tls(rustls::Error::General(error.to_string())))?;
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(BindError::Tls)?
        .with_client_cert_verifier(verifier)
        .with_single_cert(identity.chain.clone(), identity.key.clone_key())
        .map_err(BindError::Tls)?;
    config.alpn_protocols = Protocol::ALL.iter().map(|protocol| protocol.alpn().to_vec()).collect();
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.max_early_data_size = 0;
    QuicServerConfig::try_from(config).map_err(|_| BindError::Cipher)
}

/// For dialling with one protocol: presents our certificate, requires the peer's from the authority.
pub(super) fn client(identity: &Identity, protocol: Protocol) -> Result<QuicClientConfig, BindError> {
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(BindError::Tls)?
        .with_root_certificates(identity.roots.clone())
        .with_client_auth_cert(identity.chain.clone(), identity.key.clone_key())
        .map_err(BindError::Tls)?;
    config.alpn_protocols = vec![protocol.alpn().to_vec()];
    config.resumption = Resumption::disabled();
    config.enable_early_data = false;
    QuicClientConfig::try_from(config).map_err(|_| BindError::Cipher)
}
