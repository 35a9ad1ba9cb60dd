//! The language of visual inspection and its rules.
//!
//! Stations open an [`Inspection`] of a part, upload pictures, and ask for a [`Judgement`]. A [`Part`]
//! owns the golden sample that pictures are compared with and the [`Recipe`] that they are judged by.
//! A [`ModelRoute`] says which version of a network compares them. A [`ProjectionRepair`] says what was
//! decided about events that a read model cannot take. [`PictureRetention`] says how long pictures are kept.
//! [`AccessControl`] says who may do what, and where, and
//! [`AccessAttempts`] who was let in and who was not.
//! Commands are decided and events evolved by pure functions (see [`Aggregate`]); a [`Report`] is a
//! pure function of an inspection's events.
//!
//! Absent on purpose: I/O, clocks, randomness, async. Ids and times arrive inside commands.

#![warn(clippy::wildcard_enum_match_arm)]

mod access_attempts;
mod access_control;
mod aggregate;
mod area;
mod cqrs;
mod defect;
mod detection_limit;
mod difference;
pub mod inspection;
mod judgement;
pub mod model_route;
pub mod part;
mod picture;
pub mod picture_retention;
mod projection_repair;
mod reach;
mod read_model;
mod recipe;
pub mod report;
mod scale;
#[cfg(test)]
mod test_support;
mod value;
mod vocabulary;

pub use access_attempts::{
    ANYBODY, AccessAttemptEvent, AccessAttempts, AccessAttemptsCommand, AccessAttemptsRejection,
};
pub use access_control::{
    AccessControl, AccessControlCommand, AccessControlEvent, AccessControlRejection, ClientKey,
    DisplayName, Holdings, KeyAlgorithm, NewPrincipal, Principal, PrincipalKind, PrincipalName,
    Role, SessionEndCause,
};
pub use aggregate::{
    Aggregate, EventLabels, Rejection, StoredEvent, UnknownStoredEvent, UpcastError, Upcaster,
};
pub use area::InspectedArea;
pub use defect::{Confidence, Defect, DefectClass, PixelBox};
pub use detection_limit::{ComparisonMethod, DetectionLimit};
pub use difference::{Coverage, DifferenceKind, UnexplainedDifference};
pub use inspection::{
    ArtifactState, Inspection, InspectionCommand, InspectionEvent, InspectionRejection,
    InspectionState,
};
pub use judgement::{FiredRule, Judgement, NotComparable, View, judge};
pub use model_route::{ModelRoute, ModelRouteCommand, ModelRouteEvent, ModelRouteRejection};
pub use part::{GoldenPurpose, GoldenSampleUse, Part, PartCommand, PartEvent, PartRejection};
pub(crate) use picture::is_awaited;
pub use picture::{MediaType, Picture, PictureOwner, RESERVATION_MAX, Renewal, UploadSlot};
pub use picture_retention::{
    PictureRetention, PictureRetentionCommand, PictureRetentionEvent, PictureRetentionRejection,
    RetentionClass, RetentionDays, RetentionPeriods,
};
pub use projection_repair::{
    PoisonedEvent, ProjectionRepair, ProjectionRepairCommand, ProjectionRepairEvent,
    ProjectionRepairRejection,
};
pub use reach::{REACH_MAX, Reach};
pub use read_model::{GenerationStatus, ProjectionName};
pub use recipe::{Grade, Recipe, ViewName};
pub use report::Report;
pub use scale::{MillimetreBox, PixelScale, ScaleConflict, check_scale};
pub use value::{
    ArtifactId, InspectionId, Invalid, Lot, NAME_MAX_CHARS, PartNumber, ReportId, Sha256, Station,
};
