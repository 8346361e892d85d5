//! Studies: what a network's answers are worth, and training it so that they are worth more.
//!
//! [`evaluate`] measures the accuracy of a network under an active set, [`interval`] says how far such a figure
//! can be trusted, [`survey`] measures what every connection is worth and [`report`] shows it ([`drawing`] has
//! the pieces), and [`train`] makes networks that keep their accuracy when connections are switched off.
//! Nothing here is needed to serve.

pub mod drawing;
pub mod evaluate;
pub mod export;
pub mod interval;
pub mod progress;
pub mod report;
pub mod survey;
pub mod train;
