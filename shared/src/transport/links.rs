//! The links on which one process sends, one for each peer and address that a live plan names.
//!
//! A link outlives the plan that opened it when the next plan uses it too, so a switch of plans dials only what
//! is new. What is counted for a peer outlives its links.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::pin::Pin;

use crate::ids::PeerName;
use crate::plan::Plan;
use crate::wire::control::{FailureKind, LinkReport};

use super::record::LinkBook;
use super::{Link, OnUndelivered, Parcel, Transport, Undelivered};

/// The open links. Lives on the actor's thread.
pub struct Links {
    transport: Transport,
    on_undelivered: OnUndelivered,
    open: RefCell<BTreeMap<(PeerName, SocketAddr), Link>>,
    book: LinkBook,
}

impl Links {
    /// No links yet; `on_undelivered` hears of every parcel that does not arrive.
    pub fn new(transport: Transport, on_undelivered: OnUndelivered) -> Self {
        let (open, book) = (RefCell::new(BTreeMap::new()), LinkBook::default());
        Self { transport, on_undelivered, open, book }
    }

    /// What is counted for each peer, for a prober to add to.
    pub fn book(&self) -> LinkBook {
        self.book.clone()
    }

    /// Opens the link to `peer` at `address` if there is none, and completes when it is connected.
    pub fn reach(&self, peer: &PeerName, address: SocketAddr) -> Pin<Box<dyn Future<Output = ()>>> {
        let mut open = self.open.borrow_mut();
        let link = open.entry((peer.clone(), address)).or_insert_with(|| {
            let record = self.book.record(peer);
            Link::open(self.transport.clone(), peer.clone(), address, record, self.on_undelivered.clone())
        });
        Box::pin(link.connected())
    }

    /// Hands a parcel to the link, and says at once if it cannot be sent: the link is full, or no live plan has it
    /// open. Only [`reach`](Self::reach) opens links, so what is left of a retired plan does not bring them back.
    ///
    /// # Errors
    /// The parcel's header with the reason.
    pub fn send(&self, peer: &PeerName, address: SocketAddr, parcel: Parcel) -> Result<(), Box<Undelivered>> {
        let refuse = |header, kind, reason| Err(Box::new(Undelivered { header, kind, reason }));
        match self.open.borrow().get(&(peer.clone(), address)) {
            None => refuse(parcel.header, FailureKind::LinkDown, format!("no link to {peer} is open")),
            Some(link) => link.try_send(parcel).or_else(|parcel| {
                refuse(parcel.header, FailureKind::Overloaded, format!("the link to {peer} is full"))
            }),
        }
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

    /// Readings by peer, also of those that are only probed. Two links to one peer, while its address changes, count as
    /// one.
    pub fn report(&self) -> Vec<LinkReport> {
        let open = self.open.borrow();
        let is_open = |peer: &PeerName| open.keys().any(|(other, _)| other == peer);
        self.book.trim(is_open);
        self.book.report(is_open)
    }
}
