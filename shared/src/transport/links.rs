//! The links on which one process sends, one for each peer and address that a live plan names.
//!
//! A link outlives the plan that opened it when the next plan uses it too, so a switch of plans dials only what
//! is new.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::pin::Pin;

use crate::ids::PeerName;
use crate::plan::Plan;
use crate::wire::control::LinkReport;

use super::{Link, OnUndelivered, Parcel, Transport};

/// The open links. Lives on the actor's thread.
pub struct Links {
    transport: Transport,
    on_undelivered: OnUndelivered,
    open: RefCell<BTreeMap<(PeerName, SocketAddr), Link>>,
}

impl Links {
    /// No links yet; `on_undelivered` hears of every parcel that does not arrive.
    pub const fn new(transport: Transport, on_undelivered: OnUndelivered) -> Self {
        Self { transport, on_undelivered, open: RefCell::new(BTreeMap::new()) }
    }

    /// Opens the link to `peer` at `address` if there is none, and completes when it is connected.
    pub fn reach(&self, peer: &PeerName, address: SocketAddr) -> Pin<Box<dyn Future<Output = ()>>> {
        let connected = self.with(peer, address, Link::connected);
        Box::pin(connected)
    }

    /// Hands a parcel to the link, or gives it back if the link is full.
    ///
    /// # Errors
    /// The parcel itself.
    pub fn send(&self, peer: &PeerName, address: SocketAddr, parcel: Parcel) -> Result<(), Box<Parcel>> {
        self.with(peer, address, |link| link.try_send(parcel))
    }

    /// Closes the links that none of `plans` uses.
    pub fn keep_only<'a>(&self, plans: impl Iterator<Item = &'a Plan>) {
        let routes = plans.flat_map(|plan| &plan.draft().routes);
        let used: Vec<_> = routes.filter(|route| route.from == *self.transport.name()).collect();
        let still_used = |peer: &PeerName, address: SocketAddr| {
            used.iter().any(|route| route.to == *peer && route.address == address)
        };
        self.open.borrow_mut().retain(|(peer, address), _| still_used(peer, *address));
    }

    /// Readings of every link.
    pub fn report(&self) -> Vec<LinkReport> {
        self.open.borrow().values().map(Link::report).collect()
    }

    fn with<T>(&self, peer: &PeerName, address: SocketAddr, act: impl FnOnce(&Link) -> T) -> T {
        let mut open = self.open.borrow_mut();
        let link = open.entry((peer.clone(), address)).or_insert_with(|| {
            Link::open(self.transport.clone(), peer.clone(), address, self.on_undelivered.clone())
        });
        act(link)
    }
}
