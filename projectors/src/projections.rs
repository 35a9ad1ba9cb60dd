//! The read models, one module each. docs/read-models.md is the contract of their tables.

mod boards;
mod defects;
mod inspection_overview;
mod inspection_stream;
mod parts;
mod reports;
mod rows;
mod yield_hourly;

use crate::projection::Projection;

/// Every projection. A new one is added here and needs nothing else.
pub const ALL: [&dyn Projection; 5] = [
    &inspection_overview::InspectionOverview,
    &defects::Defects,
    &parts::Parts,
    &yield_hourly::YieldHourly,
    &reports::Reports,
];

/// The projection with this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static dyn Projection> {
    ALL.into_iter().find(|projection| projection.name() == name)
}
