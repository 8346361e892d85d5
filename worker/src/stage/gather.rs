//! Brings together the values that one request needs before a stage can run.
//!
//! Pure. A stage behind a cut inside a block waits for two tensors, which come from different workers in any
//! order. What never becomes complete is dropped at the request's deadline.

use std::collections::HashMap;

use tokio::time::Instant;
use weir_shared::ids::{Attempt, RequestId};
use weir_shared::plan::{PlanId, StageProgram, Value};

/// Requests that may be half complete. Each holds at most one activation less than its stage needs.
const WAITING_MAX: usize = 256;

type Key = (RequestId, Attempt, PlanId);

/// Requests of which something has arrived, but not all.
#[derive(Default)]
pub struct Gather {
    waiting: HashMap<Key, Partial>,
}

struct Partial {
    inputs: Vec<Option<Vec<f32>>>,
    batch: u16,
    deadline: Instant,
}

/// What an arrival leads to.
#[derive(Debug, PartialEq)]
pub enum Offer {
    /// Everything is there, in the order of the program's inlets.
    Complete(Vec<Vec<f32>>),
    /// More has to come.
    Waiting,
    /// The same value came before; this one is dropped.
    Duplicate,
    /// The two tensors do not agree on the number of samples.
    BatchMismatch,
    /// Too many requests are half complete.
    Full,
}

impl Gather {
    /// Takes one value of a request.
    pub fn offer(
        &mut self,
        now: Instant,
        key: Key,
        (value, batch, values): (Value, u16, Vec<f32>),
        deadline: Instant,
        program: &StageProgram,
    ) -> Offer {
        let Some(position) = program.inlets.iter().position(|inlet| inlet.value == value) else {
            return Offer::Duplicate;
        };
        if program.inlets.len() == 1 {
            return Offer::Complete(vec![values]);
        }
        if !self.waiting.contains_key(&key) {
            self.waiting.retain(|_, partial| partial.deadline > now);
            if self.waiting.len() >= WAITING_MAX {
                return Offer::Full;
            }
        }
        let empty = || Partial { inputs: vec![None; program.inlets.len()], batch, deadline };
        let partial = self.waiting.entry(key).or_insert_with(empty);
        if partial.batch != batch {
            self.waiting.remove(&key);
            return Offer::BatchMismatch;
        }
        let place = &mut partial.inputs[position];
        if place.is_some() {
            return Offer::Duplicate;
        }
        *place = Some(values);
        if partial.inputs.iter().any(Option::is_none) {
            return Offer::Waiting;
        }
        let complete =
            self.waiting.remove(&key).map(|partial| partial.inputs.into_iter().flatten().collect());
        complete.map_or(Offer::Waiting, Offer::Complete)
    }

    /// Forgets what was gathered for a plan.
    pub fn forget(&mut self, plan: PlanId) {
        self.waiting.retain(|(_, _, of), _| *of != plan);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use weir_shared::arch::Shape;
    use weir_shared::ids::{Epoch, Term};
    use weir_shared::plan::{Inlet, Node, StageIndex};

    use super::*;

    fn key(request: u128) -> Key {
        (RequestId(request), Attempt(1), PlanId { term: Term(1), epoch: Epoch(1) })
    }

    fn program(values: &[u16]) -> StageProgram {
        let inlet =
            |&value: &u16| Inlet { value: Value(value), shape: Shape::new(1, 1, 1), from: Node::Gateway };
        let inlets = values.iter().map(inlet).collect();
        StageProgram { stage: StageIndex(1), inlets, steps: vec![], outlets: vec![] }
    }

    fn offer(gather: &mut Gather, request: u128, value: u16, now: Instant) -> Offer {
        let deadline = now + Duration::from_secs(1);
        gather.offer(
            now,
            key(request),
            (Value(value), 1, vec![f32::from(value)]),
            deadline,
            &program(&[4, 9]),
        )
    }

    #[test]
    fn two_tensors_meet_in_the_order_of_the_program() {
        let (mut gather, now) = (Gather::default(), Instant::now());
        assert_eq!(offer(&mut gather, 1, 9, now), Offer::Waiting);
        assert_eq!(offer(&mut gather, 2, 4, now), Offer::Waiting);
        assert_eq!(offer(&mut gather, 1, 4, now), Offer::Complete(vec![vec![4.0], vec![9.0]]));
    }

    #[test]
    fn the_same_tensor_twice_is_dropped() {
        let (mut gather, now) = (Gather::default(), Instant::now());
        offer(&mut gather, 1, 9, now);
        assert_eq!(offer(&mut gather, 1, 9, now), Offer::Duplicate);
    }

    #[test]
    fn what_never_completes_makes_room_at_its_deadline() {
        let (mut gather, now) = (Gather::default(), Instant::now());
        for request in 0..WAITING_MAX as u128 {
            assert_eq!(offer(&mut gather, request, 4, now), Offer::Waiting);
        }
        assert_eq!(offer(&mut gather, 999, 4, now), Offer::Full);
        assert_eq!(offer(&mut gather, 999, 4, now + Duration::from_secs(2)), Offer::Waiting);
    }
}
