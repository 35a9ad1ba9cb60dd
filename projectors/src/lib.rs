//! Read models and reports, built from the event log.
//!
//! A [`Projection`] turns events into rows inside a transaction that also moves its checkpoint; see
//! docs/read-models.md for what they write. Each has numbered generations: one serves, and
//! [`rebuild()`] fills the next beside it and swaps.
//!
//! Invariants: only this crate writes read tables; a projection has one writer at a time; what an
//! event cannot do to a read model stops its own stream and no other.

mod audit_entry;
mod beyond_log;
mod blockade;
mod checkpoint;
mod generation;
mod page_writer;
mod parked_streams;
mod poison;
mod projection;
mod projections;
mod rebuild;
mod repair;
mod replay;
mod schema_version;
mod service;
mod serving_projector;
mod status;
mod summaries;

pub use audit_entry::{
    AuditEntry, BeforeEvent, ChangedValue, Concerns, EarlierEvent, EntryActor, EntryCause,
    EntryStream, ReplaceableValue, cause_within_stream, replaceable_values,
};
pub use beyond_log::BeyondLog;
pub use generation::tables::{ensure, ensure_each};
pub use poison::Poison;
pub use projection::{ApplyError, Projection, ProjectionDefinition};
pub use projections::{ALL, FoldedInspection, find, fold_inspection};
pub use rebuild::{
    Comparison, Progress, RebuildError, RebuildOptions, RebuildReport, TableDifference, Verified,
    rebuild, verify, verify_each,
};
pub use replay::{
    Replay, ReplayError, ReplayedReport, ReplayedTable, Retirements, check_inspection,
};
pub use schema_version::{SchemaMismatch, list_of_other_flavour};
pub use service::{ProjectorsConfig, Service};
pub use serving_projector::catch_up;
pub use status::{
    ParkedStream, ProjectionStatus, StatusError, find_parked_stream, list_generations,
    list_parked_streams, list_stopped_by, read_parked_stream, serving_position,
};
pub use summaries::refresh_summaries;
