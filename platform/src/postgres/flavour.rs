//! Which kind of PostgreSQL a database is, for those whose tables differ by it.

use crate::postgres::DatabaseConnection;
use sqlx::PgExecutor;

/// The extension that makes a database a TimescaleDB.
const TIMESCALEDB: &str = "timescaledb";

/// What a database offers beyond SQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DatabaseFlavour {
    /// Plain PostgreSQL: tables, indexes, views.
    PostgreSql,
    /// PostgreSQL with the extension `timescaledb` in this database: hypertables as well.
    TimescaleDb,
}

impl DatabaseFlavour {
    /// Asks the database which extensions it has. An extension that the server could load, and this
    /// database has not created, does not count.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn detect(connection: &mut DatabaseConnection) -> Result<Self, sqlx::Error> {
        let has_timescaledb = has_extension(connection, TIMESCALEDB).await?;
        Ok(if has_timescaledb { Self::TimescaleDb } else { Self::PostgreSql })
    }
}

async fn has_extension(executor: impl PgExecutor<'_>, name: &str) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_catalog.pg_extension WHERE extname = $1)")
        .bind(name)
        .fetch_one(executor)
        .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::fresh_database;

    #[tokio::test]
    async fn a_database_has_the_flavour_of_its_extensions() {
        let database = fresh_database().await;
        let mut connection = database.pool().acquire().await.unwrap();
        let available = "SELECT EXISTS (SELECT FROM pg_available_extensions WHERE name = $1)";
        let timescale: bool = sqlx::query_scalar(available)
            .bind(TIMESCALEDB)
            .fetch_one(&mut *connection)
            .await
            .unwrap();
        let flavour = DatabaseFlavour::detect(&mut connection).await.unwrap();
        assert_eq!(flavour, DatabaseFlavour::PostgreSql, "available, but not created");
        // plpgsql is in every database: the control that an extension which is there is found.
        assert!(has_extension(&mut *connection, "plpgsql").await.unwrap());
        if timescale {
            let create = "CREATE EXTENSION timescaledb";
            sqlx::raw_sql(create).execute(&mut *connection).await.unwrap();
            let flavour = DatabaseFlavour::detect(&mut connection).await.unwrap();
            assert_eq!(flavour, DatabaseFlavour::TimescaleDb);
        }
    }
}
