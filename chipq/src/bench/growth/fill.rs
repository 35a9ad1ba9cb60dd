//! A log and read models as large as years of work leave them: what a few boards left is multiplied by the server
//! itself, every row with ids, positions and times of its own.
//!
//! Invariant: the log, the read models and every checkpoint agree on where they are. Absent: what nobody has looked at
//! afterwards, such as times inside reports.

use std::path::Path;

use anyhow::{Context as _, ensure};
use chrono::Utc;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, Executor as _, PgConnection};

use crate::bench::log_load::{catch_up, fill_log};
use crate::bench::private_server::owner_url;
use crate::installation::{Installation, InstallationArgs};

/// The events of the boards that are multiplied.
const TEMPLATE_EVENTS: usize = 96;
/// Copies of all of them that one statement writes.
const COPIES_AT_ONCE: u64 = 4_000;
/// Copies whose boards are of the same lot.
const COPIES_OF_A_LOT: u64 = 40;
/// How far the boards of a copy lie behind those of the one before, in seconds.
const COPY_INTERVAL_S: u64 = 300;
/// The lot of every board that is multiplied.
const LOT: &str = "LOT-0";
/// What tells rows of a copy from those of every other: these columns, wherever they are, and these ids in JSON.
const IDS: [&str; 5] = ["inspection_id", "artifact_id", "report_id", "event_id", "command_id"];
const IDS_IN_JSON: [&str; 3] = ["inspection_id", "artifact_id", "report_id"];
/// Those that begin with the time (RFC 9562, version 7).
const IDS_IN_ORDER: [&str; 3] = ["inspection_id", "artifact_id", "aggregate_id"];

/// What there is afterwards.
#[derive(Debug, Clone, Copy)]
pub(super) struct Filled {
    pub(super) events: i64,
    pub(super) inspections: i64,
}

/// Fills the installation in `data`, which nobody serves from, until its log has at least so many events.
pub(super) async fn fill(data: &Path, events: u64) -> anyhow::Result<Filled> {
    let installation = Installation::open(&InstallationArgs::private(data.to_owned())).await?;
    let filled = async {
        append_templates(&installation).await?;
        let options = PgConnectOptions::from_url(&owner_url(data)?)?.disable_statement_logging();
        let mut connection = PgConnection::connect_with(&options).await?;
        let filled = multiply(&mut connection, events).await?;
        connection.close().await?;
        anyhow::Ok(filled)
    }
    .await;
    installation.close().await?;
    filled
}

async fn append_templates(installation: &Installation) -> anyhow::Result<()> {
    let foundation = installation.open_foundation().await?;
    let (pool, log) = (foundation.pool().clone(), foundation.log());
    fill_log(&log, TEMPLATE_EVENTS, 1).await?;
    catch_up(&pool, &log).await?;
    pool.close().await;
    Ok(())
}

async fn multiply(connection: &mut PgConnection, events: u64) -> anyhow::Result<Filled> {
    connection.execute("SET synchronous_commit = off; SET maintenance_work_mem = '512MB'").await?;
    connection
        .execute(
            "CREATE TEMPORARY TABLE template AS
             SELECT a.inspection_id, a.artifact_id, r.report_id
             FROM read.artifacts AS a JOIN read.reports AS r USING (inspection_id)",
        )
        .await?;
    let (first, last): (i64, i64) = sqlx::query_as(
        "SELECT min(position), max(position) FROM events
         WHERE aggregate_id IN (SELECT inspection_id::text FROM template)",
    )
    .fetch_one(&mut *connection)
    .await?;
    let width = u64::try_from(last - first + 1)?;
    let now_ms = Utc::now().timestamp_millis();
    let copying = Copying { first, width, copies: events.div_ceil(width), now_ms };
    for table in tables_of_inspections(connection).await? {
        copying.copy(connection, &table).await?;
    }
    copying.settle(connection).await?;
    let (events, inspections) = sqlx::query_as(
        "SELECT (SELECT count(*) FROM events), (SELECT count(*) FROM read.inspections)",
    )
    .fetch_one(connection)
    .await?;
    Ok(Filled { events, inspections })
}

/// The log and every table of a read model with a row for something of an inspection.
async fn tables_of_inspections(connection: &mut PgConnection) -> anyhow::Result<Vec<Table>> {
    let names: Vec<String> = sqlx::query_scalar(
        "SELECT format('%I.%I', table_schema, table_name) FROM information_schema.columns
         WHERE column_name = 'inspection_id' AND table_schema IN
             (SELECT projection || '_g' || generation FROM projection_checkpoints
              WHERE status = 'serving')
         ORDER BY 1",
    )
    .fetch_all(&mut *connection)
    .await?;
    let of_inspection = |name| Table { name, join: "t.inspection_id = template.inspection_id" };
    let log = Table {
        name: "public.events".to_owned(),
        join: "t.aggregate_id = template.inspection_id::text",
    };
    Ok(std::iter::once(log).chain(names.into_iter().map(of_inspection)).collect())
}

/// A table whose rows are copied, and how a row finds the template that it belongs to.
struct Table {
    name: String,
    join: &'static str,
}

/// How often the rows of the templates are copied, and where those stand in the log.
struct Copying {
    first: i64,
    /// The positions that one copy takes.
    width: u64,
    copies: u64,
    now_ms: i64,
}

impl Copying {
    async fn copy(&self, connection: &mut PgConnection, table: &Table) -> anyhow::Result<()> {
        let Table { name, join } = table;
        errln!("multiplying {name} ...");
        let columns: Vec<(String, String)> = sqlx::query_as(
            "SELECT attname::text, format_type(atttypid, NULL) FROM pg_attribute
             WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
        )
        .bind(name)
        .fetch_all(&mut *connection)
        .await?;
        ensure!(!columns.is_empty(), "{name} has no columns");
        let values: Vec<_> = columns.iter().map(|(name, kind)| self.copied(name, kind)).collect();
        let rows = format!(
            "DROP TABLE IF EXISTS copied_rows;
             CREATE TEMPORARY TABLE copied_rows AS
             SELECT t.* FROM {name} AS t JOIN template ON {join}"
        );
        sqlx::raw_sql(&rows).execute(&mut *connection).await?;
        let indexes = Indexes::drop_of(connection, name).await?;
        let insert = format!(
            "INSERT INTO {name}
             SELECT {} FROM generate_series($1::bigint, $2::bigint) AS n
             CROSS JOIN copied_rows AS t JOIN template ON {join} ORDER BY n",
            values.join(", ")
        );
        let mut done = 0;
        while done < self.copies {
            let up_to = (done + COPIES_AT_ONCE).min(self.copies);
            let from = i64::try_from(done + 1)?;
            let copying = sqlx::query(&insert).bind(from).bind(i64::try_from(up_to)?);
            copying.execute(&mut *connection).await.with_context(|| format!("copying {name}"))?;
            done = up_to;
        }
        indexes.make_again(connection).await
    }

    /// The value of a column in the copy `n` of the row `t`.
    fn copied(&self, column: &str, kind: &str) -> String {
        let value = format!("t.{column}");
        match (column, kind) {
            (id, "uuid") if IDS.contains(&id) => self.copied_id(id, &value),
            ("aggregate_id", _) => format!("{}::text", self.copied_id(column, &value)),
            ("lot", _) => copied_lot(),
            (position, "bigint") if position.ends_with("position") => {
                format!("{value} + n * {}", self.width)
            }
            (_, "timestamp with time zone") => self.copied_time(&value),
            ("metadata", _) => {
                let time = self.copied_time(&format!("({value}->>'occurred_at')::timestamptz"));
                let written = format!(
                    "to_char({time} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')"
                );
                let metadata = self.copied_json(&value, kind);
                format!("jsonb_set({metadata}, '{{occurred_at}}', to_jsonb({written}))")
            }
            ("payload" | "pictures" | "document", _) => self.copied_json(&value, kind),
            _ => value,
        }
    }

    fn copied_id(&self, column: &str, value: &str) -> String {
        let random = format!("md5({value}::text || n)");
        if !IDS_IN_ORDER.contains(&column) {
            return format!("{random}::uuid");
        }
        let Self { now_ms, copies, .. } = self;
        let time = format!("{now_ms} - ({copies} - n) * {}", COPY_INTERVAL_S * 1_000);
        format!("(lpad(to_hex({time}), 12, '0') || '7' || substr({random}, 14))::uuid")
    }

    /// The document with the ids and the lot of the copy.
    fn copied_json(&self, value: &str, kind: &str) -> String {
        let replace_id = |text: String, column: &str| {
            let id = format!("template.{column}");
            format!("replace({text}, {id}::text, {}::text)", self.copied_id(column, &id))
        };
        let text = IDS_IN_JSON.into_iter().fold(format!("{value}::text"), replace_id);
        format!("replace({text}, '\"{LOT}\"', '\"' || {} || '\"')::{kind}", copied_lot())
    }

    /// The first copy is the oldest, and the last one is of the time of the templates.
    fn copied_time(&self, value: &str) -> String {
        format!("({value} - ({} - n) * interval '{COPY_INTERVAL_S} s')", self.copies)
    }

    /// Sums, checkpoints and the next position are what they would be had all of it been appended.
    async fn settle(&self, connection: &mut PgConnection) -> anyhow::Result<()> {
        errln!("settling ...");
        let end = self.first + i64::try_from(self.width * (self.copies + 1))? - 1;
        let settle = format!(
            "TRUNCATE yield_g1.yield_hourly, yield_g1.station_yield_hourly, yield_g1.station_yield_daily;
             INSERT INTO yield_g1.yield_hourly
             SELECT date_trunc('hour', r.judged_at, 'UTC'), r.lot, r.part, r.station, count(*),
                    count(*) FILTER (WHERE judgement = 'pass'),
                    count(*) FILTER (WHERE judgement = 'review'),
                    count(*) FILTER (WHERE judgement = 'fail'), sum(c.defects)
             FROM reports_g1.reports AS r JOIN yield_g1.inspection_contexts AS c USING (inspection_id)
             GROUP BY 1, 2, 3, 4;
             UPDATE projection_checkpoints SET position = {end},
                 events_read = events_read + {added}, events_applied = events_applied + {added}
             WHERE status = 'serving';
             UPDATE follower_leases SET position = {end};
             SELECT setval('event_position_seq', {end});
             ANALYZE",
            added = self.width * self.copies,
        );
        sqlx::raw_sql(&settle).execute(connection).await?;
        Ok(())
    }
}

/// The statements that make what a table has for looking rows up. Many rows are sorted once sooner than put in their
/// places one by one.
struct Indexes(Vec<String>);

impl Indexes {
    /// Drops those of `table`.
    async fn drop_of(connection: &mut PgConnection, table: &str) -> anyhow::Result<Self> {
        let found: Vec<(String, String)> = sqlx::query_as(
            "SELECT CASE WHEN conname IS NULL THEN 'DROP INDEX ' || indexrelid::regclass
                         ELSE format('ALTER TABLE %s DROP CONSTRAINT %I', indrelid::regclass, conname) END,
                    CASE WHEN conname IS NULL THEN pg_get_indexdef(indexrelid)
                         ELSE format('ALTER TABLE %s ADD CONSTRAINT %I %s', indrelid::regclass, conname,
                                     pg_get_constraintdef(c.oid)) END
             FROM pg_index LEFT JOIN pg_constraint AS c ON c.conindid = indexrelid
             WHERE indrelid = $1::regclass",
        )
        .bind(table)
        .fetch_all(&mut *connection)
        .await?;
        let (drops, makes): (Vec<String>, Vec<String>) = found.into_iter().unzip();
        for drop in drops {
            connection.execute(&*drop).await?;
        }
        Ok(Self(makes))
    }

    async fn make_again(self, connection: &mut PgConnection) -> anyhow::Result<()> {
        for make in self.0 {
            connection.execute(&*make).await?;
        }
        Ok(())
    }
}

fn copied_lot() -> String {
    format!("'LOT-' || n / {COPIES_OF_A_LOT}")
}
