//! Labelled images: what the networks here are trained on and measured with.
//!
//! A [`Dataset`] says where images come from; [`Dataset::load`] reads one [`Split`] into [`Images`], bytes in
//! the record form of CIFAR-10. [`Images::batch`] alone turns bytes into what a network sees, so every source
//! is normalised on one path, and training and measuring can not drift apart.
//!
//! Always true: the three splits of a data set share no image, and loading twice gives the same bytes.

pub mod images;
pub mod source;

pub mod cifar10;
pub mod folder;
pub mod shapes;

pub use images::{Batch, Images, MEAN, STANDARD_DEVIATION};
pub use source::{Dataset, DatasetError, DatasetName, Split};
