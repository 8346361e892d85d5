//! A plan: which worker computes which layers, with which connections active, and what travels between them.
//!
//! A [`Plan`] is immutable and carries everything a worker needs, so that nothing is left to decide when it is
//! carried out. [`dataflow`] turns a network and an active set into single operations, and [`program`] gives
//! each stage its share. Orchestrator and worker both derive programs from the same plan with this same code.
//!
//! Always true of a [`Plan`] that exists: every layer is in exactly one stage, stages are in order, workers
//! are distinct, and every value that crosses between two peers has a route.

pub mod active_set;
pub mod dataflow;
pub mod encoding;
pub mod partition;
#[expect(clippy::module_inception, reason = "the plan itself is the main thing in the plan module")]
pub mod plan;
pub mod program;

pub use active_set::{ActiveSet, ActiveSetError, Connection};
pub use dataflow::{Dataflow, Op, Step, Value};
pub use encoding::Encoding;
pub use partition::{Partition, PartitionError};
pub use plan::{Plan, PlanDraft, PlanError, PlanHash, PlanId, Route, StageAssignment, StageWeights};
pub use program::{Inlet, Node, Outlet, StageIndex, StageProgram};
