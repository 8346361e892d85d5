//! One UDP socket that dials and accepts, and connections whose other end has proved its name.

use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use quinn::{Connection, ConnectionError, EndpointConfig, TokioRuntime, VarInt};
use quinn_proto::HashedConnectionIdGenerator;
use rustls_pki_types::CertificateDer;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::ids::PeerName;

use super::configs::{Dialling, accepting};
use super::identity::{Identity, IdentityError, name_in};
use super::settings::{HANDSHAKES_MAX, SOCKET_BUFFER, Settings};

/// A handshake that takes longer is given up: slow handshakes must not hold the places of honest ones.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);

/// What a connection is for; negotiated in the handshake (ALPN, RFC 7301).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// Worker and orchestrator talk.
    Control,
    /// Activations flow from the dialling side to the accepting one.
    Data,
    /// Layers' weights flow from the orchestrator to the worker that asks for them ([`super::layers`]).
    Weights,
    /// The dialling side measures the link.
    Probe,
}

/// Reasons for closing a connection, as QUIC application error codes.
pub mod close_code {
    /// The process ends in order.
    pub const SHUTDOWN: u32 = 1;
    /// The peer has no part in any live plan.
    pub const NOT_IN_PLAN: u32 = 2;
    /// The peer's certificate does not entitle it to this protocol.
    pub const WRONG_ROLE: u32 = 3;
    /// The peer broke the protocol.
    pub const PROTOCOL: u32 = 4;
    /// A newer connection of the same peer takes over.
    pub const REPLACED: u32 = 5;
    /// The deadline of what a stream carries has passed.
    pub const LATE: u32 = 6;
}

/// One UDP socket with this process's identity. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Transport {
    endpoint: quinn::Endpoint,
    name: PeerName,
    settings: Settings,
    dialling: Arc<RwLock<Dialling>>,
    handshakes: Arc<Semaphore>,
}

/// A handshake that has begun.
pub struct IncomingPeer {
    incoming: quinn::Incoming,
    /// A place among the handshakes under way.
    place: OwnedSemaphorePermit,
}

/// An established connection to a peer that has proved its name.
#[derive(Debug, Clone)]
pub struct PeerConnection {
    /// Who is at the other end.
    pub peer: PeerName,
    /// What the connection is for.
    pub protocol: Protocol,
    /// The QUIC connection.
    pub connection: Connection,
}

/// Why a transport cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The UDP port cannot be had.
    #[error(
        "cannot listen on UDP {address}; if the port is in use, stop the other program or choose another port"
    )]
    Socket {
        /// The address.
        address: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// rustls refuses the identity.
    #[error("the certificate and key cannot be used")]
    Tls(#[source] rustls::Error),
    /// The cryptographic provider lacks QUIC's first cipher, which RFC 9001 requires.
    #[error("the cryptographic provider has no AES-128-GCM, which QUIC needs")]
    Cipher,
}

/// Why a transport keeps the identity that it has.
#[derive(Debug, thiserror::Error)]
pub enum RenewError {
    /// The certificate is that of another peer.
    #[error(
        "the certificate is that of {found}, and this process is {held}; give it one of its own name, or start it anew under the other"
    )]
    Name {
        /// Whose it is.
        found: PeerName,
        /// Who this process is.
        held: PeerName,
    },
    /// Certificate and key do not fit each other, or cannot be used.
    #[error(transparent)]
    Bind(#[from] BindError),
}

/// Why a peer cannot be reached.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The attempt could not even begin.
    #[error("cannot dial {peer} at {address}")]
    Dial {
        /// The peer.
        peer: PeerName,
        /// Where it should be.
        address: SocketAddr,
        /// Why.
        #[source]
        source: quinn::ConnectError,
    },
    /// The handshake failed.
    #[error(
        "cannot connect to {peer} at {address}; check that it runs there and that both certificates come from one authority"
    )]
    Handshake {
        /// The peer.
        peer: PeerName,
        /// Where it should be.
        address: SocketAddr,
        /// Why.
        #[source]
        source: ConnectionError,
    },
    /// Nobody answered in time.
    #[error("{peer} at {address} did not answer within {HANDSHAKE_TIMEOUT:?}")]
    Timeout {
        /// The peer.
        peer: PeerName,
        /// Where it should be.
        address: SocketAddr,
    },
}

/// Why an incoming connection was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum AcceptError {
    /// The handshake failed: no certificate, a wrong one, or another program.
    #[error("handshake failed")]
    Handshake(#[source] ConnectionError),
    /// It took too long.
    #[error("handshake took longer than {HANDSHAKE_TIMEOUT:?}")]
    Timeout,
    /// The certificate is the authority's, but names no peer of ours.
    #[error("the peer's certificate has no usable name")]
    Name(#[source] IdentityError),
    /// The connection has no certificate or no protocol, which the configuration rules out.
    #[error("the peer did not say who it is or what it wants")]
    Anonymous,
}

impl Protocol {
    pub(super) const ALL: [Self; 4] = [Self::Control, Self::Data, Self::Weights, Self::Probe];

    pub(super) const fn alpn(self) -> &'static [u8] {
        match self {
            Self::Control => b"weir-control",
            Self::Data => b"weir-data",
            Self::Weights => b"weir-weights",
            Self::Probe => b"weir-probe",
        }
    }
}

impl Transport {
    /// Opens a UDP socket at `address` that dials and accepts as `identity`.
    ///
    /// # Errors
    /// If the port cannot be had or the identity cannot be used.
    pub fn bind(identity: &Identity, address: SocketAddr, settings: Settings) -> Result<Self, BindError> {
        let failed = |source| BindError::Socket { address, source };
        let socket = open_socket(address).map_err(failed)?;
        let server = accepting(identity, settings)?;
        let dialling = Arc::new(RwLock::new(Dialling::new(identity, settings)?));
        let runtime = Arc::new(TokioRuntime);
        let endpoint = quinn::Endpoint::new(endpoint_config(identity), Some(server), socket, runtime);
        let endpoint = endpoint.map_err(failed)?;
        let handshakes = Arc::new(Semaphore::new(HANDSHAKES_MAX));
        let name = identity.name().clone();
        Ok(Self { endpoint, name, settings, dialling, handshakes })
    }

    /// Dials and accepts as `identity` from now on. Connections that are up go on as they were made.
    ///
    /// The keys by which a restarted process is recognised stay those of the first identity: after a restart under another
    /// key, peers notice by silence.
    ///
    /// # Errors
    /// If it has another name or cannot be used. The old identity then holds.
    pub fn renew(&self, identity: &Identity) -> Result<(), RenewError> {
        if *identity.name() != self.name {
            return Err(RenewError::Name { found: identity.name().clone(), held: self.name.clone() });
        }
        let server = accepting(identity, self.settings)?;
        let dialling = Dialling::new(identity, self.settings)?;
        self.endpoint.set_server_config(Some(server));
        *self.dialling.write().unwrap_or_else(PoisonError::into_inner) = dialling;
        Ok(())
    }

    /// This process's own name.
    pub const fn name(&self) -> &PeerName {
        &self.name
    }

    /// The address that the socket has, with the port that the system chose if 0 was asked for.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.endpoint.local_addr()
    }

    /// Connects to `peer` at `address`; whoever answers must prove to be that peer.
    ///
    /// # Errors
    /// If nobody answers, or somebody else does.
    pub async fn connect(
        &self,
        peer: &PeerName,
        address: SocketAddr,
        protocol: Protocol,
    ) -> Result<PeerConnection, ConnectError> {
        let config = self.dialling.read().unwrap_or_else(PoisonError::into_inner).of(protocol);
        let dialled = self.endpoint.connect_with(config, address, &peer.dns_name());
        let connecting =
            dialled.map_err(|source| ConnectError::Dial { peer: peer.clone(), address, source })?;
        match tokio::time::timeout(HANDSHAKE_TIMEOUT, connecting).await {
            Ok(Ok(connection)) => Ok(PeerConnection { peer: peer.clone(), protocol, connection }),
            Ok(Err(source)) => Err(ConnectError::Handshake { peer: peer.clone(), address, source }),
            Err(_) => Err(ConnectError::Timeout { peer: peer.clone(), address }),
        }
    }

    /// Waits for the next handshake to begin; none comes after [`close`](Self::close).
    ///
    /// While as many as are allowed are under way, further ones are refused before any work is done for them.
    pub async fn accept(&self) -> Option<IncomingPeer> {
        loop {
            let incoming = self.endpoint.accept().await?;
            match self.handshakes.clone().try_acquire_owned() {
                Ok(place) => return Some(IncomingPeer { incoming, place }),
                Err(_) => incoming.refuse(),
            }
        }
    }

    /// Closes every connection, and waits until the peers have been told.
    pub async fn close(&self) {
        self.endpoint.close(VarInt::from_u32(close_code::SHUTDOWN), b"shutting down");
        self.endpoint.wait_idle().await;
    }
}

impl IncomingPeer {
    /// Where it comes from. Nothing about it is proved yet.
    pub fn remote(&self) -> SocketAddr {
        self.incoming.remote_address()
    }

    /// Completes the handshake and reads the peer's name from its certificate.
    ///
    /// # Errors
    /// If the peer does not prove a name that is ours, or takes too long.
    pub async fn establish(self) -> Result<PeerConnection, AcceptError> {
        let Self { incoming, place } = self;
        let established = tokio::time::timeout(HANDSHAKE_TIMEOUT, incoming).await;
        drop(place);
        let connection = established.map_err(|_| AcceptError::Timeout)?.map_err(AcceptError::Handshake)?;
        let identity =
            connection.peer_identity().and_then(|any| any.downcast::<Vec<CertificateDer<'static>>>().ok());
        let chain = identity.ok_or(AcceptError::Anonymous)?;
        let peer = name_in(chain.first().ok_or(AcceptError::Anonymous)?).map_err(AcceptError::Name)?;
        let data = connection.handshake_data();
        let data = data.and_then(|any| any.downcast::<quinn::crypto::rustls::HandshakeData>().ok());
        let alpn = data.and_then(|data| data.protocol).ok_or(AcceptError::Anonymous)?;
        let protocol = Protocol::ALL.into_iter().find(|protocol| protocol.alpn() == alpn);
        Ok(PeerConnection { peer, protocol: protocol.ok_or(AcceptError::Anonymous)?, connection })
    }
}

impl PeerConnection {
    /// Closes the connection with a code of [`close_code`] and a reason for people.
    pub fn close(&self, code: u32, reason: &str) {
        self.connection.close(VarInt::from_u32(code), reason.as_bytes());
    }
}

/// A restarted process must be recognised by its old peers within a round trip. That needs both a reset key
/// and connection ids that are the same after the restart, so both are derived from the private key.
fn endpoint_config(identity: &Identity) -> EndpointConfig {
    let reset = identity.stable_secret(b"weir quic stateless reset");
    let mut config =
        EndpointConfig::new(Arc::new(ring::hmac::Key::new(ring::hmac::HMAC_SHA256, reset.as_ref())));
    let ids = identity.stable_secret(b"weir quic connection id");
    let key = ids.as_ref().first_chunk::<8>().map_or(0, |bytes| u64::from_be_bytes(*bytes));
    config.cid_generator(move || Box::new(HashedConnectionIdGenerator::from_key(key)));
    config
}

fn open_socket(address: SocketAddr) -> std::io::Result<std::net::UdpSocket> {
    use rustix::net::sockopt;
    let domain = socket2::Domain::for_address(address);
    let socket = socket2::Socket::new(domain, socket2::Type::DGRAM, Some(socket2::Protocol::UDP))?;
    // Beyond the system's limit needs a privilege; without it, take as much as the system allows.
    if sockopt::set_socket_recv_buffer_size_force(&socket, SOCKET_BUFFER).is_err() {
        socket.set_recv_buffer_size(SOCKET_BUFFER)?;
    }
    socket.set_send_buffer_size(SOCKET_BUFFER)?;
    // Linux doubles what is asked for and counts its own bookkeeping in it.
    let granted = socket.recv_buffer_size()?;
    if granted < SOCKET_BUFFER {
        tracing::warn!(granted, wanted = SOCKET_BUFFER, "small UDP receive buffer; raise net.core.rmem_max");
    }
    socket.bind(&address.into())?;
    Ok(socket.into())
}
