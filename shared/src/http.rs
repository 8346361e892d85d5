//! TCP ports for HTTP, taken before anything else is started.

use std::net::{SocketAddr, TcpListener};

/// The port cannot be had.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot listen on TCP {address}; if the port is in use, stop the other program or choose another port"
)]
pub struct ListenError {
    address: SocketAddr,
    #[source]
    source: std::io::Error,
}

/// Takes the port. Returns the listener and the address that it has, with the port that the system chose if 0
/// was asked for.
///
/// A process takes all its ports before it starts its actors, so that a failure leaves nothing half started.
///
/// # Errors
/// If another program has the port, or the address is not this machine's.
pub fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), ListenError> {
    let bound = TcpListener::bind(address).and_then(|listener| Ok((listener.local_addr()?, listener)));
    let (bound, listener) = bound.map_err(|source| ListenError { address, source })?;
    Ok((listener, bound))
}
