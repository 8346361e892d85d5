//! Certificates and sockets of everybody in a test, the uninvited included.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::Duration;

use tempfile::TempDir;
use weir_shared::ids::{PeerName, Role};
use weir_shared::transport::{Authority, Identity, PeerConnection, Transport};

/// Loopback; the system chooses the port.
pub const ANY_PORT: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0));

/// An authority and the certificates that it has issued.
pub struct Peers {
    folder: TempDir,
    authority: Authority,
}

impl Peers {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), authority: Authority::create().unwrap() }
    }

    /// The gateway's name.
    pub fn gateway(&self) -> PeerName {
        PeerName::new(Role::Orchestrator, "main").unwrap()
    }

    /// A worker's name.
    pub fn worker(&self, name: &str) -> PeerName {
        PeerName::new(Role::Worker, name).unwrap()
    }

    /// A certificate of this authority for `peer`.
    pub fn identity(&self, peer: &PeerName) -> Identity {
        Identity::load(&self.certificates(peer)).unwrap()
    }

    /// The folder with the certificate of `peer`.
    pub fn certificates(&self, peer: &PeerName) -> std::path::PathBuf {
        let folder = self.folder.path().join(peer.dns_name());
        self.authority.issue(peer).unwrap().save(&folder).unwrap();
        folder
    }

    /// A certificate that bears the name of `peer`, but comes from somebody else's authority. It trusts ours.
    pub fn forged(&self, peer: &PeerName) -> Identity {
        let folder = self.folder.path().join("forged");
        let mut files = Authority::create().unwrap().issue(peer).unwrap();
        files.ca = self.authority.issue(peer).unwrap().ca;
        files.save(&folder).unwrap();
        Identity::load(&folder).unwrap()
    }

    /// A socket of `peer`, with a certificate of this authority.
    pub fn bind(&self, peer: &PeerName) -> Transport {
        Transport::bind(&self.identity(peer), ANY_PORT, Default::default()).unwrap()
    }
}

/// A connection without manners: whoever holds it writes what it likes.
pub struct Dialled {
    pub link: PeerConnection,
    pub transport: Transport,
}

impl Dialled {
    /// Writes `bytes` on a stream of their own and ends it. The other side may stop reading at any time.
    pub async fn write(&self, bytes: &[u8]) {
        let mut stream = self.link.connection.open_uni().await.unwrap();
        let _ = stream.write_all(bytes).await;
        let _ = stream.finish();
    }
}

/// Why the other side closed `link`: the application's code and its reason.
pub async fn close_of(link: &PeerConnection) -> (u64, String) {
    let closed = tokio::time::timeout(Duration::from_secs(5), link.connection.closed()).await;
    match closed.expect("the connection stays open") {
        quinn::ConnectionError::ApplicationClosed(close) => {
            (close.error_code.into_inner(), String::from_utf8_lossy(&close.reason).into_owned())
        }
        other => panic!("closed by the transport: {other}"),
    }
}
