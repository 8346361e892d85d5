//! Links that behave like real ones, in user space, so that a cluster on one machine feels its network.
//!
//! An [`EmulatedLink`] stands between a sender and a receiver: the sender is told the link's address instead of
//! the receiver's. It forwards datagrams, later and fewer as its [`LinkConditions`] say, and brings replies back.
//! Kernels without netem, containers without privileges and tests on a laptop all get the same network.
//!
//! [`schedule`] decides when a packet leaves and is pure; [`link`] moves packets between sockets at those times.
//!
//! Always true: packets of one direction never overtake each other, because reordering would be read as loss.

pub mod conditions;
pub mod link;
pub mod presets;
pub mod schedule;
pub mod wander;

pub use conditions::{BitRate, LinkConditions, LinkState, LossRate, NotALossRate};
pub use link::{EmulatedLink, LinkCounters};
pub use presets::{Preset, UnknownPreset};
pub use schedule::Counters;
