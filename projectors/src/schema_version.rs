//! Which version of a projection's schema built a generation, and from which tables: code of another version,
//! or with other tables, does not write into it.
//!
//! What it would write might not fit the tables, and whatever does not fit them would look like an
//! event that can never be applied, and park its stream. So it stands still, parks nothing, and says
//! what to do. The tables are compared beside the version because the version is raised by hand: two builds
//! side by side, one of which forgot it, must not park each other's streams. What is written into the tables is
//! not compared here: a test holds it to the version (`tests/projectors/written_rows.rs`).

use platform::postgres::{DatabaseConnection, DatabaseFlavour, Pool};

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
    /// The version of this code. The same, when its tables are others all the same.
    pub expected: i32,
}

impl SchemaMismatch {
    /// What to do about it.
    #[must_use]
    pub fn remedy(&self) -> String {
        if self.built_by <= self.expected {
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
        if built_by == expected {
            return write!(
                f,
                "generation {generation} of {projection} was built from other tables than this \
                 program has, both as version {expected} of its schema; {}",
                self.remedy()
            );
        }
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
    connection: &mut DatabaseConnection,
    projection: &dyn Projection,
) -> Result<Option<SchemaMismatch>, sqlx::Error> {
    let definition = projection.definition();
    let differing: Option<(i32, i32)> = sqlx::query_as(
        "SELECT generation, schema_version FROM public.projection_checkpoints
         WHERE projection = $1 AND status = 'serving'
           AND (schema_version <> $2
                OR tables_digest <> ALL(SELECT md5(tables) FROM unnest($3::text[]) AS tables))",
    )
    .bind(projection.name())
    .bind(definition.schema_version)
    .bind(definition.tables_of_all_flavours())
    .fetch_optional(connection)
    .await?;
    Ok(differing.map(|(generation, built_by)| SchemaMismatch {
        projection: definition.name,
        generation,
        built_by,
        expected: definition.schema_version,
    }))
}

/// The read models whose serving generation was made for a database of another flavour than it is now: it is written
/// as it is, and the next rebuild makes one for this database.
///
/// # Errors
/// When the database fails.
pub async fn list_of_other_flavour(pool: &Pool) -> Result<Vec<&'static str>, sqlx::Error> {
    let mut connection = pool.acquire().await?;
    let flavour = DatabaseFlavour::detect(&mut connection).await?;
    let mut others = Vec::new();
    for projection in crate::ALL {
        let definition = projection.definition();
        let differs: bool = sqlx::query_scalar(
            "SELECT EXISTS (SELECT FROM public.projection_checkpoints
             WHERE projection = $1 AND status = 'serving' AND schema_version = $2 AND tables_digest <> md5($3))",
        )
        .bind(definition.name)
        .bind(definition.schema_version)
        .bind(definition.tables(flavour))
        .fetch_one(&mut *connection)
        .await?;
        if differs {
            others.push(definition.name);
        }
    }
    Ok(others)
}
