//! What the filters of lists have in common: names that must be equal, and a stretch of time.
//!
//! Every stretch is half open: it begins with `from` and ends before `to`.

use chrono::Datelike as _;
use sqlx::{Postgres, QueryBuilder};

use crate::error::QueryError;
use crate::paging::{IndexedValue, TimeRange};

/// Appends ` AND column = value` when there is a value.
pub(crate) fn restrict_text(
    sql: &mut QueryBuilder<'_, Postgres>,
    column: &str,
    value: Option<String>,
) {
    if let Some(value) = value {
        sql.push(format!(" AND {column} = ")).push_bind(value);
    }
}

/// The one of `values` that is given, when no other is.
pub(crate) fn only_given<const N: usize>(
    values: [(&'static str, Option<String>); N],
) -> Option<IndexedValue> {
    let mut given = values.into_iter().filter_map(|(column, value)| Some((column, value?)));
    let (column, text) = given.next()?;
    given.next().is_none().then_some(IndexedValue { column, text })
}

/// Whether more than one of `conditions` is given.
pub(crate) fn is_more_than_one<const N: usize>(conditions: [bool; N]) -> bool {
    conditions.into_iter().filter(|is_given| *is_given).count() > 1
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
