//! The tensors of one layer, and the digest that names them.
//!
//! The digest depends on names, shapes and numbers alone, not on the file: the same weights stored in another
//! order, beside other tensors or behind another header are the same layer.

use super::{Checkpoint, CheckpointError};
use crate::arch::{LayerKind, Network, Parameter};
use crate::digest::{Digest, Hasher};

/// Opens the bytes that are hashed, so that a later definition can never give the same digest by accident.
const DOMAIN: &[u8] = b"weir layer 1\n";

/// What one layer needs of a checkpoint, in the order of [`Network::parameters`].
#[derive(Debug, Clone)]
pub struct LayerTensors {
    tensors: Vec<(Parameter, Vec<f32>)>,
}

impl LayerTensors {
    /// Reads the tensors of `layer` from `checkpoint`, and no others.
    ///
    /// # Errors
    /// If one is missing, or of another shape or number format.
    pub fn read(
        checkpoint: &Checkpoint,
        network: &Network,
        layer: LayerKind,
    ) -> Result<Self, CheckpointError> {
        let read = |parameter: Parameter| checkpoint.read(&parameter).map(|numbers| (parameter, numbers));
        let tensors = network.parameters(layer).into_iter().map(read).collect::<Result<_, _>>()?;
        Ok(Self { tensors })
    }

    /// Makes the tensors of `layer` with `make`, which gives each parameter its numbers.
    pub fn make(network: &Network, layer: LayerKind, mut make: impl FnMut(&Parameter) -> Vec<f32>) -> Self {
        let with_numbers = |parameter: Parameter| {
            let numbers = make(&parameter);
            (parameter, numbers)
        };
        Self { tensors: network.parameters(layer).into_iter().map(with_numbers).collect() }
    }

    /// The SHA-256 of the layer.
    ///
    /// Hashed are, all integers little-endian: the text `weir layer 1` and a line feed; then for each tensor in
    /// the order of [`Network::parameters`] the length of its name (u32), its name, its number of dimensions
    /// (u32), each dimension (u64), and its numbers as IEEE 754 binary32, little-endian, outermost dimension
    /// first. A layer without tensors has the digest of the text alone.
    pub fn digest(&self) -> Digest {
        let mut hasher = Hasher::default();
        hasher.update(DOMAIN);
        for (parameter, numbers) in &self.tensors {
            hasher.update(&(parameter.name.len() as u32).to_le_bytes());
            hasher.update(parameter.name.as_bytes());
            hasher.update(&(parameter.shape.len() as u32).to_le_bytes());
            for &dimension in &parameter.shape {
                hasher.update(&(dimension as u64).to_le_bytes());
            }
            hash_numbers(&mut hasher, numbers);
        }
        hasher.finish()
    }

    /// Bytes that `layer` takes, as [`to_bytes`](Self::to_bytes) writes it.
    pub fn bytes_of(network: &Network, layer: LayerKind) -> usize {
        let numbers = network.parameters(layer).iter().map(Parameter::elements).sum::<u64>();
        numbers as usize * size_of::<f32>()
    }

    /// The numbers of all tensors in the order of [`Network::parameters`], as f32, little-endian.
    pub fn to_bytes(&self) -> Vec<u8> {
        let numbers = self.tensors.iter().flat_map(|(_, numbers)| numbers);
        numbers.flat_map(|number| number.to_le_bytes()).collect()
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote of `layer`; nothing if the length is another.
    pub fn from_bytes(network: &Network, layer: LayerKind, bytes: &[u8]) -> Option<Self> {
        if bytes.len() != Self::bytes_of(network, layer) {
            return None;
        }
        let mut numbers =
            bytes.chunks_exact(4).map(|four| f32::from_le_bytes([four[0], four[1], four[2], four[3]]));
        let take = |parameter: &Parameter| numbers.by_ref().take(parameter.elements() as usize).collect();
        Some(Self::make(network, layer, take))
    }

    /// Bytes of all tensors as f32.
    pub fn bytes(&self) -> u64 {
        self.tensors.iter().map(|(_, numbers)| size_of_val(numbers.as_slice()) as u64).sum()
    }

    /// The tensor called `name`, if the layer has it.
    pub fn get(&self, name: &str) -> Option<&[f32]> {
        self.tensors
            .iter()
            .find(|(parameter, _)| parameter.name == name)
            .map(|(_, numbers)| numbers.as_slice())
    }

    /// Every tensor with its numbers.
    pub fn iter(&self) -> impl Iterator<Item = (&Parameter, &[f32])> {
        self.tensors.iter().map(|(parameter, numbers)| (parameter, numbers.as_slice()))
    }
}

#[cfg(target_endian = "little")]
fn hash_numbers(hasher: &mut Hasher, numbers: &[f32]) {
    hasher.update(bytemuck::cast_slice(numbers));
}

#[cfg(target_endian = "big")]
fn hash_numbers(hasher: &mut Hasher, numbers: &[f32]) {
    numbers.iter().for_each(|number| hasher.update(&number.to_le_bytes()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arch::{Arch, BlockId};

    fn head_of_zeros(change: impl Fn(&mut Vec<f32>)) -> LayerTensors {
        LayerTensors::make(&Arch::ResNet20.network(), LayerKind::Head, |parameter| {
            let mut numbers = vec![0.0; parameter.elements() as usize];
            change(&mut numbers);
            numbers
        })
    }

    #[test]
    fn the_digest_is_of_the_documented_bytes() {
        let mut bytes = b"weir layer 1\n".to_vec();
        for (name, shape) in [("linear.weight", vec![10_u64, 64]), ("linear.bias", vec![10])] {
            bytes.extend((name.len() as u32).to_le_bytes());
            bytes.extend(name.as_bytes());
            bytes.extend((shape.len() as u32).to_le_bytes());
            shape.iter().for_each(|dimension| bytes.extend(dimension.to_le_bytes()));
            bytes.extend(vec![0; 4 * shape.iter().product::<u64>() as usize]);
        }
        assert_eq!(head_of_zeros(|_| ()).digest(), Digest::of(&bytes));
    }

    #[test]
    fn bytes_bring_a_layer_to_another_machine() {
        let network = Arch::ResNet20.network();
        let layer = head_of_zeros(|numbers| numbers[3] = 1.5);
        let bytes = layer.to_bytes();
        let read = LayerTensors::from_bytes(&network, LayerKind::Head, &bytes).unwrap();
        assert_eq!(read.digest(), layer.digest());
        assert!(LayerTensors::from_bytes(&network, LayerKind::Head, &bytes[1..]).is_none());
        assert!(LayerTensors::from_bytes(&network, LayerKind::Stem, &bytes).is_none());
    }

    #[test]
    fn one_bit_makes_another_digest() {
        let changed = head_of_zeros(|numbers| numbers[3] = -0.0);
        assert_ne!(changed.digest(), head_of_zeros(|_| ()).digest());
    }

    #[test]
    fn a_layer_without_weights_has_the_digest_of_the_text_alone() {
        let join = LayerKind::Join { block: BlockId(0) };
        let none = LayerTensors::make(&Arch::ResNet20.network(), join, |_| unreachable!("it has no tensor"));
        assert_eq!((none.digest(), none.bytes()), (Digest::of(DOMAIN), 0));
    }
}
