//! The role that services have where the owner of the database gives them one of their own: it is no superuser
//! and owns nothing of the log.

use super::{Pool, PostgresError};

/// Its name, in every database that has one.
pub(crate) const SERVICE_ROLE: &str = "chipq_service";

const GRANTS: &str = include_str!("../../../schemas/service_role.sql");

/// Lets the services do what they do in the database of `pool`, and nothing else, if they have a role of their
/// own; for its owner, after [`super::migrate`].
///
/// # Errors
/// When the database refuses, because somebody else owns it.
pub async fn grant_to_services(pool: &Pool) -> Result<(), PostgresError> {
    sqlx::raw_sql(GRANTS).execute(pool).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use sqlx::{Connection as _, Executor as _, PgConnection};

    use super::*;
    use crate::postgres::{DatabaseConfig, connect, migrate};
    use crate::test_support::{TestDatabase, fresh_database};

    /// As whoever connects as the services does.
    const AS_SERVICE: &str = "SET SESSION AUTHORIZATION chipq_service";

    /// A connection of the services to a database that gives them a role.
    async fn service(database: &TestDatabase) -> PgConnection {
        let pool = database.pool();
        // Roles are the cluster's: another test may just be making it.
        let create = "DO $$ BEGIN CREATE ROLE chipq_service LOGIN;
            EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$";
        pool.execute(create).await.unwrap();
        grant_to_services(&pool).await.unwrap();
        grant_to_services(&pool).await.unwrap();
        let mut connection = PgConnection::connect(database.url()).await.unwrap();
        connection.execute(AS_SERVICE).await.unwrap();
        connection
    }

    #[tokio::test]
    async fn services_append_and_read_and_cannot_change_the_log_or_its_trigger() {
        let database = fresh_database().await;
        let mut service = service(&database).await;
        let append = "INSERT INTO events (aggregate_type, aggregate_id, sequence, event_type,
            event_version, payload, metadata) VALUES ('part', 'P', 1, 'X', '1', '{}', '{}')";
        service.execute(append).await.unwrap();
        service.execute("SELECT FROM events").await.unwrap();
        service
            .execute("INSERT INTO projection_checkpoints SELECT * FROM projection_checkpoints")
            .await
            .unwrap();
        for forbidden in [
            "UPDATE events SET payload = '{}'",
            "DELETE FROM events",
            "TRUNCATE events",
            "ALTER TABLE events DISABLE TRIGGER events_append_only",
            "DROP TRIGGER events_append_only ON events",
            "CREATE OR REPLACE FUNCTION refuse_event_change() RETURNS trigger LANGUAGE plpgsql
             AS $f$ BEGIN RETURN NULL; END $f$",
            "SET session_replication_role = replica",
            "SELECT setval('event_position_seq', 1)",
            "DROP TABLE events",
            "DELETE FROM _sqlx_migrations",
            "CREATE ROLE another",
            "COPY events TO PROGRAM 'cat'",
        ] {
            let refused = service.execute(forbidden).await.expect_err(forbidden);
            let code = refused.as_database_error().and_then(|error| error.code());
            assert_eq!(code.as_deref(), Some("42501"), "{forbidden}: {refused}");
        }
        service.close().await.unwrap();
    }

    #[tokio::test]
    async fn services_make_and_drop_generations_and_find_the_database_migrated() {
        let database = fresh_database().await;
        let pool = database.pool();
        // As a service without a role of its own has left it.
        let before = "CREATE SCHEMA yield_g1; CREATE TABLE yield_g1.yield (n int);
            CREATE VIEW read.yield AS SELECT * FROM yield_g1.yield;
            INSERT INTO projection_checkpoints (projection, generation, status, schema_version)
            VALUES ('yield', 1, 'serving', 1)";
        pool.execute(before).await.unwrap();
        let mut service = service(&database).await;
        let swap = "CREATE SCHEMA yield_g2; CREATE TABLE yield_g2.yield (n int);
            CREATE OR REPLACE VIEW read.yield AS SELECT * FROM yield_g2.yield;
            DROP SCHEMA yield_g1 CASCADE";
        service.execute(swap).await.unwrap();
        service.close().await.unwrap();

        let separator = if database.url().contains('?') { '&' } else { '?' };
        let url = format!("{}{separator}options[role]=chipq_service", database.url());
        let of_service = connect(&DatabaseConfig::from_url(url)).await.unwrap();
        migrate(&of_service).await.unwrap();
        of_service.close().await;
    }
}
