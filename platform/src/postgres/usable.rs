//! Whether a database that answers can be used: refused at start, instead of with the first write, or the first
//! name that is not English.

use sqlx::PgConnection;
use sqlx::postgres::PgConnectOptions;

use super::PostgresError;
use super::error::host_and_port;

/// The encoding of everything that is stored.
const ENCODING: &str = "UTF8";

/// Refuses a database of another encoding, and one that only reads.
pub(super) async fn check_usable(
    connection: &mut PgConnection,
    options: &PgConnectOptions,
) -> Result<(), PostgresError> {
    let asked = "SELECT current_database()::text, current_setting('server_encoding'), \
                 pg_is_in_recovery(), current_setting('default_transaction_read_only')::bool";
    let (database, encoding, is_standby, reads_only): (String, String, bool, bool) =
        sqlx::query_as(asked).fetch_one(connection).await?;
    let place = host_and_port(options);
    match () {
        () if encoding != ENCODING => Err(PostgresError::OtherEncoding { database, encoding }),
        () if is_standby => Err(PostgresError::ReadOnly {
            place,
            reason: "it is a standby",
            remedy: "let the URL name the primary, or run it again when this one is promoted",
        }),
        () if reads_only => Err(PostgresError::ReadOnly {
            place,
            reason: "default_transaction_read_only is on",
            remedy: "turn it off for the database and the role (ALTER … RESET), and in PGOPTIONS",
        }),
        () => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use sqlx::{Connection as _, Executor as _};

    use super::*;
    use crate::postgres::{DatabaseConfig, connect};
    use crate::test_support::fresh_database;

    #[tokio::test]
    async fn a_database_that_only_reads_is_refused_with_what_to_do() {
        let database = fresh_database().await;
        let (mut connection, name) = session(database.url()).await;
        let only_reads =
            format!("ALTER DATABASE \"{name}\" SET default_transaction_read_only = on");
        connection.execute(only_reads.as_str()).await.unwrap();
        let refused = connect(&DatabaseConfig::from_url(database.url())).await.unwrap_err();
        assert!(matches!(refused, PostgresError::ReadOnly { .. }), "{refused}");
        assert!(refused.to_string().contains("RESET"), "{refused}");
    }

    #[tokio::test]
    async fn a_database_whose_text_is_not_unicode_is_refused_with_what_to_do() {
        let database = fresh_database().await;
        let (mut connection, name) = session(database.url()).await;
        let bytes = format!("{name}_bytes");
        let create = format!(
            "CREATE DATABASE \"{bytes}\" TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE 'C'"
        );
        connection.execute(create.as_str()).await.unwrap();
        let refused =
            connect(&DatabaseConfig::from_url(database.url().replace(&name, &bytes))).await;
        connection.execute(format!("DROP DATABASE \"{bytes}\"").as_str()).await.unwrap();
        let refused = refused.unwrap_err();
        assert!(matches!(refused, PostgresError::OtherEncoding { .. }), "{refused}");
        assert!(refused.to_string().contains("createdb --encoding=UTF8"), "{refused}");
    }

    async fn session(url: &str) -> (PgConnection, String) {
        let mut connection = PgConnection::connect(url).await.unwrap();
        let name = sqlx::query_scalar("SELECT current_database()::text");
        let name = name.fetch_one(&mut connection).await.unwrap();
        (connection, name)
    }
}
