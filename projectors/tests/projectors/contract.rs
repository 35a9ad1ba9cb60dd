//! The views are those of docs/read-models.md.

use std::collections::BTreeMap;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use platform::event_log::Recorded;
use platform::postgres::{DatabaseConnection, DatabaseFlavour};
use platform::test_support::fresh_database;
use projectors::{ApplyError, Projection, ProjectionDefinition};

use crate::world::World;

const DOCUMENT: &str = include_str!("../../../docs/read-models.md");

/// The types that columns may have.
const TYPES: [&str; 8] =
    ["uuid", "text", "json", "jsonb", "integer", "bigint", "real", "timestamptz"];

/// Columns and their types, by view.
type Views = BTreeMap<String, Vec<(String, String)>>;

#[tokio::test]
async fn the_views_have_the_columns_that_are_documented() {
    let world = World::new().await;
    let columns: Vec<(String, String, String)> = sqlx::query_as(
        "SELECT table_name::text, column_name::text, data_type::text
         FROM information_schema.columns WHERE table_schema = 'read'
         ORDER BY table_name, ordinal_position",
    )
    .fetch_all(&world.pool)
    .await
    .unwrap();
    let mut found = Views::new();
    for (view, column, data_type) in columns {
        let data_type = data_type.replace("timestamp with time zone", "timestamptz");
        found.entry(view).or_default().push((column, data_type));
    }
    assert_eq!(found, documented());
}

/// The tables below the headings "`read.<view>` — …"; a row may name several columns of one type,
/// or as many types as columns.
fn documented() -> Views {
    let mut views = Views::new();
    let mut current = None;
    for line in DOCUMENT.lines() {
        if let Some(rest) = line.strip_prefix("`read.") {
            current = rest.split_once('`').map(|(view, _)| view.to_owned());
        } else if line.starts_with("`public.") || line.starts_with('#') {
            current = None;
        }
        let Some(view) = &current else { continue };
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let ["", names, types, ..] = cells.as_slice() else { continue };
        let names: Vec<_> = names.split(", ").filter_map(unquoted).collect();
        let types: Vec<_> = types.split([',', ' ']).filter(|word| TYPES.contains(word)).collect();
        for (n, name) in names.iter().enumerate() {
            let data_type = if types.len() == names.len() { types[n] } else { types[0] };
            let column = ((*name).to_owned(), data_type.to_owned());
            views.entry(view.clone()).or_default().push(column);
        }
    }
    views
}

fn unquoted(name: &str) -> Option<&str> {
    name.strip_prefix('`')?.strip_suffix('`')
}

/// The tables that grow for as long as boards are inspected, and the time that partitions each.
const GROWING: [(&str, &str); 11] = [
    ("inspections", "created_at"),
    ("artifacts", "reserved_at"),
    ("timeline", "recorded_at"),
    ("defects", "found_at"),
    ("yield_hourly", "hour"),
    ("reports", "judged_at"),
    // Of `defects` and of `yield`.
    ("inspection_contexts", "created_at"),
    ("inspection_contexts", "created_at"),
    ("audit_trail", "at"),
    ("audit_trail_subjects", "at"),
    ("audit_trail_contexts", "begun_at"),
];

/// As many rows as there are parts, their recipes and golden samples, and events of inspections under way.
const BOUNDED: [&str; 4] = ["entries", "golden_samples", "parts", "recipe_revisions"];

/// Tables of sums, where they are tables.
const SUMS: [(&str, &str); 4] = [
    ("station_defects_hourly", "hour"),
    ("station_defects_daily", "day"),
    ("station_yield_hourly", "hour"),
    ("station_yield_daily", "day"),
];

#[tokio::test]
async fn every_unique_index_of_a_table_that_grows_with_time_contains_its_time() {
    let world = World::new().await;
    let indexes: Vec<(String, Vec<String>)> = sqlx::query_as(
        "SELECT c.relname::text, array_agg(a.attname::text ORDER BY a.attnum)
         FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
         JOIN pg_namespace n ON n.oid = c.relnamespace
         JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY(i.indkey)
         WHERE i.indisunique AND n.nspname ~ '_g[0-9]+$' GROUP BY i.indexrelid, c.relname",
    )
    .fetch_all(&world.pool)
    .await
    .unwrap();
    let mut growing = Vec::new();
    for (table, columns) in indexes.iter().filter(|(table, _)| !BOUNDED.contains(&&**table)) {
        let mut known = GROWING.iter().chain(&SUMS);
        let (_, time) = known.find(|(name, _)| name == table).unwrap();
        assert!(columns.iter().any(|column| column == time), "{table}: {columns:?}");
        growing.extend(GROWING.iter().any(|(name, _)| name == table).then_some(table.as_str()));
    }
    growing.sort_unstable();
    let mut expected: Vec<_> = GROWING.iter().map(|(table, _)| *table).collect();
    // Reports are found by three keys.
    expected.extend(["reports", "reports"]);
    expected.sort_unstable();
    assert_eq!(growing, expected);
}

#[tokio::test]
async fn rows_are_found_by_their_id_alone() {
    let world = World::new().await;
    let mut tx = world.pool.begin().await.unwrap();
    // A hypertable without a row has no chunk to look into.
    let finding = "INSERT INTO defects_g1.defects VALUES (gen_random_uuid(), gen_random_uuid(), 1, 'open', 0.9,
        'defect', 1, 2, 3, 4, NULL, 'L', 'P', 'S', 1, now(), 1)";
    sqlx::raw_sql(finding).execute(&mut *tx).await.unwrap();
    // The tables are nearly empty: without this any of them would be read as a whole.
    sqlx::raw_sql("SET LOCAL enable_seqscan = off").execute(&mut *tx).await.unwrap();
    for (table, id) in [
        ("read.inspections", "inspection_id"),
        ("read.artifacts", "artifact_id"),
        ("read.artifacts", "inspection_id"),
        ("read.timeline", "inspection_id"),
        ("read.defects", "artifact_id"),
        ("read.defects", "inspection_id"),
        ("read.reports", "report_id"),
        ("read.reports", "inspection_id"),
        ("defects_g1.inspection_contexts", "inspection_id"),
        ("yield_g1.inspection_contexts", "inspection_id"),
        ("reports_g1.entries", "inspection_id"),
    ] {
        let sql = format!(
            "EXPLAIN SELECT * FROM {table} WHERE {id} = ANY('{{00000000-0000-0000-0000-000000000000}}'::uuid[])"
        );
        let plan: Vec<String> = sqlx::query_scalar(&sql).fetch_all(&mut *tx).await.unwrap();
        let plan = plan.join("\n");
        assert!(plan.contains(&format!("Index Cond: ({id} = ANY")), "{table} by {id}:\n{plan}");
    }
}

/// A projection whose table says for which flavour it was created.
struct Labelled;

impl Projection for Labelled {
    fn definition(&self) -> ProjectionDefinition {
        ProjectionDefinition {
            name: "labelled",
            schema_version: 1,
            schema_sql: |flavour| match flavour {
                DatabaseFlavour::PostgreSql => {
                    "CREATE TABLE label (); COMMENT ON TABLE label IS 'PostgreSql'"
                }
                DatabaseFlavour::TimescaleDbApache => {
                    "CREATE TABLE label (); COMMENT ON TABLE label IS 'TimescaleDbApache'"
                }
                DatabaseFlavour::TimescaleDbCommunity => {
                    "CREATE TABLE label (); COMMENT ON TABLE label IS 'TimescaleDbCommunity'"
                }
            },
            views: &[],
            aggregate_types: &[],
        }
    }

    fn apply<'a>(
        &'a self,
        _tx: &'a mut DatabaseConnection,
        _events: &'a [&'a Recorded],
    ) -> BoxFuture<'a, Result<(), ApplyError>> {
        async { Ok(()) }.boxed()
    }
}

#[tokio::test]
async fn tables_are_created_for_the_flavour_of_the_database() {
    let database = fresh_database().await;
    let pool = database.pool();
    projectors::ensure_each(&pool, &[&Labelled]).await.unwrap();
    let label: String = sqlx::query_scalar("SELECT obj_description('labelled_g1.label'::regclass)")
        .fetch_one(&pool)
        .await
        .unwrap();
    let flavour = DatabaseFlavour::detect(&mut pool.acquire().await.unwrap()).await.unwrap();
    assert_eq!(label, format!("{flavour:?}"));
}
