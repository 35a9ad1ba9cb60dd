//! Keyset pages: `first/after` or `last/before` in, a slice of rows with its neighbours known out.
//!
//! Invariants: a page is found by the sort key of its neighbour, never by an offset, so rows that
//! are inserted meanwhile neither repeat nor hide another. How many rows are read for a page of one condition
//! does not grow with the table (`paging/page_statement.rs`).

mod page_statement;
mod within;

use chrono::{DateTime, Utc};
use platform::postgres::Pool;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::postgres::PgRow;
use sqlx::query_builder::Separated;
use sqlx::{FromRow, Postgres, QueryBuilder};

use crate::cursor::{CursorKey, CursorScope};
use crate::error::QueryError;
use crate::visibility::Placed;
pub(crate) use within::Within;

/// Rows of a page when nothing is said.
pub(crate) const PAGE_DEFAULT: usize = 50;
/// The most rows of a page.
pub(crate) const PAGE_MAX: usize = 200;

/// The most rows of a list that are counted: how many a longer one has is not said, so that what counting
/// takes does not grow with the table.
pub(crate) const COUNTED_MAX: i32 = 10_000;

/// Rows that are listed in the order of a unique key.
pub(crate) trait Listed: for<'r> FromRow<'r, PgRow> + Send + Unpin + 'static {
    /// The values of the key, as they stand in a cursor.
    type Key: Serialize + DeserializeOwned + Clone + Send + Sync + 'static;
    /// The list's name in its cursors; another order would be another name.
    const NAME: &'static str;
    /// `SELECT … FROM …`
    const SELECT: &'static str;
    /// The same rows with what restricts and orders them alone: what else is shown need not be fetched to count them.
    const SELECT_COUNTED: &'static str = Self::SELECT;
    /// The columns of the key, the most significant first.
    const KEY: &'static [&'static str];
    /// Whether the greatest key comes first.
    const DESCENDING: bool;
    /// Where a row says whose it is.
    const PLACED: Placed;
    /// The most rows of a page: fewer where one row may be large.
    const PAGE_MAX: usize = PAGE_MAX;

    /// This row's key.
    fn sort_key(&self) -> Self::Key;
    /// Binds the values of a key in the order of [`Self::KEY`].
    fn bind_key(key: Self::Key, values: &mut Separated<'_, '_, Postgres, &'static str>);
}

/// From when on, and before when.
pub(crate) type TimeRange = (Option<DateTime<Utc>>, Option<DateTime<Utc>>);

/// What restricts a list; its JSON is part of every cursor. It is asked only [`Within`] the reach of who asks.
pub(crate) trait Filter: Serialize + Sync {
    /// The columns that must hold a text, and which; an index of each goes on in the list's order.
    fn wanted(&self) -> Vec<(&'static str, String)>;

    /// Another text that a wanted column may hold as well, where one is always meant.
    fn or_else(&self) -> Option<(&'static str, &'static str)> {
        None
    }

    /// Appends ` AND …` for what is restricted otherwise, but for [`Self::stretch`].
    fn push_others(&self, _sql: &mut QueryBuilder<'_, Postgres>) {}

    /// Whether anything is.
    fn has_others(&self) -> bool {
        false
    }

    /// From when on, and before when, the first column of the key must be.
    fn stretch(&self) -> TimeRange {
        (None, None)
    }

    /// Whether few rows pass, however long the list is.
    fn is_small(&self) -> bool {
        false
    }
}

/// The four arguments of a Relay connection, as they come.
#[derive(Debug, Default)]
pub(crate) struct PageArguments {
    pub(crate) first: Option<i32>,
    pub(crate) after: Option<String>,
    pub(crate) last: Option<i32>,
    pub(crate) before: Option<String>,
}

/// Which rows: so many, behind or in front of a key.
#[derive(Debug)]
pub(crate) struct PageRequest<K> {
    backward: bool,
    limit: usize,
    beside: Option<K>,
}

impl<K: Serialize> PageRequest<K> {
    /// What names the page among all that are read: of which list, what restricts it, and which rows.
    ///
    /// # Errors
    /// None is known.
    pub(crate) fn name<R: Listed<Key = K>>(
        &self,
        filter: &Within<'_, impl Filter>,
    ) -> Result<String, QueryError> {
        let Self { backward, limit, beside } = self;
        serde_json::to_string(&(R::NAME, filter, backward, limit, beside))
            .map_err(QueryError::internal)
    }
}

/// The rows of a page, in the list's order.
#[derive(Debug)]
pub(crate) struct Slice<R> {
    pub(crate) rows: Vec<R>,
    pub(crate) has_previous: bool,
    pub(crate) has_next: bool,
}

/// Checks the arguments of a page. Runs no SQL.
///
/// # Errors
/// When both directions are asked for, the page is too large, or the cursor is not of this query.
pub(crate) fn parse_page<R: Listed>(
    arguments: PageArguments,
    filter: &Within<'_, impl Filter>,
    key: &CursorKey,
) -> Result<PageRequest<R::Key>, QueryError> {
    let PageArguments { first, after, last, before } = arguments;
    let backward = last.is_some() || before.is_some();
    if backward && (first.is_some() || after.is_some()) {
        let must = "must stand alone: send first and after, or last and before, never both";
        return Err(QueryError::invalid(if last.is_some() { "last" } else { "before" }, must));
    }
    let (argument, size, cursor) =
        if backward { ("last", last, before) } else { ("first", first, after) };
    let limit = match size {
        None => PAGE_DEFAULT.min(R::PAGE_MAX),
        Some(size) => {
            let size = usize::try_from(size).ok().filter(|size| (1..=R::PAGE_MAX).contains(size));
            let must = || QueryError::invalid(argument, format!("must be 1 to {}", R::PAGE_MAX));
            size.ok_or_else(must)?
        }
    };
    let scope = CursorScope::new(R::NAME, filter);
    let beside = cursor.map(|cursor| key.open(&scope, &cursor)).transpose()?;
    Ok(PageRequest { backward, limit, beside })
}

/// Reads a page.
///
/// # Errors
/// When the database does not answer, takes too long to find rows for which several conditions hold, or the
/// read model does not exist.
pub(crate) async fn read_page<R: Listed>(
    pool: &Pool,
    page: PageRequest<R::Key>,
    filter: &Within<'_, impl Filter>,
) -> Result<Slice<R>, QueryError> {
    let mut rows: Vec<R> = page_statement::read_rows(pool, &page, filter).await?;
    let PageRequest { backward, limit, beside } = page;
    let is_beside = beside.is_some();
    let has_more = rows.len() > limit;
    rows.truncate(limit);
    if backward {
        rows.reverse();
    }
    let (has_previous, has_next) =
        if backward { (has_more, is_beside) } else { (is_beside, has_more) };
    Ok(Slice { rows, has_previous, has_next })
}

/// How many rows a list has; `None` when they are more than [`COUNTED_MAX`].
///
/// # Errors
/// As [`read_page`].
pub(crate) async fn count_rows<R: Listed>(
    pool: &Pool,
    filter: &Within<'_, impl Filter>,
) -> Result<Option<i32>, QueryError> {
    let limit = usize::try_from(COUNTED_MAX).unwrap_or(usize::MAX);
    let from_the_first = PageRequest::<R::Key> { backward: false, limit, beside: None };
    let count = page_statement::count_rows::<R>(pool, &from_the_first, filter).await?;
    Ok(i32::try_from(count).ok().filter(|count| *count <= COUNTED_MAX))
}

/// The cursor of a row in the list with this filter.
pub(crate) fn cursor_of<R: Listed>(
    row: &R,
    filter: &Within<'_, impl Filter>,
    key: &CursorKey,
) -> String {
    key.seal_cursor(&CursorScope::new(R::NAME, filter), &row.sort_key())
}

impl<R: Listed> Slice<R> {
    /// The cursor behind the last row, when more rows follow.
    pub(crate) fn next_cursor(
        &self,
        filter: &Within<'_, impl Filter>,
        key: &CursorKey,
    ) -> Option<String> {
        self.rows.last().filter(|_| self.has_next).map(|row| cursor_of(row, filter, key))
    }
}

/// Appends what keeps `column` within `range`.
pub(crate) fn restrict_time(
    sql: &mut QueryBuilder<'_, Postgres>,
    column: &str,
    (from, to): TimeRange,
) {
    if let Some(from) = from {
        sql.push(format!(" AND {column} >= ")).push_bind(from);
    }
    if let Some(to) = to {
        sql.push(format!(" AND {column} < ")).push_bind(to);
    }
}
