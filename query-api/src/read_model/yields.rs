//! Yield per hour.

use async_graphql::InputObject;
use chrono::{DateTime, Utc};
use platform::postgres::Pool;
use serde::{Deserialize, Serialize};
use sqlx::{FromRow, QueryBuilder};

use super::conditions::{check_names, given};
use super::summed::{check_summed, push_summed_limit};
use crate::error::QueryError;
use crate::paging::{Filter, Within};

/// Which boards; everything that is given must hold.
#[derive(Debug, Clone, Default, InputObject, Serialize, Deserialize)]
pub(crate) struct YieldFilter {
    /// Of this lot.
    pub(crate) lot: Option<String>,
    /// Of this part.
    pub(crate) part: Option<String>,
    /// From this station.
    pub(crate) station: Option<String>,
}

impl YieldFilter {
    /// # Errors
    /// When a name could not be one.
    pub(crate) fn check_arguments(&self) -> Result<(), QueryError> {
        check_names(self.lot.as_deref(), self.part.as_deref(), self.station.as_deref())
    }
}

impl Filter for YieldFilter {
    fn wanted(&self) -> Vec<(&'static str, String)> {
        given([
            ("lot", self.lot.clone()),
            ("station", self.station.clone()),
            ("part", self.part.clone()),
        ])
    }
}

/// The boards judged in one hour.
#[derive(Debug, Clone, FromRow)]
pub(crate) struct YieldHour {
    pub(crate) hour: DateTime<Utc>,
    pub(crate) judged: i64,
    pub(crate) passed: i64,
    pub(crate) review: i64,
    pub(crate) failed: i64,
    pub(crate) defects: i64,
    /// How many rows it is the sum of: one for each lot, part and station.
    pub(crate) rows: i64,
}

/// The hours that began in `[from, to)` and in which boards were judged, in order.
///
/// # Errors
/// When they are sums of more than [`SUMMED_ROWS_MAX`](super::summed::SUMMED_ROWS_MAX) rows: what is read does
/// not grow with the table.
pub(crate) async fn read_hours(
    pool: &Pool,
    filter: &Within<'_, YieldFilter>,
    (from, to): (DateTime<Utc>, DateTime<Utc>),
) -> Result<Vec<YieldHour>, QueryError> {
    let mut sql = QueryBuilder::new(
        "SELECT hour, sum(judged)::bigint AS judged, sum(passed)::bigint AS passed,
                sum(review)::bigint AS review, sum(failed)::bigint AS failed,
                sum(defects)::bigint AS defects, count(*) AS rows
         FROM (SELECT * FROM read.yield_hourly WHERE hour >= ",
    );
    sql.push_bind(from).push(" AND hour < ").push_bind(to);
    filter.push_conditions(&mut sql);
    push_summed_limit(&mut sql);
    sql.push(" GROUP BY hour ORDER BY hour");
    let hours = sql.build_query_as().fetch_all(pool).await;
    let hours: Vec<YieldHour> = hours.map_err(QueryError::from_broad_read)?;
    check_summed(hours.iter().map(|hour| hour.rows))?;
    Ok(hours)
}
