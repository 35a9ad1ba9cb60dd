//! Which version of a projection's schema built a generation: code of another version does not write
//! into it.
//!
//! What it would write might not fit the tables, and whatever does not fit them would look like an
//! event that can never be applied, and park its stream. So it stands still, parks nothing, and says
//! what to do.

use sqlx::PgConnection;

use crate::projection::Projection;

/// A generation that serves and that this code does not write into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaMismatch {
    /// The projection.
    pub projection: &'static str,
    /// Its generation.
    pub generation: i32,
    /// The version that built it.
    pub built_by: i32,
    /// The version of this code.
    pub expected: i32,
}

impl SchemaMismatch {
    /// Compares what built a generation with what this code writes.
    pub(crate) fn find(
        projection: &dyn Projection,
        generation: i32,
        built_by: i32,
    ) -> Option<Self> {
        let expected = projection.definition().schema_version;
        let projection = projection.name();
        (built_by != expected).then_some(Self { projection, generation, built_by, expected })
    }

    /// What to do about it.
    #[must_use]
    pub fn remedy(&self) -> String {
        if self.built_by < self.expected {
            format!("run: chipq rebuild {}", self.projection)
        } else {
            let built_by = self.built_by;
            format!("deploy the program that writes version {built_by}, which is newer")
        }
    }
}

impl std::error::Error for SchemaMismatch {}

impl std::fmt::Display for SchemaMismatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { projection, generation, built_by, expected } = self;
        write!(
            f,
            "generation {generation} of {projection} was built by version {built_by} of its schema, \
             and this program writes version {expected}; {}",
            self.remedy()
        )
    }
}

/// Why this code does not write into the generation that serves; `None` when it may, or when none
/// serves.
pub(crate) async fn find_mismatch(
    connection: &mut PgConnection,
    projection: &dyn Projection,
) -> Result<Option<SchemaMismatch>, sqlx::Error> {
    let serving: Option<(i32, i32)> = sqlx::query_as(
        "SELECT generation, schema_version FROM public.projection_checkpoints
         WHERE projection = $1 AND status = 'serving'",
    )
    .bind(projection.name())
    .fetch_optional(connection)
    .await?;
    Ok(serving.and_then(|(number, built_by)| SchemaMismatch::find(projection, number, built_by)))
}
