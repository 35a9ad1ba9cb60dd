//! Rows as structs: loaded for a stretch of events, changed in memory, written back in one
//! statement.
//!
//! A struct's fields bear the names of the columns. Rows travel as one JSON array, which PostgreSQL
//! takes apart by the table's own row type; so a table's columns are spelt out in its DDL and
//! struct.

use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::types::Json;
use sqlx::{Encode, PgConnection, Postgres, Type};

use crate::projection::ApplyError;

/// A row of a table.
pub(super) trait TableRow: Serialize + DeserializeOwned + Send + Unpin + 'static {
    /// The table.
    const TABLE: &'static str;
    /// The column that rows are looked up by: the first of the key, so that its index serves.
    const LOOKUP: &'static str;
    /// The columns of its primary key. In a table that grows with time one of them is a time, or it
    /// could not be partitioned by it: a unique index has to contain the partitioning column. Such
    /// a time never changes, so that the others alone identify a row.
    const KEY: &'static str;
    /// The columns that change after the row was inserted; none when it never changes.
    const CHANGING: &'static [&'static str];
}

/// The rows whose lookup column has one of these values.
pub(super) async fn load_rows<R: TableRow, I>(
    tx: &mut PgConnection,
    values: Vec<I>,
) -> Result<Vec<R>, ApplyError>
where
    Vec<I>: for<'q> Encode<'q, Postgres> + Type<Postgres> + Send,
{
    if values.is_empty() {
        return Ok(Vec::new());
    }
    let (table, column) = (R::TABLE, R::LOOKUP);
    let sql = format!("SELECT to_json(r) FROM {table} r WHERE {column} = ANY($1)");
    let rows: Vec<Json<R>> = sqlx::query_scalar(&sql).bind(values).fetch_all(tx).await?;
    Ok(rows.into_iter().map(|Json(row)| row).collect())
}

/// Inserts the rows, or brings those that exist up to date.
pub(super) async fn store_rows<R: TableRow>(
    tx: &mut PgConnection,
    rows: &[R],
) -> Result<(), ApplyError> {
    if rows.is_empty() {
        return Ok(());
    }
    let (table, key) = (R::TABLE, R::KEY);
    let on_conflict = if R::CHANGING.is_empty() {
        "NOTHING".to_owned()
    } else {
        let changes = R::CHANGING.iter().map(|column| format!("{column} = excluded.{column}"));
        format!("UPDATE SET {}", changes.collect::<Vec<_>>().join(", "))
    };
    let sql = format!(
        "INSERT INTO {table}
         SELECT r.* FROM json_populate_recordset(NULL::{table}, $1::text::json) r
         ON CONFLICT ({key}) DO {on_conflict}"
    );
    let json = serde_json::to_string(rows).map_err(ApplyError::permanent)?;
    sqlx::query(&sql).bind(json).execute(tx).await?;
    Ok(())
}
