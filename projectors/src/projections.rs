//! The read models, one module each. docs/read-models.md is the contract of their tables.

mod audit_trail;
mod defects;
mod folded_inspection;
mod inspection_context;
mod inspection_overview;
mod parts;
mod read_model;
mod reports;
mod yield_hourly;

pub use folded_inspection::{FoldedInspection, fold_inspection};

use crate::projection::Projection;
use audit_trail::AuditTrail;
use inspection_context::FindingsInContext;
use read_model::ReadModelProjection;

/// Every projection. A new one is added here and needs nothing else.
pub const ALL: [&dyn Projection; 6] = [
    &ReadModelProjection::<inspection_overview::InspectionOverview>::NEW,
    &ReadModelProjection::<FindingsInContext<defects::Defects>>::NEW,
    &ReadModelProjection::<parts::Parts>::NEW,
    &ReadModelProjection::<FindingsInContext<yield_hourly::YieldHourly>>::NEW,
    &ReadModelProjection::<reports::Reports>::NEW,
    &AuditTrail,
];

/// The projection with this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static dyn Projection> {
    ALL.into_iter().find(|projection| projection.name() == name)
}
