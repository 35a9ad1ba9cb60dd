//! The statement that finds the rows of a page.
//!
//! A list that is restricted to one value of one column is read by that column's index, in the list's order. The
//! server would choose among its indexes by estimates of how often values occur, which say nothing about where: of
//! a part that is not made any more it would go through everything that came after it. So the statement asks for
//! an order that only that index has: its column first. The column is bounded from both sides instead of
//! compared, because what is known to be constant would be left out of the order again. Of several values, such as
//! the stations that somebody is limited to, the rows of each are read so, and the page is taken from all of them.
//!
//! Invariant: a page of one condition reads little more than its rows. Of several the server chooses one, and
//! how many rows it passes over for the others nobody knows; that takes no longer than a statement may.

use chrono::{DateTime, Utc};
use platform::postgres::Pool;
use sqlx::{Postgres, QueryBuilder};

use super::{Filter, Listed, PageRequest, TimeRange, Within, restrict_time};
use crate::error::QueryError;
use crate::visibility::WantedColumn;

/// The value of several that rows are read of.
const EACH_VALUE: &str = "each_value.led_by";

/// The rows of `page` and one more where there are more, in the order in which the page is read.
///
/// # Errors
/// When the database does not answer, or rows for which several conditions hold take too long to find.
pub(super) async fn read_rows<R: Listed>(
    pool: &Pool,
    page: &PageRequest<R::Key>,
    filter: &Within<'_, impl Filter>,
) -> Result<Vec<R>, QueryError> {
    let mut sql = QueryBuilder::new("");
    push_rows::<R>(&mut sql, page, filter, true);
    let rows = sql.build_query_as().fetch_all(pool).await;
    rows.map_err(|error| explain_failure(error, filter))
}

/// How many rows [`read_rows`] finds, at most one more than the page holds: what is found by an index in the
/// order of the list is counted by it as well.
///
/// # Errors
/// As there.
pub(super) async fn count_rows<R: Listed>(
    pool: &Pool,
    page: &PageRequest<R::Key>,
    filter: &Within<'_, impl Filter>,
) -> Result<i64, QueryError> {
    let mut sql = QueryBuilder::new("SELECT count(*) FROM (");
    push_rows::<R>(&mut sql, page, filter, false);
    sql.push(") AS counted");
    let count = sql.build_query_scalar().fetch_one(pool).await;
    count.map_err(|error| explain_failure(error, filter))
}

/// Rows of which an index serves only one of several conditions may take too long to find.
fn explain_failure(error: sqlx::Error, filter: &Within<'_, impl Filter>) -> QueryError {
    match filter.is_combined() {
        true => QueryError::from_broad_read(error),
        false => error.into(),
    }
}

/// Appends the statement. Who counts needs no order among the rows of several values, and has no more of them
/// found than are counted.
fn push_rows<R: Listed>(
    sql: &mut QueryBuilder<'_, Postgres>,
    page: &PageRequest<R::Key>,
    filter: &Within<'_, impl Filter>,
    is_ordered: bool,
) {
    let select = if is_ordered { R::SELECT } else { R::SELECT_COUNTED };
    match filter.leading() {
        Some((leading, others)) => match leading.texts.as_slice() {
            [text] => {
                let value = LedBy { column: leading.column, text: Some(text) };
                push_led::<R>(sql, (page, select), filter.stretch(), &value, &others);
            }
            // Told which value it is, the server knows how many rows there are to be passed by.
            texts if !is_ordered => {
                sql.push("SELECT * FROM (");
                for (number, text) in texts.iter().enumerate() {
                    sql.push(if number == 0 { "(" } else { " UNION ALL (" });
                    let value = LedBy { column: leading.column, text: Some(text) };
                    push_led::<R>(sql, (page, select), filter.stretch(), &value, &others);
                    push_limit(sql, page.limit);
                    sql.push(")");
                }
                sql.push(") AS of_each");
            }
            texts => {
                sql.push("SELECT of_each.* FROM unnest(").push_bind(texts.to_vec());
                sql.push("::text[]) AS each_value(led_by) CROSS JOIN LATERAL (");
                let value = LedBy { column: leading.column, text: None };
                push_led::<R>(sql, (page, select), filter.stretch(), &value, &others);
                push_limit(sql, page.limit);
                sql.push(") AS of_each");
                push_order::<R>(sql, page, None);
            }
        },
        None => {
            sql.push(select).push(" WHERE true");
            filter.push_conditions(sql);
            restrict_time(sql, R::KEY[0], stretch_beside::<R>(page, filter.stretch()));
            push_place::<R>(sql, page, None);
            push_order::<R>(sql, page, None);
        }
    }
    push_limit(sql, page.limit);
}

/// One more than asked for tells whether more follow.
fn push_limit(sql: &mut QueryBuilder<'_, Postgres>, limit: usize) {
    sql.push(" LIMIT ").push_bind(i64::try_from(limit + 1).unwrap_or(i64::MAX));
}

/// The rows of the leading value from the page's place on, in the order that only its index has. They have one
/// bound on each side: a second one would be looked at for each row instead of being begun at.
fn push_led<R: Listed>(
    sql: &mut QueryBuilder<'_, Postgres>,
    (page, select): (&PageRequest<R::Key>, &str),
    stretch: TimeRange,
    value: &LedBy<'_>,
    others: &[&WantedColumn],
) {
    sql.push(select).push(" WHERE true");
    others.iter().for_each(|other| other.push_condition(sql));
    let (from, to) = stretch_beside::<R>(page, stretch);
    let (is_placed, descending) = (page.beside.is_some(), is_descending::<R>(page));
    // The place of a page is within the rows of the value.
    if !is_placed || descending {
        value.push_bound(sql, R::KEY[0], ">=", from);
    }
    if !is_placed || !descending {
        value.push_bound(sql, R::KEY[0], "<=", to);
    }
    if let Some(to) = to {
        sql.push(format!(" AND {} < ", R::KEY[0])).push_bind(to);
    }
    push_place::<R>(sql, page, Some(value));
    push_order::<R>(sql, page, Some(value));
}

/// The filter's stretch, without the end that the page's place is the nearer bound for: the place is within it, and
/// the server begins at the first bound that it is told, not at the nearest.
fn stretch_beside<R: Listed>(page: &PageRequest<R::Key>, (from, to): TimeRange) -> TimeRange {
    match (&page.beside, is_descending::<R>(page)) {
        (None, _) => (from, to),
        (Some(_), true) => (from, None),
        (Some(_), false) => (None, to),
    }
}

/// Behind the row that the page is beside. Where a value leads, its index is begun at that row, and the row is
/// left out by a condition that no index serves: those of the key alone are before it in any value, and where few
/// are, the server would read and sort them all.
fn push_place<R: Listed>(
    sql: &mut QueryBuilder<'_, Postgres>,
    page: &PageRequest<R::Key>,
    leading: Option<&LedBy<'_>>,
) {
    let Some(key) = &page.beside else { return };
    let (before, behind) = if is_descending::<R>(page) { ("<", ">") } else { (">", "<") };
    let columns = R::KEY.join(", ");
    match leading {
        Some(value) => {
            sql.push(format!(" AND ({}, {columns}) {before}= (", value.column));
            value.push_value(sql);
            sql.push(", ");
            R::bind_key(key.clone(), &mut sql.separated(", "));
            sql.push(format!(") AND NOT ({columns}) {behind}= ("));
        }
        None => {
            sql.push(format!(" AND ({columns}) {before} ("));
        }
    }
    R::bind_key(key.clone(), &mut sql.separated(", "));
    sql.push(")");
}

fn push_order<R: Listed>(
    sql: &mut QueryBuilder<'_, Postgres>,
    page: &PageRequest<R::Key>,
    leading: Option<&LedBy<'_>>,
) {
    let direction = if is_descending::<R>(page) { "DESC" } else { "ASC" };
    let columns = leading.map(|value| value.column).into_iter().chain(R::KEY.iter().copied());
    let order: Vec<_> = columns.map(|column| format!("{column} {direction}")).collect();
    sql.push(format!(" ORDER BY {}", order.join(", ")));
}

fn is_descending<R: Listed>(page: &PageRequest<R::Key>) -> bool {
    R::DESCENDING != page.backward
}

/// The column whose index is read, and its value: a text, or each of several.
struct LedBy<'a> {
    column: &'static str,
    text: Option<&'a String>,
}

impl LedBy<'_> {
    fn push_value(&self, sql: &mut QueryBuilder<'_, Postgres>) {
        match self.text {
            Some(text) => sql.push_bind(text.clone()),
            None => sql.push(EACH_VALUE),
        };
    }

    /// ` AND column comparison value`, or with the first column of the key behind it.
    fn push_bound(
        &self,
        sql: &mut QueryBuilder<'_, Postgres>,
        key: &str,
        comparison: &str,
        at: Option<DateTime<Utc>>,
    ) {
        match at {
            Some(at) => {
                sql.push(format!(" AND ({}, {key}) {comparison} (", self.column));
                self.push_value(sql);
                sql.push(", ").push_bind(at).push(")");
            }
            None => {
                sql.push(format!(" AND {} {comparison} ", self.column));
                self.push_value(sql);
            }
        }
    }
}
