//! What has a UUID, by that alone.

use domain::Reach;
use platform::postgres::Pool;
use sqlx::{QueryBuilder, Type};
use uuid::Uuid;

use crate::error::QueryError;
use crate::visibility::{Placed, restrict_to_reach};

/// What a UUID may be of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Type)]
#[sqlx(type_name = "text", rename_all = "kebab-case")]
pub(crate) enum IdentityKind {
    /// An inspection.
    Inspection,
    /// A picture of a board.
    Artifact,
    /// A golden sample.
    GoldenSample,
    /// A report.
    Report,
}

/// Where each has its row, by the column of its id, and where that says whose it is.
const TABLES: [(&str, &str, &str, Placed); 4] = [
    ("inspection", "read.inspections", "inspection_id", Placed::AtStation),
    ("artifact", "read.artifacts", "artifact_id", Placed::OfInspection("artifacts.inspection_id")),
    ("golden-sample", "read.golden_samples", "artifact_id", Placed::OfPart),
    ("report", "read.reports", "report_id", Placed::AtStation),
];

/// Of what each of `ids` is; those that nothing within `reach` has are left out. Each table is asked by an index.
pub(crate) async fn kinds_of(
    pool: &Pool,
    ids: &[Uuid],
    reach: &Reach,
) -> Result<Vec<(Uuid, IdentityKind)>, QueryError> {
    let mut sql = QueryBuilder::new("");
    for (number, (kind, table, id, placed)) in TABLES.into_iter().enumerate() {
        let union = if number == 0 { "" } else { " UNION ALL " };
        sql.push(format!("{union}SELECT {id}, '{kind}' FROM {table} WHERE {id} = ANY("));
        sql.push_bind(ids).push(")");
        restrict_to_reach(&mut sql, placed, reach);
    }
    Ok(sql.build_query_as().fetch_all(pool).await?)
}
