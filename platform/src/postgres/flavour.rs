//! Which kind of PostgreSQL a database is, for those whose tables differ by it.

use crate::postgres::DatabaseConnection;

/// What a database offers beyond SQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DatabaseFlavour {
    /// Plain PostgreSQL: tables, indexes, views.
    PostgreSql,
    /// PostgreSQL with the extension `timescaledb` in this database, under its Apache licence: hypertables as well.
    TimescaleDbApache,
    /// The same under its community licence: continuous aggregates and the columnstore as well.
    TimescaleDbCommunity,
}

impl DatabaseFlavour {
    /// Every one, the plain one first.
    pub const ALL: [Self; 3] =
        [Self::PostgreSql, Self::TimescaleDbApache, Self::TimescaleDbCommunity];

    /// Asks the database what it offers.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn detect(connection: &mut DatabaseConnection) -> Result<Self, sqlx::Error> {
        Ok(Timescale::detect(connection).await?.map_or(Self::PostgreSql, |found| found.flavour()))
    }
}

/// The oldest TimescaleDB whose hypertables are used: the first on which triggers see the rows of a statement.
const VERSION_MIN: (u32, u32) = (2, 18);

/// The extension `timescaledb` as a database has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timescale {
    /// Its version, as `2.28.3`.
    pub version: String,
    /// The schema of its functions, quoted where it has to be.
    pub schema: String,
    /// `timescale` or `apache`: which of its features it allows.
    pub license: String,
}

impl Timescale {
    /// Asks the database for the extension. One that the server could load, and this database has not
    /// created, does not count.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn detect(connection: &mut DatabaseConnection) -> Result<Option<Self>, sqlx::Error> {
        let found: Option<(String, String, String)> = sqlx::query_as(
            "SELECT extversion, quote_ident(nspname), coalesce(current_setting('timescaledb.license', true), '')
             FROM pg_catalog.pg_extension JOIN pg_catalog.pg_namespace AS n ON n.oid = extnamespace
             WHERE extname = 'timescaledb'",
        )
        .fetch_optional(connection)
        .await?;
        Ok(found.map(|(version, schema, license)| Self { version, schema, license }))
    }

    /// What it makes of its database. A version older than 2.18 offers nothing that is used.
    #[must_use]
    pub fn flavour(&self) -> DatabaseFlavour {
        if self.is_too_old() {
            DatabaseFlavour::PostgreSql
        } else if self.license == "timescale" {
            DatabaseFlavour::TimescaleDbCommunity
        } else {
            DatabaseFlavour::TimescaleDbApache
        }
    }

    /// Whether its hypertables lack what read models need.
    #[must_use]
    pub fn is_too_old(&self) -> bool {
        let mut numbers = self.version.split(['.', '-']).map(|part| part.parse().unwrap_or(0));
        (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) < VERSION_MIN
    }
}

/// Whether the server could give a database TimescaleDB that has not created it.
///
/// # Errors
/// When the database fails.
pub async fn is_timescale_available(
    connection: &mut DatabaseConnection,
) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT EXISTS (SELECT FROM pg_catalog.pg_available_extensions
                        WHERE name = 'timescaledb' AND installed_version IS NULL)",
    )
    .fetch_one(connection)
    .await
}

#[cfg(test)]
mod tests {
    use sqlx::{Connection as _, Executor as _, PgConnection};

    use super::*;
    use crate::test_support::{create_timescale, fresh_plain_database, timescale_server};

    fn timescale(version: &str, license: &str) -> DatabaseFlavour {
        let (version, license) = (version.to_owned(), license.to_owned());
        Timescale { version, schema: "public".to_owned(), license }.flavour()
    }

    #[test]
    fn the_licence_says_what_is_offered_and_an_old_version_offers_nothing() {
        use DatabaseFlavour as F;
        assert_eq!(timescale("2.28.3", "timescale"), F::TimescaleDbCommunity);
        assert_eq!(timescale("2.28.3", "apache"), F::TimescaleDbApache);
        assert_eq!(timescale("2.18.0-dev", "timescale"), F::TimescaleDbCommunity);
        assert_eq!(timescale("3.0.0", ""), F::TimescaleDbApache);
        assert_eq!(timescale("2.17.2", "timescale"), F::PostgreSql);
        assert_eq!(timescale("1.99", "timescale"), F::PostgreSql);
    }

    #[tokio::test]
    async fn an_extension_counts_once_it_is_created_in_whatever_schema() {
        let database = fresh_plain_database().await;
        let mut connection = database.pool().acquire().await.unwrap();
        let flavour = DatabaseFlavour::detect(&mut connection).await.unwrap();
        assert_eq!(flavour, DatabaseFlavour::PostgreSql, "available at most, and not created");
        if timescale_server().is_none() {
            return;
        }
        assert!(is_timescale_available(&mut connection).await.unwrap());
        let mut owner = PgConnection::connect(database.url()).await.unwrap();
        owner.execute("CREATE SCHEMA \"Of time\"").await.unwrap();
        create_timescale(&mut owner, Some("\"Of time\"")).await.unwrap();
        owner.close().await.unwrap();
        let found = Timescale::detect(&mut connection).await.unwrap().unwrap();
        assert_eq!(found.schema, "\"Of time\"");
        let license: String = sqlx::query_scalar("SHOW timescaledb.license")
            .fetch_one(&mut *connection)
            .await
            .unwrap();
        assert_eq!(found.license, license);
        assert_ne!(found.flavour(), DatabaseFlavour::PostgreSql);
        assert!(!is_timescale_available(&mut connection).await.unwrap());
    }
}
