//! The migrations that give a database its shape.
//!
//! Invariant: migrating waits for others who migrate for as long as they take, and for a table in use not for
//! long, since whoever comes after it waits behind it. So its connection is the one without deadlines; it is
//! waited for as long as the server has its session.

use std::time::Duration;

use sqlx::migrate::{Migrate as _, MigrateError, Migrator};
use sqlx::{Connection as _, PgConnection};

use super::connection::SessionWatch as _;
use super::session_watch::WatchedSession;
use super::{Pool, PostgresError};

/// The migrations of `schemas/migrations`, embedded when this crate is compiled.
pub static MIGRATOR: Migrator = sqlx::migrate!("../schemas/migrations");

/// How long a migration waits for a table that others use. Whoever comes after it waits behind it, so that
/// it must not wait for ever.
const MIGRATION_LOCK_LIMIT: Duration = Duration::from_secs(10);
/// SQLSTATE of a statement that was given up because it waited too long for a lock.
const LOCK_NOT_AVAILABLE: &str = "55P03";
/// SQLSTATE of a table that is not there.
const UNDEFINED_TABLE: &str = "42P01";

/// Brings the database to the newest shape. Safe to run from several processes at once, and by the role of the
/// services where nothing is left to do.
///
/// # Errors
/// When a migration fails, a table that it changes stays in use for ten seconds, or the
/// database was migrated by a newer version.
pub async fn migrate(pool: &Pool) -> Result<(), PostgresError> {
    if is_migrated(pool, &MIGRATOR).await {
        return Ok(());
    }
    run_migrations(pool, &MIGRATOR, MIGRATION_LOCK_LIMIT).await
}

/// Whether exactly these migrations were run. What cannot be read is not: running them says why.
async fn is_migrated(pool: &Pool, migrations: &Migrator) -> bool {
    let run = sqlx::query_as("SELECT version, checksum FROM _sqlx_migrations ORDER BY version");
    let run: Vec<(i64, Vec<u8>)> = run.fetch_all(pool).await.unwrap_or_default();
    let ours = migrations.iter().map(|ours| (ours.version, ours.checksum.to_vec()));
    !run.is_empty() && ours.eq(run)
}

/// Refuses a database that lacks one of the migrations. One that was migrated by a newer version has them all.
///
/// # Errors
/// When it does, or does not answer.
pub async fn check_migrated(pool: &Pool) -> Result<(), PostgresError> {
    let run = sqlx::query_scalar("SELECT version FROM _sqlx_migrations WHERE success");
    let run: Vec<i64> = match run.fetch_all(pool).await {
        Err(error) if is_undefined_table(&error) => Vec::new(),
        run => run?,
    };
    let lacks = MIGRATOR.iter().any(|ours| !run.contains(&ours.version));
    if lacks { Err(PostgresError::NotMigrated) } else { Ok(()) }
}

fn is_undefined_table(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|error| error.code().as_deref() == Some(UNDEFINED_TABLE))
}

async fn run_migrations(
    pool: &Pool,
    migrations: &Migrator,
    lock_limit: Duration,
) -> Result<(), PostgresError> {
    let mut connection = pool.open_unlimited().await?;
    sqlx::query("SET statement_timeout = 0").execute(&mut connection).await?;
    let watch = WatchedSession::begin(&mut connection, pool).await?;
    tokio::select! {
        migrated = run_on(connection, migrations, lock_limit) => migrated,
        lost = watch.wait_until_lost() => Err(lost.into()),
    }
}

async fn run_on(
    mut connection: PgConnection,
    migrations: &Migrator,
    lock_limit: Duration,
) -> Result<(), PostgresError> {
    // Another process may be migrating: for that one there is no limit, since it holds nobody up.
    connection.lock().await?;
    let limit = format!("SET lock_timeout = {}", lock_limit.as_millis());
    sqlx::query(&limit).execute(&mut connection).await?;
    let migrated = migrations.run(&mut connection).await;
    // Closing the session gives back the lock among those who migrate, in any case.
    let closed = connection.close().await;
    match migrated {
        Err(error) if waited_for_a_lock(&error) => {
            Err(PostgresError::MigrationBlocked { waited: lock_limit })
        }
        Err(MigrateError::VersionMissing(migration)) => {
            Err(PostgresError::MigratedByNewer { migration })
        }
        migrated => Ok(migrated.map(|()| closed)??),
    }
}

fn waited_for_a_lock(error: &(dyn std::error::Error + 'static)) -> bool {
    std::iter::successors(Some(error), |&error| error.source())
        .filter_map(|error| error.downcast_ref::<sqlx::Error>()?.as_database_error()?.code())
        .any(|code| code == LOCK_NOT_AVAILABLE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::fresh_database;

    #[tokio::test]
    async fn a_migration_gives_up_on_a_table_in_use_says_what_to_do_and_succeeds_later() {
        let database = fresh_database().await;
        let folder = tempfile::tempdir().unwrap();
        let sql = "ALTER TABLE events ADD COLUMN of_a_test int";
        std::fs::write(folder.path().join("9999_of_a_test.sql"), sql).unwrap();
        let mut migrations = Migrator::new(folder.path()).await.unwrap();
        migrations.set_ignore_missing(true);
        let (pool, limit) = (database.pool(), Duration::from_millis(100));

        let mut reader = pool.begin().await.unwrap();
        sqlx::query("SELECT FROM events").execute(&mut *reader).await.unwrap();
        let migrating = run_migrations(&pool, &migrations, limit);
        let given_up = tokio::time::timeout(Duration::from_secs(20), migrating).await;
        let error = given_up.expect("it waits for ever").unwrap_err();
        assert!(matches!(error, PostgresError::MigrationBlocked { .. }), "{error}");
        assert!(error.to_string().contains("; run the migration again"), "{error}");
        reader.rollback().await.unwrap();
        run_migrations(&pool, &migrations, limit).await.unwrap();
    }

    #[tokio::test]
    async fn an_older_version_says_that_a_newer_one_migrated() {
        let database = fresh_database().await;
        let newer = "INSERT INTO _sqlx_migrations
                         (version, description, installed_on, success, checksum, execution_time)
                     VALUES (9999, 'of a newer version', now(), true, '', 0)";
        sqlx::query(newer).execute(&database.pool()).await.unwrap();
        let refused = migrate(&database.pool()).await.unwrap_err().to_string();
        assert!(refused.contains("newer version of chipq (to migration 9999"), "{refused}");
    }
}
