//! Which network a cluster serves: a catalogue name with image size and class count.

use serde::{Deserialize, Serialize};

use super::{Arch, Network, Shape};

/// A network by name, image size and class count; small enough to travel and to put in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Unchecked", into = "Unchecked")]
pub struct NetworkSpec {
    arch: Arch,
    input: Shape,
    classes: u32,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Unchecked {
    arch: Arch,
    input: Shape,
    classes: u32,
}

/// Why no such network can be built.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpecError {
    /// The image is no RGB image of a usable size.
    #[error("images of {0} are not supported: 3 channels and 16 to 1024 rows and columns are")]
    Image(Shape),
    /// The class count is out of range.
    #[error("{0} classes are not supported: 2 to 100000 are")]
    Classes(u32),
}

impl NetworkSpec {
    /// The network `arch` for images of `input` and `classes` classes.
    ///
    /// # Errors
    /// If the sizes are outside what a plan may state; a hostile peer could otherwise make us count to infinity.
    pub fn new(arch: Arch, input: Shape, classes: u32) -> Result<Self, SpecError> {
        let sides = 16..=1024;
        if input.channels != 3 || !sides.contains(&input.height) || !sides.contains(&input.width) {
            return Err(SpecError::Image(input));
        }
        if !(2..=100_000).contains(&classes) {
            return Err(SpecError::Classes(classes));
        }
        Ok(Self { arch, input, classes })
    }

    /// The network's name in the catalogue.
    pub const fn arch(&self) -> Arch {
        self.arch
    }

    /// The network as data.
    pub fn network(&self) -> Network {
        self.arch.network_with(self.input, self.classes)
    }
}

impl From<Arch> for NetworkSpec {
    /// Image size and class count of the paper.
    fn from(arch: Arch) -> Self {
        let network = arch.network();
        Self { arch, input: network.input, classes: network.head.classes }
    }
}

impl TryFrom<Unchecked> for NetworkSpec {
    type Error = SpecError;

    fn try_from(spec: Unchecked) -> Result<Self, SpecError> {
        Self::new(spec.arch, spec.input, spec.classes)
    }
}

impl From<NetworkSpec> for Unchecked {
    fn from(spec: NetworkSpec) -> Self {
        Self { arch: spec.arch, input: spec.input, classes: spec.classes }
    }
}
