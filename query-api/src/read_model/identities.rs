//! What has a UUID, by that alone.

use platform::postgres::Pool;
use sqlx::Type;
use uuid::Uuid;

use crate::error::QueryError;

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

/// Of what each of `ids` is; those that nothing has are left out. Each table is asked by an index.
pub(crate) async fn kinds_of(
    pool: &Pool,
    ids: &[Uuid],
) -> Result<Vec<(Uuid, IdentityKind)>, QueryError> {
    let sql = "SELECT inspection_id, 'inspection' FROM read.inspections WHERE inspection_id = ANY($1)
         UNION ALL SELECT artifact_id, 'artifact' FROM read.artifacts WHERE artifact_id = ANY($1)
         UNION ALL SELECT artifact_id, 'golden-sample' FROM read.golden_samples WHERE artifact_id = ANY($1)
         UNION ALL SELECT report_id, 'report' FROM read.reports WHERE report_id = ANY($1)";
    Ok(sqlx::query_as(sql).bind(ids).fetch_all(pool).await?)
}
