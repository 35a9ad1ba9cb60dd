//! Yield by the hour and by the day.

use async_graphql::{Enum, InputObject};
use chrono::{DateTime, TimeDelta, Utc};
use platform::postgres::Pool;
use serde::{Deserialize, Serialize};
use sqlx::{FromRow, QueryBuilder};

use super::conditions::{check_names, given};
use super::summed::{check_summed, push_summed_limit, round_up};
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

const DAY: TimeDelta = TimeDelta::days(1);

/// What a yield series is divided into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub(crate) enum YieldInterval {
    /// Hours.
    Hour,
    /// Days, from midnight UTC.
    Day,
}

/// The boards judged in one hour or day.
#[derive(Debug, Clone, FromRow)]
pub(crate) struct YieldSum {
    pub(crate) begins_at: DateTime<Utc>,
    pub(crate) judged: i64,
    pub(crate) passed: i64,
    pub(crate) review: i64,
    pub(crate) failed: i64,
    pub(crate) defects: i64,
    /// How many rows it is the sum of: one for each part and station, and for each lot where one is named.
    pub(crate) rows: i64,
}

/// The hours or days that began in `[from, to)` and in which boards were judged, in order.
///
/// # Errors
/// When they are sums of more than [`SUMMED_ROWS_MAX`](super::summed::SUMMED_ROWS_MAX) rows: what is read does
/// not grow with the table.
pub(crate) async fn read_sums(
    pool: &Pool,
    filter: &Within<'_, YieldFilter>,
    interval: YieldInterval,
    (from, to): (DateTime<Utc>, DateTime<Utc>),
) -> Result<Vec<YieldSum>, QueryError> {
    // Of a lot there are few rows; of everything else there are sums without lots.
    let (source, time, begins_at) = match (filter.names_lot(), interval) {
        (true, YieldInterval::Hour) => ("yield_hourly", "hour", "hour"),
        (true, YieldInterval::Day) => ("yield_hourly", "hour", "date_trunc('day', hour, 'UTC')"),
        (false, YieldInterval::Hour) => ("station_yield_hourly", "hour", "hour"),
        (false, YieldInterval::Day) => ("station_yield_daily", "day", "day"),
    };
    // A day that began before `from` is left out whole, and one that began before `to` is whole, of a lot too.
    let (from, to) = match interval {
        YieldInterval::Hour => (from, to),
        YieldInterval::Day => (round_up(from, DAY), round_up(to, DAY)),
    };
    let mut sql = QueryBuilder::new(format!(
        "SELECT {begins_at} AS begins_at, sum(judged)::bigint AS judged, sum(passed)::bigint AS passed,
                sum(review)::bigint AS review, sum(failed)::bigint AS failed,
                sum(defects)::bigint AS defects, count(*) AS rows
         FROM (SELECT * FROM read.{source} WHERE {time} >= "
    ));
    sql.push_bind(from).push(format!(" AND {time} < ")).push_bind(to);
    filter.push_conditions(&mut sql);
    push_summed_limit(&mut sql);
    sql.push(" GROUP BY 1 ORDER BY 1");
    let sums = sql.build_query_as().fetch_all(pool).await;
    let sums: Vec<YieldSum> = sums.map_err(QueryError::from_broad_read)?;
    check_summed(sums.iter().map(|sum| sum.rows))?;
    Ok(sums)
}
