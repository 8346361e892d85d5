//! A network computed stage by stage in one process, with activations written and read back as on the links of a
//! plan: what a cluster's answers must equal, bit for bit, when its plan rounds.
//!
//! Always true: without a rounding the result equals [`WholeNetwork::logits`], wherever the cuts are.

use std::collections::HashMap;

use serde::Deserialize;
use tch::TchError;
use weir_shared::plan::{ActiveSet, Dataflow, Encoding, Node, StageIndex, StageProgram};
use weir_shared::wire::codec;

use super::{ComputeError, WholeNetwork};

/// Cuts and roundings of a plan, as `eval --split-like` reads them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SplitLike {
    /// The first layer of each stage, and behind the last.
    pub layers: Vec<u16>,
    /// Routes that round.
    #[serde(default)]
    pub rounded: Vec<Rounded>,
}

/// A route that rounds what it carries.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rounded {
    /// The stage that sends; `None` is the gateway.
    pub from: Option<u16>,
    /// The stage that receives; `None` is the gateway.
    pub to: Option<u16>,
    /// How.
    pub encoding: Encoding,
}

/// The cuts are not those of this network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the stages must begin at layer 0, go up, and end behind layer {last}, but are {layers:?}")]
pub struct BadCuts {
    layers: Vec<u16>,
    last: u16,
}

/// The programs of a split network.
#[derive(Debug)]
pub struct SplitProgram {
    programs: Vec<StageProgram>,
    rounded: Vec<Rounded>,
}

impl SplitProgram {
    /// Of `network` under `active`.
    ///
    /// # Errors
    /// If the cuts are not in order, or not of this network.
    pub fn new(network: &WholeNetwork, active: &ActiveSet, like: SplitLike) -> Result<Self, BadCuts> {
        let count = network.network().layer_count();
        let rises = like.layers.windows(2).all(|pair| pair[0] < pair[1]);
        if !rises
            || like.layers.len() < 2
            || like.layers.first() != Some(&0)
            || like.layers.last() != Some(&count)
        {
            return Err(BadCuts { layers: like.layers, last: count.saturating_sub(1) });
        }
        let stages: Vec<_> = like.layers.windows(2).map(|pair| pair[0]..pair[1]).collect();
        let flow = Dataflow::new(network.network(), active);
        Ok(Self { programs: StageProgram::derive(&flow, &stages), rounded: like.rounded })
    }

    /// The logits of `batch` images, NCHW.
    ///
    /// # Errors
    /// As [`WholeNetwork::logits`].
    pub fn logits(
        &self,
        network: &WholeNetwork,
        batch: usize,
        images: &[f32],
    ) -> Result<Vec<f32>, ComputeError> {
        let mut values = HashMap::new();
        let mut logits = None;
        for program in &self.programs {
            if program.is_bypassed() {
                continue;
            }
            let mut inputs = Vec::new();
            for inlet in &program.inlets {
                let numbers = match inlet.from {
                    Node::Gateway => images,
                    Node::Stage(_) => values
                        .get(&inlet.value)
                        .map(Vec::as_slice)
                        .ok_or(ComputeError::NoValue { value: inlet.value })?,
                };
                let encoding = self.encoding(inlet.from, program.stage);
                let bytes = codec::encode(encoding, numbers, inlet.shape);
                inputs.push(codec::decode(encoding, &bytes, inlet.shape, batch)?);
            }
            let sent = network.stage().run(program, batch, inputs)?;
            for (value, numbers) in program.sent_values().into_iter().zip(sent) {
                let answers =
                    |outlet: &&weir_shared::plan::Outlet| outlet.value == value && outlet.to == Node::Gateway;
                if program.outlets.iter().any(|outlet| answers(&outlet)) {
                    logits = Some(numbers.clone());
                }
                values.insert(value, numbers);
            }
        }
        logits.ok_or_else(|| ComputeError::Torch(TchError::Shape("no stage sends logits".to_owned())))
    }

    fn encoding(&self, from: Node, to: StageIndex) -> Encoding {
        let from = match from {
            Node::Gateway => None,
            Node::Stage(StageIndex(stage)) => Some(stage),
        };
        let found = self.rounded.iter().find(|rounded| rounded.from == from && rounded.to == Some(to.0));
        found.map_or(Encoding::F32, |rounded| rounded.encoding)
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use weir_shared::arch::Arch;
    use weir_shared::plan::plan::BatchNorm;

    use super::*;
    use crate::resnet::threads;

    fn rounded(from: u16, to: u16, encoding: Encoding) -> Rounded {
        Rounded { from: Some(from), to: Some(to), encoding }
    }

    #[test]
    fn a_split_without_rounding_is_the_whole_and_one_with_it_is_near() {
        threads::configure(NonZeroUsize::MIN).unwrap();
        let network = WholeNetwork::random(Arch::ResNet20.network(), BatchNorm::Folded, 7).unwrap();
        let active = ActiveSet::parse("F:layer2.1,S:layer3.2", network.network()).unwrap();
        let images: Vec<f32> = (0u16..3 * 32 * 32).map(|n| f32::from(n % 97) / 50.0 - 1.0).collect();
        let whole = network.logits(&active, 1, images.clone()).unwrap();
        let count = network.network().layer_count();
        // The second cut lies inside a block, so that a shortcut's tensor travels too.
        let layers = vec![0, 8, 9, count];
        let logits = |rounded: Vec<Rounded>| {
            let like = SplitLike { layers: layers.clone(), rounded };
            SplitProgram::new(&network, &active, like).unwrap().logits(&network, 1, &images).unwrap()
        };
        assert_eq!(logits(Vec::new()), whole);
        let near = logits(vec![rounded(0, 1, Encoding::F16), rounded(1, 2, Encoding::Int8)]);
        assert_ne!(near, whole);
        let scale = whole.iter().fold(0.0f32, |most, logit| most.max(logit.abs()));
        assert!(
            near.iter().zip(&whole).all(|(near, whole)| (near - whole).abs() < 0.1 * scale),
            "{near:?} {whole:?}"
        );
    }

    #[test]
    fn cuts_of_another_network_are_refused() {
        let network = WholeNetwork::random(Arch::ResNet20.network(), BatchNorm::Folded, 7).unwrap();
        for layers in [vec![0, 5], vec![0, 9, 5, 31], vec![], vec![3, 31]] {
            let like = SplitLike { layers, rounded: Vec::new() };
            let error = SplitProgram::new(&network, &ActiveSet::full(), like).unwrap_err();
            assert!(error.to_string().contains("begin at layer 0"), "{error}");
        }
    }
}
