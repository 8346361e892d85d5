//! A stage's share of the dataflow: what it receives, computes and sends.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::arch::{LayerId, Shape};

use super::{Dataflow, Step, Value};

/// Position of a stage in its plan, counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StageIndex(pub u16);

/// Where a value comes from or goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Node {
    /// Sends the input image, receives the logits.
    Gateway,
    /// A stage of the plan.
    Stage(StageIndex),
}

/// A value that a stage waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Inlet {
    /// The value.
    pub value: Value,
    /// Its shape, for one sample.
    pub shape: Shape,
    /// Who sends it.
    pub from: Node,
}

/// A value that a stage sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outlet {
    /// The value.
    pub value: Value,
    /// Its shape, for one sample.
    pub shape: Shape,
    /// Who needs it. A value with two users has two outlets.
    pub to: Node,
}

/// What one stage does for each request.
///
/// A stage whose layers are all skipped has no steps, receives nothing and sends nothing: it is bypassed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StageProgram {
    /// Which stage this is.
    pub stage: StageIndex,
    /// What must have arrived before the first step.
    pub inlets: Vec<Inlet>,
    /// The operations in order.
    pub steps: Vec<Step>,
    /// What leaves after the last step.
    pub outlets: Vec<Outlet>,
}

impl StageProgram {
    /// Gives every stage of a partition its share of `flow`.
    pub fn derive(flow: &Dataflow, stages: &[Range<u16>]) -> Vec<Self> {
        let stage_of = |layer: LayerId| {
            let found = stages.iter().position(|layers| layers.contains(&layer.0));
            StageIndex(found.unwrap_or(0) as u16)
        };
        let maker =
            |value: Value| value.made_in().map_or(Node::Gateway, |layer| Node::Stage(stage_of(layer)));
        let mut programs: Vec<Self> = (0..stages.len() as u16)
            .map(|stage| Self { stage: StageIndex(stage), inlets: vec![], steps: vec![], outlets: vec![] })
            .collect();

        for step in flow.steps() {
            let user = stage_of(step.layer);
            for &value in &step.inputs {
                let from = maker(value);
                let Some(shape) = flow.shape(value) else { continue };
                if from == Node::Stage(user) {
                    continue;
                }
                let program = &mut programs[usize::from(user.0)];
                if program.inlets.iter().any(|inlet| inlet.value == value) {
                    continue;
                }
                program.inlets.push(Inlet { value, shape, from });
                if let Node::Stage(from) = from {
                    programs[usize::from(from.0)].outlets.push(Outlet {
                        value,
                        shape,
                        to: Node::Stage(user),
                    });
                }
            }
            programs[usize::from(user.0)].steps.push(step.clone());
        }

        if let (Node::Stage(last), Some(shape)) = (maker(flow.output()), flow.shape(flow.output())) {
            let logits = Outlet { value: flow.output(), shape, to: Node::Gateway };
            programs[usize::from(last.0)].outlets.push(logits);
        }
        programs
    }

    /// Whether the stage has nothing to do.
    pub fn is_bypassed(&self) -> bool {
        self.steps.is_empty()
    }

    /// The values that leave, each once, in the order of their first outlet.
    pub fn sent_values(&self) -> Vec<Value> {
        let mut values: Vec<Value> = Vec::new();
        for outlet in &self.outlets {
            if !values.contains(&outlet.value) {
                values.push(outlet.value);
            }
        }
        values
    }

    /// The most numbers of one sample that are alive at once: a step's inputs, its output, and what waits.
    pub fn peak_elements(&self) -> usize {
        let kept_to_the_end = |value: Value| self.outlets.iter().any(|outlet| outlet.value == value);
        let used_from = |value: Value, index: usize| {
            self.steps[index..].iter().any(|step| step.inputs.contains(&value)) || kept_to_the_end(value)
        };
        let arrived = self.inlets.iter().map(|inlet| (inlet.value, inlet.shape));
        let mut alive: Vec<(Value, Shape)> = arrived.collect();
        let mut peak = 0;
        for (index, step) in self.steps.iter().enumerate() {
            alive.retain(|&(value, _)| used_from(value, index));
            alive.push((step.output, step.shape));
            peak = peak.max(alive.iter().map(|(_, shape)| shape.elements()).sum());
        }
        peak
    }

    /// The inlet of `value`, if this stage waits for it.
    pub fn inlet(&self, value: Value) -> Option<&Inlet> {
        self.inlets.iter().find(|inlet| inlet.value == value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arch::Arch;
    use crate::plan::{ActiveSet, Partition};

    fn programs(arch: Arch, off: &str, cuts_before: &[&str]) -> Vec<StageProgram> {
        let network = arch.network();
        let find = |name: &&str| {
            network.layers().iter().find(|layer| network.layer_name(layer.kind) == **name).unwrap().id
        };
        let cuts = cuts_before.iter().map(find).collect();
        let partition = Partition::new(&network, cuts).unwrap();
        let flow = Dataflow::new(&network, &ActiveSet::parse(off, &network).unwrap());
        StageProgram::derive(&flow, &partition.stages(&network))
    }

    fn edges(programs: &[StageProgram]) -> Vec<(u16, Node)> {
        let of_one = |program: &StageProgram| {
            let stage = program.stage.0;
            program.outlets.iter().map(move |outlet| (stage, outlet.to)).collect::<Vec<_>>()
        };
        programs.iter().flat_map(of_one).collect()
    }

    fn stage(index: u16) -> Node {
        Node::Stage(StageIndex(index))
    }

    #[test]
    fn a_shortcut_bypasses_the_worker_in_between() {
        let programs = programs(Arch::ResNet50, "", &["layer2.1.conv2", "layer2.1.conv3"]);
        assert_eq!(edges(&programs), [(0, stage(1)), (0, stage(2)), (1, stage(2)), (2, Node::Gateway)]);
    }

    #[test]
    fn a_stage_of_skipped_layers_is_bypassed() {
        let programs = programs(Arch::ResNet20, "F:layer1.1", &["layer1.1.conv1", "layer1.2.conv1"]);
        assert!(programs[1].is_bypassed());
        assert_eq!(edges(&programs), [(0, stage(2)), (2, Node::Gateway)]);
    }

    #[test]
    fn every_inlet_has_its_outlet() {
        let programs =
            programs(Arch::ResNet18, "S:layer2.0,F:layer3.1", &["layer2.0.conv2", "layer3.1.join"]);
        for program in &programs {
            for inlet in &program.inlets {
                let Node::Stage(from) = inlet.from else { continue };
                let sent = programs[usize::from(from.0)].outlets.iter();
                let to_here = sent.filter(|outlet| outlet.to == Node::Stage(program.stage));
                assert_eq!(to_here.filter(|outlet| outlet.value == inlet.value).count(), 1);
            }
        }
    }
}
