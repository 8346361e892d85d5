//! Where requests are admitted, sent into the pipeline, tried again, and answered.
//!
//! HTTP requests come in through [`oip`], become entries of the ledger, and leave with the logits that the
//! last stage sends. Nothing here passes through the supervisor: it only says which plan is committed.

mod actor;
mod backend;
mod budget;
mod canary;
mod inbound;
mod ledger;
pub mod messages;
pub mod oip;
mod plans;
mod readiness;
mod windows;

pub use actor::{Admission, GatewayActor, GatewayParts, GatewayPlans};
pub use backend::GatewayBackend;
pub use canary::Verdict;
pub use inbound::ReplyInbound;
pub use windows::Counted;
