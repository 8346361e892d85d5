//! The signals that end a process in order.

use tokio::signal::unix::{SignalKind, signal};

/// Completes at SIGTERM (Kubernetes, systemd) or SIGINT (a person at a terminal).
///
/// # Errors
/// If the system does not let us listen for signals.
pub async fn terminated() -> std::io::Result<()> {
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
    Ok(())
}
