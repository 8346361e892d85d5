//! The one place that opens QUIC connections: mutual TLS 1.3 from a private authority, bounded everything.
//!
//! A peer is known by the name in its certificate. [`Transport`] is one UDP socket that both dials and accepts;
//! [`PeerConnection`] is an established connection whose other end has proved its name. Which names may do what
//! is decided by the caller, because only it knows the plan.

pub mod activation;
mod admission;
mod authority;
mod certificates;
mod configs;
mod endpoint;
mod framed;
mod identity;
pub mod layers;
mod link;
mod links;
mod meter;
mod probe;
mod record;
mod rotation;
mod settings;
mod tls;

pub use admission::{Admitted, Ended};
pub use authority::{Authority, AuthorityError, CertificateFiles, LEAF_DAYS};
pub use certificates::Certificates;
pub use endpoint::{
    AcceptError, BindError, ConnectError, IncomingPeer, PeerConnection, Protocol, RenewError, Transport,
    close_code,
};
pub use framed::{FrameReader, FrameWriter};
pub use identity::{Identity, IdentityError};
pub use link::{Link, OnUndelivered, Parcel, Undelivered};
pub use links::Links;
pub use probe::{ProbeSink, Prober};
pub use record::{Beside, LinkBook, LinkRecord};
pub use rotation::{LOOK, Rotation};
pub use settings::{Congestion, Settings};
