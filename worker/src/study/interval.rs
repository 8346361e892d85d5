//! How far a measured share can be trusted: the same for training, measuring and the profile.

pub use weir_shared::profile::{Interval, wilson};
