//! How many connections one peer may have to us: a newer one takes the oldest one's place.
//!
//! An honest peer has one, and for a moment two, when a plan changes the address under which it dials us.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use crate::ids::PeerName;

use super::{PeerConnection, close_code};

/// Connections of one peer and protocol.
const EACH: usize = 2;

/// The connections that are open towards us, for one protocol. Cheap to clone.
#[derive(Clone, Default)]
pub struct Admitted {
    open: Arc<Mutex<BTreeMap<PeerName, VecDeque<PeerConnection>>>>,
}

impl Admitted {
    /// Notes a connection, and closes the oldest of its peer if that is one too many.
    pub fn admit(&self, connection: &PeerConnection) {
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
