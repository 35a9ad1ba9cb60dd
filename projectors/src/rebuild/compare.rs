//! Compares two generations of a projection: every table, row by row as text, in any order.

use std::fmt;

use sqlx::PgConnection;

use crate::generation::{Generation, schema};

/// How two generations compare.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Comparison {
    /// Events that the old one counts as read, and the new one.
    pub events_read: (i64, i64),
    /// Streams that are parked in the old one, and in the new one.
    pub parked_streams: (i64, i64),
    /// The tables that differ.
    pub differences: Vec<TableDifference>,
}

/// How a table differs between two generations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableDifference {
    /// The table.
    pub table: String,
    /// How many rows the old one has; `None` when it has no such table.
    pub old_rows: Option<i64>,
    /// How many rows the new one has; `None` when it has no such table.
    pub new_rows: Option<i64>,
    /// Rows that only the old one has, or has in another form.
    pub only_old: i64,
    /// Rows that only the new one has, or has in another form.
    pub only_new: i64,
}

impl Comparison {
    /// Whether nothing differs.
    #[must_use]
    pub fn is_identical(&self) -> bool {
        self.differences.is_empty()
            && self.events_read.0 == self.events_read.1
            && self.parked_streams.0 == self.parked_streams.1
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_identical() {
            return f.write_str("identical");
        }
        let (old, new) = self.events_read;
        write!(f, "events read {old} → {new}")?;
        let (old, new) = self.parked_streams;
        write!(f, ", parked streams {old} → {new}")?;
        self.differences.iter().try_for_each(|table| write!(f, ", {table}"))
    }
}

impl fmt::Display for TableDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = |rows: Option<i64>| rows.map_or("no table".to_owned(), |n| format!("{n} rows"));
        let (old, new) = (rows(self.old_rows), rows(self.new_rows));
        let Self { table, only_old, only_new, .. } = self;
        write!(f, "{table} {old} → {new} ({only_old} only in the old, {only_new} only in the new)")
    }
}

/// Compares generation `old` of the projection with `new`.
pub(super) async fn compare_generations(
    tx: &mut PgConnection,
    old: i32,
    new: &Generation,
) -> Result<Comparison, sqlx::Error> {
    let name = new.projection.name();
    let (old_schema, new_schema) = (schema(name, old), new.schema());
    let mut comparison = Comparison {
        events_read: (events_read(tx, name, old).await?, events_read(tx, name, new.number).await?),
        parked_streams: (parked(tx, name, old).await?, parked(tx, name, new.number).await?),
        differences: Vec::new(),
    };
    let tables: Vec<(String, bool, bool)> = sqlx::query_as(
        "SELECT tablename::text, bool_or(schemaname = $1), bool_or(schemaname = $2)
         FROM pg_tables WHERE schemaname IN ($1, $2) GROUP BY tablename ORDER BY tablename",
    )
    .bind(&old_schema)
    .bind(&new_schema)
    .fetch_all(&mut *tx)
    .await?;
    for (table, in_old, in_new) in tables {
        let old_table = in_old.then(|| format!("{old_schema}.{table}"));
        let new_table = in_new.then(|| format!("{new_schema}.{table}"));
        comparison.differences.extend(compare_tables(tx, table, old_table, new_table).await?);
    }
    Ok(comparison)
}

async fn compare_tables(
    tx: &mut PgConnection,
    table: String,
    old: Option<String>,
    new: Option<String>,
) -> Result<Option<TableDifference>, sqlx::Error> {
    let old_content = content(tx, old.as_deref()).await?;
    let new_content = content(tx, new.as_deref()).await?;
    if old_content == new_content {
        return Ok(None);
    }
    let (old_rows, new_rows) = (old_content.map(|c| c.rows), new_content.map(|c| c.rows));
    let (only_old, only_new) = match (old, new) {
        (Some(old), Some(new)) => (only_in(tx, &old, &new).await?, only_in(tx, &new, &old).await?),
        _ => (old_rows.unwrap_or(0), new_rows.unwrap_or(0)),
    };
    Ok(Some(TableDifference { table, old_rows, new_rows, only_old, only_new }))
}

/// How many rows a table has, and the sum of their hashes.
#[derive(PartialEq, Eq, sqlx::FromRow)]
struct Content {
    rows: i64,
    hash: String,
}

async fn content(
    tx: &mut PgConnection,
    table: Option<&str>,
) -> Result<Option<Content>, sqlx::Error> {
    let Some(table) = table else { return Ok(None) };
    let sql = format!(
        "SELECT count(*) AS rows,
                coalesce(sum(hashtextextended(t::text, 0)::numeric), 0)::text AS hash
         FROM {table} t"
    );
    sqlx::query_as(&sql).fetch_one(tx).await.map(Some)
}

/// How many rows `table` has that `other` has not.
async fn only_in(tx: &mut PgConnection, table: &str, other: &str) -> Result<i64, sqlx::Error> {
    let sql = format!(
        "SELECT count(*) FROM
             (SELECT t::text FROM {table} t EXCEPT ALL SELECT t::text FROM {other} t) AS rest"
    );
    sqlx::query_scalar(&sql).fetch_one(tx).await
}

async fn events_read(
    tx: &mut PgConnection,
    projection: &str,
    generation: i32,
) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT events_read FROM public.projection_checkpoints
         WHERE projection = $1 AND generation = $2",
    )
    .bind(projection)
    .bind(generation)
    .fetch_one(tx)
    .await
}

async fn parked(
    tx: &mut PgConnection,
    projection: &str,
    generation: i32,
) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT count(*) FROM public.parked_streams WHERE projection = $1 AND generation = $2",
    )
    .bind(projection)
    .bind(generation)
    .fetch_one(tx)
    .await
}
