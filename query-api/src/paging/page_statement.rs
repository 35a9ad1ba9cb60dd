//! The statement that finds the rows of a page.
//!
//! A list that is restricted to one value of one column is read by that column's index, in the list's order. The
//! server would choose among its indexes by estimates of how often values occur, which say nothing about where: of
//! a part that is not made any more it would go through everything that came after it. So the statement asks for
//! an order that only that index has: its column first. The column is bounded from both sides instead of
//! compared, because what is known to be constant would be left out of the order again.
//!
//! Invariant: a page of one condition reads little more than its rows. Of several the server chooses one, and
//! how many rows it passes over for the others nobody knows; that takes no longer than a statement may.

use chrono::{DateTime, Utc};
use platform::postgres::Pool;
use sqlx::{Postgres, QueryBuilder};

use super::{Filter, IndexedValue, Listed, PageRequest, TimeRange, restrict_time};
use crate::error::QueryError;

/// The rows of `page` and one more where there are more, in the order in which the page is read.
///
/// # Errors
/// When the database does not answer, or rows for which several conditions hold take too long to find.
pub(super) async fn read_rows<R: Listed>(
    pool: &Pool,
    page: &PageRequest<R::Key>,
    filter: &impl Filter,
) -> Result<Vec<R>, QueryError> {
    let mut sql = QueryBuilder::new("");
    push_rows::<R>(&mut sql, page, filter);
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
    filter: &impl Filter,
) -> Result<i64, QueryError> {
    let mut sql = QueryBuilder::new("SELECT count(*) FROM (");
    push_rows::<R>(&mut sql, page, filter);
    sql.push(") AS counted");
    let count = sql.build_query_scalar().fetch_one(pool).await;
    count.map_err(|error| explain_failure(error, filter))
}

/// Rows of which an index serves only one of several conditions may take too long to find.
fn explain_failure(error: sqlx::Error, filter: &impl Filter) -> QueryError {
    match filter.is_combined() {
        true => QueryError::from_broad_read(error),
        false => error.into(),
    }
}

fn push_rows<R: Listed>(
    sql: &mut QueryBuilder<'_, Postgres>,
    page: &PageRequest<R::Key>,
    filter: &impl Filter,
) {
    sql.push(R::SELECT).push(" WHERE true");
    match filter.only_value() {
        Some(value) => push_led::<R>(sql, page, filter, &value),
        None => {
            filter.push_conditions(sql);
            restrict_time(sql, R::KEY[0], stretch_beside::<R>(page, filter));
            push_place::<R>(sql, page, None);
            push_order::<R>(sql, page, None);
        }
    }
    // One more than asked for tells whether more follow.
    sql.push(" LIMIT ").push_bind(i64::try_from(page.limit + 1).unwrap_or(i64::MAX));
}

/// The rows of the leading value from the page's place on, in the order that only its index has. They have one
/// bound on each side: a second one would be looked at for each row instead of being begun at.
fn push_led<R: Listed>(
    sql: &mut QueryBuilder<'_, Postgres>,
    page: &PageRequest<R::Key>,
    filter: &impl Filter,
    value: &IndexedValue,
) {
    let (from, to) = stretch_beside::<R>(page, filter);
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
fn stretch_beside<R: Listed>(page: &PageRequest<R::Key>, filter: &impl Filter) -> TimeRange {
    let (from, to) = filter.stretch();
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
    leading: Option<&IndexedValue>,
) {
    let Some(key) = &page.beside else { return };
    let (before, behind) = if is_descending::<R>(page) { ("<", ">") } else { (">", "<") };
    let columns = R::KEY.join(", ");
    match leading {
        Some(value) => {
            sql.push(format!(" AND ({}, {columns}) {before}= (", value.column));
            sql.push_bind(value.text.clone()).push(", ");
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
    leading: Option<&IndexedValue>,
) {
    let direction = if is_descending::<R>(page) { "DESC" } else { "ASC" };
    let columns = leading.map(|value| value.column).into_iter().chain(R::KEY.iter().copied());
    let order: Vec<_> = columns.map(|column| format!("{column} {direction}")).collect();
    sql.push(format!(" ORDER BY {}", order.join(", ")));
}

fn is_descending<R: Listed>(page: &PageRequest<R::Key>) -> bool {
    R::DESCENDING != page.backward
}

impl IndexedValue {
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
                sql.push_bind(self.text.clone()).push(", ").push_bind(at).push(")");
            }
            None => {
                sql.push(format!(" AND {} {comparison} ", self.column));
                sql.push_bind(self.text.clone());
            }
        }
    }
}
