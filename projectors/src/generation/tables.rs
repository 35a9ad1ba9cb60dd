//! The tables of generations: each generation lives in a schema of its own; the schema `read` shows the one
//! that serves.

use std::collections::{HashMap, HashSet};

use domain::GenerationStatus;
use platform::event_log::Position;
use platform::postgres::{DatabaseConnection, DatabaseFlavour, Pool, Timescale};
use sqlx::Executor as _;

use super::{Generation, lock, schema};
use crate::projection::Projection;

/// Creates the first generation of every projection that has none that serves. Safe to run from
/// several processes at once; the database must be migrated.
///
/// # Errors
/// When the database fails; then nothing was created.
pub async fn ensure(pool: &Pool) -> Result<(), sqlx::Error> {
    ensure_each(pool, &crate::projections::ALL).await
}

/// [`ensure`] for these projections.
///
/// # Errors
/// When the database fails; then nothing was created.
pub async fn ensure_each(
    pool: &Pool,
    projections: &[&'static dyn Projection],
) -> Result<(), sqlx::Error> {
    let mut tx = pool.begin().await?;
    sqlx::query("SELECT pg_advisory_xact_lock($1, 0)").bind(lock::ENSURE).execute(&mut *tx).await?;
    let serving: Vec<String> = sqlx::query_scalar(
        "SELECT projection FROM public.projection_checkpoints WHERE status = 'serving'",
    )
    .fetch_all(&mut *tx)
    .await?;
    for projection in projections {
        if serving.iter().any(|name| name == projection.name()) {
            continue;
        }
        let created = create(&mut tx, *projection, GenerationStatus::Serving).await?;
        point_views(&mut tx, &created).await?;
        tracing::info!(
            projection = projection.name(),
            generation = created.number,
            "projection created"
        );
    }
    tx.commit().await
}

/// Creates the next generation of a projection, empty. Leaves the search path as it was.
pub(crate) async fn create(
    tx: &mut DatabaseConnection,
    projection: &'static dyn Projection,
    status: GenerationStatus,
) -> Result<Generation, sqlx::Error> {
    // Whoever rebuilds and whoever replays draw numbers of one row.
    sqlx::query("SELECT pg_advisory_xact_lock($1, 0)").bind(lock::ENSURE).execute(&mut *tx).await?;
    let timescale = Timescale::detect(tx).await?;
    let flavour = timescale.as_ref().map_or(DatabaseFlavour::PostgreSql, Timescale::flavour);
    let number: i32 = sqlx::query_scalar(
        "INSERT INTO public.projection_checkpoints
             (projection, generation, status, schema_version, tables_digest)
         SELECT $1, coalesce(max(generation), 0) + 1, $2, $3, md5($4)
         FROM public.projection_checkpoints WHERE projection = $1
         RETURNING generation",
    )
    .bind(projection.name())
    .bind(status.as_str())
    .bind(projection.definition().schema_version)
    .bind(projection.definition().tables(flavour))
    .fetch_one(&mut *tx)
    .await?;
    let generation = Generation {
        projection,
        number,
        status,
        epoch: 0,
        position: Position::default(),
        parked: HashSet::new(),
        discarded: HashMap::new(),
    };
    let (schema, tables) = (generation.schema(), (projection.definition().schema_sql)(flavour));
    // What the extension offers is found wherever it is installed.
    let beside = timescale.map(|found| format!(", {}", found.schema)).unwrap_or_default();
    let ddl = format!(
        "CREATE SCHEMA {schema}; SET LOCAL search_path = {schema}{beside};
         {tables};
         SET LOCAL search_path = DEFAULT;"
    );
    tx.execute(ddl.as_str()).await?;
    Ok(generation)
}

/// Removes a generation's tables.
pub(crate) async fn drop_tables(
    tx: &mut DatabaseConnection,
    projection: &str,
    generation: i32,
) -> Result<(), sqlx::Error> {
    let ddl = format!("DROP SCHEMA IF EXISTS {} CASCADE", schema(projection, generation));
    tx.execute(ddl.as_str()).await?;
    Ok(())
}

/// SQLSTATE of a view whose columns may not be replaced.
const INVALID_TABLE_DEFINITION: &str = "42P16";

/// Lets readers see this generation.
///
/// A view is replaced rather than dropped where its columns allow it: statements that have looked
/// it up already then go on with the new definition.
pub(crate) async fn point_views(
    tx: &mut DatabaseConnection,
    generation: &Generation,
) -> Result<(), sqlx::Error> {
    let schema = generation.schema();
    for view in generation.projection.definition().views {
        let definition = format!("VIEW read.{view} AS SELECT * FROM {schema}.{view}");
        let mut savepoint = tx.begin().await?;
        let replace = format!("CREATE OR REPLACE {definition}");
        match (&mut *savepoint).execute(replace.as_str()).await {
            Ok(_) => savepoint.commit().await?,
            Err(sqlx::Error::Database(error))
                if error.code().as_deref() == Some(INVALID_TABLE_DEFINITION) =>
            {
                savepoint.rollback().await?;
                let recreate = format!("DROP VIEW read.{view}; CREATE {definition};");
                (&mut *tx).execute(recreate.as_str()).await?;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
