//! The forms that clients see, apart from the types inside, so that neither binds the other.
//!
//! Readings that are missing are null or absent, never 0.

mod events;
mod links;
mod plan;
mod state;
mod workers;

pub use events::{EventsDocument, NumberedEntry, PlansDocument, TraceDocument};
pub use links::{LinkDocument, LinksDocument};
pub use plan::{LayersDocument, PlanDocument, RouteDocument, StageDocument};
pub use state::{
    AccuracyDocument, BlockDocument, LoadDocument, NetworkDocument, PinsDocument, PredictedDocument,
    StateDocument, Surroundings,
};
pub use workers::{WorkerDocument, WorkersDocument};
