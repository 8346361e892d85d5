//! Fetches layers from the orchestrator.

use std::net::SocketAddr;

use tokio::net::lookup_host;
use weir_shared::arch::{LayerKind, Network};
use weir_shared::digest::Digest;
use weir_shared::ids::PeerName;
use weir_shared::transport::layers::{self, FetchError};
use weir_shared::transport::{
    BindError, Certificates, ConnectError, PeerConnection, Protocol, Settings, Transport, close_code,
};
use weir_shared::weights::LayerTensors;

/// Where the orchestrator is, and who asks.
#[derive(Debug)]
pub struct Remote {
    /// This worker's certificate; the one that holds at a visit is used.
    pub certificates: Certificates,
    /// QUIC settings.
    pub settings: Settings,
    /// The orchestrator's name.
    pub orchestrator: PeerName,
    /// Where it is, as `host:port`.
    pub address: String,
}

/// Why a layer cannot be fetched.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// No socket.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The orchestrator's name cannot be looked up.
    #[error("cannot look up {0}; write the orchestrator as host:port")]
    Lookup(String),
    /// It cannot be reached.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// It did not give the layer.
    #[error(transparent)]
    Fetch(#[from] FetchError),
}

/// A connection for the layers of one stage. A socket of its own: megabytes of weights must not share a queue, or a
/// congestion window, with activations.
#[derive(Debug)]
pub(super) struct Loan(PeerConnection);

impl Remote {
    pub(super) async fn open(&self) -> Result<Loan, RemoteError> {
        let lookup = || RemoteError::Lookup(self.address.clone());
        let address: SocketAddr =
            lookup_host(&self.address).await.map_err(|_| lookup())?.next().ok_or_else(lookup)?;
        let any = SocketAddr::new(unspecified(address), 0);
        let transport = Transport::bind(&self.certificates.current(), any, self.settings)?;
        Ok(Loan(transport.connect(&self.orchestrator, address, Protocol::Weights).await?))
    }
}

impl Loan {
    pub(super) async fn layer(
        &self,
        network: &Network,
        layer: LayerKind,
        digest: Digest,
    ) -> Result<LayerTensors, RemoteError> {
        Ok(layers::fetch(&self.0.connection, network, layer, digest).await?)
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        self.0.close(close_code::SHUTDOWN, "all layers are here");
    }
}

/// A socket can only dial addresses of its own kind.
fn unspecified(address: SocketAddr) -> std::net::IpAddr {
    match address {
        SocketAddr::V4(_) => std::net::Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => std::net::Ipv6Addr::UNSPECIFIED.into(),
    }
}
