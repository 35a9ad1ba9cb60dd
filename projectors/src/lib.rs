//! Read models and reports, built from the event log.
//!
//! A [`Projection`] turns events into rows inside a transaction that also moves its checkpoint; see
//! docs/read-models.md for what they write. Each has numbered generations: one serves, and
//! [`rebuild()`] fills the next beside it and swaps.
//!
//! Invariants: only this crate writes read tables; a projection has one writer at a time; what an
//! event cannot do to a read model stops its own stream and no other.

mod generation;
mod hint;
mod lease;
mod page;
mod projection;
mod projections;
mod rebuild;
mod retry;
mod runner;
mod schema_version;
mod service;
mod status;

pub use generation::{GenerationStatus, ensure, ensure_each};
pub use hint::PROJECTED_CHANNEL;
pub use page::Poison;
pub use projection::{ApplyError, Projection, ProjectionDefinition};
pub use projections::{ALL, find};
pub use rebuild::{
    Comparison, Progress, RebuildError, RebuildOptions, RebuildReport, TableDifference, Verified,
    rebuild, verify, verify_each,
};
pub use retry::{RetryError, retry};
pub use runner::{ProjectError, catch_up};
pub use schema_version::SchemaMismatch;
pub use service::{ProjectorsConfig, run, run_each};
pub use status::{ParkedStream, ProjectionStatus, StatusError, parked, status};
