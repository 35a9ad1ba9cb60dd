//! The server with TimescaleDB that tests may be given.

use sqlx::{Executor as _, PgConnection};

/// The URL of the server with TimescaleDB, if there is one: `CHIPQ_TEST_TIMESCALE_URL`, as a superuser.
#[must_use]
pub fn timescale_server() -> Option<String> {
    std::env::var("CHIPQ_TEST_TIMESCALE_URL").ok().filter(|url| !url.is_empty())
}

/// Creates the extension in the database of `connection`, in a schema of one's own if one is named.
///
/// # Errors
/// When the server does not have it, or has not loaded it.
pub async fn create_timescale(
    connection: &mut PgConnection,
    schema: Option<&str>,
) -> Result<(), sqlx::Error> {
    let schema = schema.map(|schema| format!(" SCHEMA {schema}")).unwrap_or_default();
    connection.execute(format!("CREATE EXTENSION timescaledb{schema}").as_str()).await?;
    Ok(())
}
