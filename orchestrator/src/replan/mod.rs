//! When to change the plan, and why. Pure: time comes in as the age of the orchestrator, and nothing here acts.
//!
//! ```text
//! snapshot ─▶ Replanner::ask ─▶ Question ─▶ answer (slow, any thread) ─▶ Replanner::decide ─▶ Decision
//! ```
//!
//! Hard failures act at once. Soft changes must beat the running plan by a margin that grows with what moves and with
//! how noisy the objective is, hold for a while, respect a dwell time, and are limited by a token bucket, of which the last
//! token is for a collapse; what relieves a broken bound needs none. Links that flap are not relied on for a while (RFC
//! 2439). A new plan is on trial until it has answered under load.
//!
//! Always true: the same rules and the same inputs give the same decisions, so a recorded trace can be replayed.

pub mod bypass;
pub mod correction;
mod damping;
pub mod decision;
mod flap;
mod forced;
mod load;
mod measured;
pub mod model;
mod penalties;
mod question;
mod replanner;
pub mod rules;
mod shift;
mod soft;
pub mod trace;
mod trial;

pub use bypass::bypass;
pub use correction::Corrections;
pub use decision::{Decision, Kind};
pub use load::Load;
pub use measured::{Finding, Outcome};
pub use question::{Answer, Judged, Model, Question, Solved};
pub use replanner::Replanner;
pub use rules::{Bypass, Rules, RulesError};
pub use trial::{Fault, Trial, Verdict, Window};

#[cfg(test)]
mod tests;
