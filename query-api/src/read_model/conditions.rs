//! What the filters of lists have in common: names that must be equal, and a stretch of time.
//!
//! Every stretch is half open: it begins with `from` and ends before `to`.

use chrono::Datelike as _;

use crate::error::QueryError;
use crate::paging::TimeRange;

/// The columns of which a text is given.
pub(crate) fn given<const N: usize>(
    columns: [(&'static str, Option<String>); N],
) -> Vec<(&'static str, String)> {
    columns.into_iter().filter_map(|(column, text)| Some((column, text?))).collect()
}

/// Refuses what can be no lot, part or station: too long, blank, unprintable.
///
/// # Errors
/// Which one, and what it must be.
pub(crate) fn check_names(
    lot: Option<&str>,
    part: Option<&str>,
    station: Option<&str>,
) -> Result<(), QueryError> {
    lot.map(domain::Lot::new).transpose()?;
    part.map(domain::PartNumber::new).transpose()?;
    station.map(domain::Station::new).transpose()?;
    Ok(())
}

/// The years of which a time can be asked for; outside them PostgreSQL may have no such time.
const YEARS: std::ops::RangeInclusive<i32> = 1970..=9999;

/// Refuses a stretch of time that is empty or lies outside any calendar in use.
///
/// # Errors
/// Which end, and what it must be.
pub(crate) fn check_times((from, to): TimeRange) -> Result<(), QueryError> {
    for (argument, time) in [("from", from), ("to", to)] {
        if time.is_some_and(|time| !YEARS.contains(&time.year())) {
            return Err(QueryError::invalid(argument, "must be in the years 1970 to 9999"));
        }
    }
    match (from, to) {
        (Some(from), Some(to)) if from >= to => {
            Err(QueryError::invalid("to", "must be later than from"))
        }
        _ => Ok(()),
    }
}
