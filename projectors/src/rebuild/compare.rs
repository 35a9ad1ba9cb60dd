//! Compares two generations of a projection: every table and what readers see beside them, row by row as text, in
//! any order. What is a view on a database of one flavour may be a table on another.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use platform::postgres::{DatabaseConnection, Pool};
use sqlx::Executor as _;

use super::serving_snapshot::ServingSnapshot;
use crate::generation::{Generation, schema};
use crate::projection::Projection;
use crate::summaries::SUMMARY_PROGRESS;

/// A row `t`, as text, in 64 bits.
const ROW_HASH: &str = "hashtextextended(t::text, 0)";

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

/// Compares the snapshot of the generation that serves with a generation at the same position.
///
/// Each side is summed up where it is seen, the snapshot by its own session. Only what differs is copied
/// out of the snapshot, as one hash for each row, to be counted beside the other side.
pub(super) async fn compare_generations(
    snapshot: &mut ServingSnapshot,
    (pool, connection): (&Pool, &mut DatabaseConnection),
    new: &Generation,
) -> Result<Comparison, sqlx::Error> {
    let projection = new.projection;
    let (old_schema, new_schema) = (schema(projection.name(), snapshot.generation), new.schema());
    let mut tx = connection.begin().await?;
    // As for the snapshot, a whole table outlasts any statement of a service.
    tx.allow_long_statements(pool).await?;
    (&mut *tx).execute("SET LOCAL statement_timeout = 0").await?;
    let old_number = snapshot.generation;
    let old = sum_up(snapshot.connection(), (projection, old_number), &old_schema);
    let new = sum_up(&mut tx, (projection, new.number), &new_schema);
    let (old, new) = tokio::try_join!(old, new)?;
    tx.rollback().await?;

    let tables: BTreeSet<&String> = old.tables.keys().chain(new.tables.keys()).collect();
    let differing =
        tables.into_iter().filter(|name| old.tables.get(*name) != new.tables.get(*name));
    let differing: Vec<&String> = differing.collect();
    let both =
        |table: &&&String| old.tables.contains_key(**table) && new.tables.contains_key(**table);
    for table in differing.iter().filter(both) {
        copy_rows(snapshot.connection(), &old_schema, table).await?;
    }
    let connection = snapshot.close().await?;
    let mut differences = Vec::with_capacity(differing.len());
    for table in differing {
        let rows = |side: &Summary| side.tables.get(table).map(|content| content.rows);
        let (old_rows, new_rows) = (rows(&old), rows(&new));
        let (only_old, only_new) = match (old_rows, new_rows) {
            (Some(_), Some(_)) => count_differing_rows(connection, &new_schema, table).await?,
            _ => (old_rows.unwrap_or(0), new_rows.unwrap_or(0)),
        };
        let table = table.clone();
        differences.push(TableDifference { table, old_rows, new_rows, only_old, only_new });
    }
    Ok(Comparison {
        events_read: (old.events_read, new.events_read),
        parked_streams: (old.parked_streams, new.parked_streams),
        differences,
    })
}

/// What a generation holds, in short.
struct Summary {
    events_read: i64,
    parked_streams: i64,
    tables: BTreeMap<String, Content>,
}

/// How many rows a table has, and the sum of their hashes.
#[derive(PartialEq, Eq, sqlx::FromRow)]
struct Content {
    rows: i64,
    hash: String,
}

async fn sum_up(
    connection: &mut DatabaseConnection,
    (projection, generation): (&dyn Projection, i32),
    schema: &str,
) -> Result<Summary, sqlx::Error> {
    let (events_read, parked_streams): (i64, i64) = sqlx::query_as(
        "SELECT events_read, (SELECT count(*) FROM public.parked_streams p
                              WHERE p.projection = c.projection AND p.generation = c.generation)
         FROM public.projection_checkpoints c WHERE projection = $1 AND generation = $2",
    )
    .bind(projection.name())
    .bind(generation)
    .fetch_one(&mut *connection)
    .await?;
    let names: Vec<String> = sqlx::query_scalar(
        "SELECT relname::text FROM pg_catalog.pg_class
             WHERE relnamespace = $1::text::regnamespace AND relname <> $2
               AND (relkind = 'r' OR relkind = 'v' AND relname = ANY($3))",
    )
    .bind(schema)
    .bind(SUMMARY_PROGRESS)
    .bind(projection.definition().views)
    .fetch_all(&mut *connection)
    .await?;
    let mut tables = BTreeMap::new();
    for table in names {
        let sql = format!(
            "SELECT count(*) AS rows, coalesce(sum({ROW_HASH}::numeric), 0)::text AS hash
             FROM {schema}.{table} t"
        );
        let content = sqlx::query_as(&sql).fetch_one(&mut *connection).await?;
        tables.insert(table, content);
    }
    Ok(Summary { events_read, parked_streams, tables })
}

/// Copies the rows of a table, each as its hash, into a temporary table.
async fn copy_rows(
    snapshot: &mut DatabaseConnection,
    schema: &str,
    table: &str,
) -> Result<(), sqlx::Error> {
    let copy = format!(
        "CREATE TEMPORARY TABLE copy_of_{table} AS SELECT {ROW_HASH} AS hash FROM {schema}.{table} t"
    );
    snapshot.execute(copy.as_str()).await?;
    Ok(())
}

/// How many rows only the copy of a table has, and how many only the table in `schema`.
async fn count_differing_rows(
    connection: &mut DatabaseConnection,
    schema: &str,
    table: &str,
) -> Result<(i64, i64), sqlx::Error> {
    let copied = format!("SELECT hash FROM pg_temp.copy_of_{table}");
    let built = format!("SELECT {ROW_HASH} FROM {schema}.{table} t");
    let sql = format!(
        "SELECT (SELECT count(*) FROM ({copied} EXCEPT ALL {built}) AS only_old),
                (SELECT count(*) FROM ({built} EXCEPT ALL {copied}) AS only_new)"
    );
    sqlx::query_as(&sql).fetch_one(connection).await
}
