//! Why a database cannot be used, and what to do about it.

use std::time::Duration;

use sqlx::migrate::MigrateError;
use sqlx::postgres::PgConnectOptions;

/// Why the database cannot be used. No variant shows the password.
#[derive(Debug, thiserror::Error)]
pub enum PostgresError {
    /// No URL.
    #[error(
        "no database is configured; set CHIPQ_DATABASE_URL to postgres://user:password@host/db"
    )]
    NotConfigured,
    /// The URL does not parse.
    #[error(
        "{variable} is not a PostgreSQL URL; write postgres://user:password@host:5432/db, or unset it"
    )]
    BadUrl {
        /// Where it is configured.
        variable: &'static str,
    },
    /// Nothing answers there.
    #[error("no PostgreSQL answers at {place} ({reason}); check that it runs and can be reached")]
    Unreachable {
        /// `host:port`.
        place: String,
        /// What the network said.
        reason: String,
    },
    /// User or password are wrong.
    #[error("PostgreSQL at {place} refused the user or the password; correct CHIPQ_DATABASE_URL")]
    Refused {
        /// `host:port`.
        place: String,
    },
    /// The database does not exist.
    #[error("there is no database {database:?} at {place}; create it: createdb {database}")]
    NoDatabase {
        /// `host:port`.
        place: String,
        /// Its name.
        database: String,
    },
    /// Nobody has migrated it to this version.
    #[error(
        "the database does not have the shape that this version needs; run `chipq migrate` on it, \
         then start this again"
    )]
    NotMigrated,
    /// Its text is not Unicode.
    #[error(
        "the database {database:?} has the encoding {encoding}, and names here are UTF-8; make one \
         that has: createdb --encoding=UTF8 --template=template0 NAME"
    )]
    OtherEncoding {
        /// Its name.
        database: String,
        /// What it has.
        encoding: String,
    },
    /// Nothing can be written there.
    #[error("the database at {place} only reads ({reason}); {remedy}")]
    ReadOnly {
        /// `host:port`.
        place: String,
        /// Why.
        reason: &'static str,
        /// What to do.
        remedy: &'static str,
    },
    /// Others use a table that a migration has to change.
    #[error(
        "the database was not migrated: a table was in use for {} s, and waiting longer would have \
         blocked whoever uses it; run the migration again when less is going on, or end the \
         transaction that holds the table (see pg_stat_activity)",
        waited.as_secs_f64()
    )]
    MigrationBlocked {
        /// How long the migration waited for the table.
        waited: Duration,
    },
    /// It has a shape that only a newer version knows.
    #[error(
        "the database was migrated by a newer version of chipq (to migration {migration}, which this one does not have); \
         run that version, or restore the backup that was made before the upgrade"
    )]
    MigratedByNewer {
        /// The first that is not known here.
        migration: i64,
    },
    /// A migration failed or does not fit the database.
    #[error("the database cannot be migrated: {0}")]
    Migrate(#[from] MigrateError),
    /// Anything else the server said.
    #[error("the database failed: {0}")]
    Database(#[from] sqlx::Error),
}

pub(super) fn host_and_port(options: &PgConnectOptions) -> String {
    format!("{}:{}", options.get_host(), options.get_port())
}

pub(super) fn unreachable_because(options: &PgConnectOptions, reason: &str) -> PostgresError {
    PostgresError::Unreachable { place: host_and_port(options), reason: reason.to_owned() }
}

pub(super) fn explain_connect_error(
    error: sqlx::Error,
    options: &PgConnectOptions,
) -> PostgresError {
    let place = host_and_port(options);
    let code = error.as_database_error().and_then(|e| e.code().map(std::borrow::Cow::into_owned));
    match (code.as_deref(), &error) {
        (Some("28P01" | "28000"), _) => PostgresError::Refused { place },
        (Some("3D000"), _) => {
            let database = options.get_database().unwrap_or_default().to_owned();
            PostgresError::NoDatabase { place, database }
        }
        (Some("57P03" | "53300"), _) | (None, sqlx::Error::Io(_) | sqlx::Error::Tls(_)) => {
            unreachable_because(options, &error.to_string())
        }
        _ => PostgresError::Database(error),
    }
}
