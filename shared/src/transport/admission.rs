//! Peers that send to us: how many connections each may have, and for how long it is listened to.
//!
//! An honest peer has one connection, and for a moment two, when a plan changes the address under which it dials us.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use quinn::RecvStream;
use tokio::sync::watch;

use crate::ids::PeerName;

use super::{PeerConnection, close_code};

/// Connections of one peer and protocol.
const EACH: usize = 2;

/// The connections that are open towards us, for one protocol. Cheap to clone.
#[derive(Clone, Default)]
pub struct Admitted {
    open: Arc<Mutex<BTreeMap<PeerName, VecDeque<PeerConnection>>>>,
}

/// Why a peer is not listened to any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The connection is gone.
    Closed,
    /// No live plan has the peer send anything here. It was told.
    NotInPlan,
}

impl Admitted {
    /// Hands every stream of a peer to `read`, for as long as `admits` agrees with what is known. A change of what is
    /// known, such as a retired plan, ends it in the middle of the connection.
    pub async fn serve<T>(
        &self,
        peer: PeerConnection,
        mut known: watch::Receiver<T>,
        admits: impl Fn(&T) -> bool,
        read: impl Fn(RecvStream),
    ) -> Ended {
        self.note(&peer);
        loop {
            if !admits(&known.borrow_and_update()) {
                peer.close(close_code::NOT_IN_PLAN, "you send nothing here in any live plan");
                return Ended::NotInPlan;
            }
            tokio::select! {
                stream = peer.connection.accept_uni() => match stream {
                    Ok(stream) => read(stream),
                    Err(_) => return Ended::Closed,
                },
                changed = known.changed() => if changed.is_err() { return Ended::Closed },
            }
        }
    }

    /// Notes a connection, and closes the oldest of its peer if that is one too many.
    fn note(&self, connection: &PeerConnection) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let of_peer = open.entry(connection.peer.clone()).or_default();
        of_peer.retain(|other| other.connection.close_reason().is_none());
        of_peer.push_back(connection.clone());
        if of_peer.len() > EACH
            && let Some(oldest) = of_peer.pop_front()
        {
            tracing::warn!(peer = %oldest.peer, "too many connections; the oldest is closed");
            oldest.close(close_code::REPLACED, "a newer connection of the same name takes over");
        }
    }
}
