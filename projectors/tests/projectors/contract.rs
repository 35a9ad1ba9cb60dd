//! The views are those of docs/read-models.md.

use std::collections::BTreeMap;

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
