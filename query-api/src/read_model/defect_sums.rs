//! How findings add up by class: from the sums by the day and hour where these know everything that is asked for, and
//! from the findings themselves elsewhere, so that what is read does not grow with the boards.

use chrono::TimeDelta;
use platform::postgres::Pool;
use sqlx::{FromRow, Postgres, QueryBuilder};

use super::defects::DefectFilter;
use super::summed::{check_summed, push_summed_limit, round_down, round_up};
use super::words::DefectClassWord;
use crate::error::QueryError;
use crate::paging::{TimeRange, Within, restrict_time};

/// How many findings there are of a class.
#[derive(Debug, Clone, FromRow)]
pub(crate) struct ClassCount {
    pub(crate) class: DefectClassWord,
    pub(crate) count: i64,
    /// How many rows it is the sum of.
    rows: i64,
}

/// Findings per class, the most frequent first.
///
/// # Errors
/// When they are sums of more than [`SUMMED_ROWS_MAX`](super::summed::SUMMED_ROWS_MAX) rows.
pub(crate) async fn count_by_class(
    pool: &Pool,
    filter: &Within<'_, DefectFilter>,
) -> Result<Vec<ClassCount>, QueryError> {
    let mut sql = QueryBuilder::new(
        "SELECT class, sum(findings)::bigint AS count, count(*) AS rows FROM (SELECT class, findings FROM (",
    );
    let pieces = pieces_of(filter);
    for (n, (source, stretch)) in pieces.into_iter().enumerate() {
        sql.push(if n == 0 { "" } else { " UNION ALL " });
        push_piece(&mut sql, source, stretch, filter);
    }
    sql.push(") AS pieces");
    push_summed_limit(&mut sql);
    sql.push(" GROUP BY class ORDER BY count DESC, class");
    let counts = sql.build_query_as().fetch_all(pool).await;
    let counts: Vec<ClassCount> = counts.map_err(QueryError::from_broad_read)?;
    check_summed(counts.iter().map(|class| class.rows))?;
    Ok(counts)
}

/// Where findings of a stretch of time are read, coarsest last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Findings,
    Hours,
    Days,
}

impl Source {
    const fn select(self) -> &'static str {
        match self {
            Self::Findings => "SELECT class, 1::bigint AS findings FROM read.defects WHERE true",
            Self::Hours => "SELECT class, findings FROM read.station_defects_hourly WHERE true",
            Self::Days => "SELECT class, findings FROM read.station_defects_daily WHERE true",
        }
    }

    const fn time(self) -> &'static str {
        match self {
            Self::Findings => "found_at",
            Self::Hours => "hour",
            Self::Days => "day",
        }
    }
}

fn push_piece(
    sql: &mut QueryBuilder<'_, Postgres>,
    source: Source,
    stretch: TimeRange,
    filter: &Within<'_, DefectFilter>,
) {
    sql.push(source.select());
    filter.push_conditions(sql);
    restrict_time(sql, source.time(), stretch);
}

/// What covers the filter's stretch, each finding once. Sums know neither lots nor single boards.
fn pieces_of(filter: &Within<'_, DefectFilter>) -> Vec<(Source, TimeRange)> {
    if filter.names_lot() || filter.has_others() {
        vec![(Source::Findings, filter.stretch())]
    } else {
        split_stretch(filter.stretch())
    }
}

/// The stretch as whole days, the whole hours beside them, and what is left at its ends.
fn split_stretch(stretch: TimeRange) -> Vec<(Source, TimeRange)> {
    let mut pieces = Vec::new();
    let (mut from, mut to) = stretch;
    let units = [(Source::Findings, TimeDelta::hours(1)), (Source::Hours, TimeDelta::days(1))];
    for (source, unit) in units {
        let (begin, end) =
            (from.map(|from| round_up(from, unit)), to.map(|to| round_down(to, unit)));
        if let (Some(begin), Some(end)) = (begin, end)
            && begin >= end
        {
            pieces.push((source, (from, to)));
            return pieces;
        }
        // An end that is open, or where a whole unit begins, leaves nothing beside it.
        let ends = [(from, begin), (end, to)].into_iter().filter(|(from, to)| from != to);
        pieces.extend(ends.map(|end| (source, end)));
        (from, to) = (begin, end);
    }
    pieces.push((Source::Days, (from, to)));
    pieces
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Utc};

    use super::*;

    fn at(text: &str) -> Option<DateTime<Utc>> {
        Some(format!("2026-11-{text}Z").parse().unwrap())
    }

    #[test]
    fn a_stretch_is_covered_once_and_by_the_coarsest_sums() {
        use Source::{Days, Findings, Hours};
        let (from, to) = (at("01T10:20:30"), at("04T05:06:07"));
        let expected = vec![
            (Findings, (from, at("01T11:00:00"))),
            (Findings, (at("04T05:00:00"), to)),
            (Hours, (at("01T11:00:00"), at("02T00:00:00"))),
            (Hours, (at("04T00:00:00"), at("04T05:00:00"))),
            (Days, (at("02T00:00:00"), at("04T00:00:00"))),
        ];
        assert_eq!(split_stretch((from, to)), expected);
        let days = (at("01T00:00:00"), at("02T00:00:00"));
        assert_eq!(split_stretch(days), [(Days, days)]);
        assert_eq!(split_stretch((None, None)), [(Days, (None, None))]);
        let since = (at("01T11:00:00"), None);
        let expected = [(Hours, (since.0, at("02T00:00:00"))), (Days, (at("02T00:00:00"), None))];
        assert_eq!(split_stretch(since), expected);
        let short = (at("01T10:20:30"), at("01T10:59:59"));
        assert_eq!(split_stretch(short), [(Findings, short)]);
        let night = (at("01T22:00:00"), at("02T03:30:00"));
        let expected =
            [(Findings, (at("02T03:00:00"), night.1)), (Hours, (night.0, at("02T03:00:00")))];
        assert_eq!(split_stretch(night), expected);
    }
}
