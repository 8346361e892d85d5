//! The shape of one sample of an activation.

use serde::{Deserialize, Serialize};

/// Channels, height and width of one sample; the batch is never part of it.
///
/// A vector, such as the logits, is `channels x 1 x 1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Shape {
    /// Number of channels.
    pub channels: u32,
    /// Rows.
    pub height: u32,
    /// Columns.
    pub width: u32,
}

impl Shape {
    /// A shape of `channels` planes of `height` rows and `width` columns.
    pub const fn new(channels: u32, height: u32, width: u32) -> Self {
        Self { channels, height, width }
    }

    /// Numbers in one plane.
    pub const fn plane(self) -> usize {
        self.height as usize * self.width as usize
    }

    /// Numbers in one sample.
    pub const fn elements(self) -> usize {
        self.channels as usize * self.plane()
    }

    /// Whether this is a plain vector of channels.
    pub const fn is_vector(self) -> bool {
        self.plane() == 1
    }
}

impl std::fmt::Display for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}x{}x{}", self.channels, self.height, self.width)
    }
}
