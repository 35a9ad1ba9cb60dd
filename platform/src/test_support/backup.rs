//! A test's database as it was, to be put back: what was appended since is lost, and its positions are given
//! out again.

use std::time::Duration;

use sqlx::{Connection as _, PgConnection};

use super::{TestDatabase, with_database};

/// How often a statement is tried that needs the database for itself.
const ATTEMPTS_MAX: u32 = 100;

/// A copy of a [`TestDatabase`].
#[derive(Debug)]
pub struct DatabaseBackup {
    name: String,
    server: PgConnection,
}

impl DatabaseBackup {
    /// Copies the database. Whoever is connected loses its connection.
    ///
    /// # Panics
    /// When the server does not do it.
    pub async fn take(database: &TestDatabase) -> Self {
        let server = PgConnection::connect(&with_database(database.url(), "postgres")).await;
        let server = server.unwrap_or_else(|error| panic!("no server: {error}"));
        let mut backup = Self { name: database.name.clone(), server };
        backup.run_alone(&["CREATE DATABASE \"{}_copy\" TEMPLATE \"{}\""]).await;
        backup
    }

    /// Puts the copy in the place of the database. Whoever is connected loses its connection.
    ///
    /// # Panics
    /// When the server does not do it.
    pub async fn restore(mut self) {
        self.run_alone(&[
            "ALTER DATABASE \"{}\" RENAME TO \"{}_lost\"",
            "ALTER DATABASE \"{}_copy\" RENAME TO \"{}\"",
            "DROP DATABASE \"{}_lost\"",
        ])
        .await;
    }

    /// Runs statements while nobody else is connected.
    async fn run_alone(&mut self, statements: &[&str]) {
        let shut = "ALTER DATABASE \"{}\" ALLOW_CONNECTIONS false";
        let end =
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = '{}'";
        let open = "ALTER DATABASE \"{}\" ALLOW_CONNECTIONS true";
        for statement in [shut, end].iter().chain(statements).chain([&open]) {
            let statement = statement.replace("{}", &self.name);
            let end = end.replace("{}", &self.name);
            // Who was let in just before the door was shut is seen only now.
            for attempt in 1..=ATTEMPTS_MAX {
                match sqlx::query(&statement).execute(&mut self.server).await {
                    Ok(_) => break,
                    Err(error) if is_in_use(&error) && attempt < ATTEMPTS_MAX => {
                        tokio::time::sleep(Duration::from_millis(50)).await;
                        let _ = sqlx::query(&end).execute(&mut self.server).await;
                    }
                    Err(error) => panic!("{statement}: {error}"),
                }
            }
        }
    }
}

/// Whether somebody else is connected to the database.
fn is_in_use(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|error| error.code().as_deref() == Some("55006"))
}
