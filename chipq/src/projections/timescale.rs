//! What `chipq migrate` says of TimescaleDB, where it is there or could be.

use platform::postgres::{DatabaseFlavour, Pool, Timescale, is_timescale_available};
use projectors::list_of_other_flavour;

/// Sentences about what the database has, and what to do so that it is used; none where there is nothing to say.
pub(super) async fn describe(pool: &Pool) -> Result<Vec<String>, sqlx::Error> {
    let mut connection = pool.acquire().await?;
    let found = Timescale::detect(&mut connection).await?;
    let is_available = is_timescale_available(&mut connection).await?;
    drop(connection);
    let mut said = Vec::new();
    match &found {
        Some(found) => said.push(describe_extension(found)),
        None if is_available => said.push(
            "TimescaleDB is installed on the server and not used: CREATE EXTENSION timescaledb in this database, and \
             migrate again (docs/timescaledb.md)"
                .to_owned(),
        ),
        None => {}
    }
    let others = list_of_other_flavour(pool).await?;
    if !others.is_empty() {
        let rebuild = others.iter().map(|name| format!("chipq rebuild {name}"));
        said.push(format!(
            "read models that were made without or with another TimescaleDB stay as they are until: {}",
            rebuild.collect::<Vec<_>>().join("; ")
        ));
    }
    Ok(said)
}

fn describe_extension(found: &Timescale) -> String {
    let version = &found.version;
    match found.flavour() {
        DatabaseFlavour::PostgreSql => format!(
            "TimescaleDB {version} is too old to be used: ALTER EXTENSION timescaledb UPDATE to 2.18 or later, and \
             migrate again"
        ),
        DatabaseFlavour::TimescaleDbApache => format!(
            "TimescaleDB {version} under the Apache licence: hypertables, and sums kept by triggers"
        ),
        DatabaseFlavour::TimescaleDbCommunity => {
            format!(
                "TimescaleDB {version} under the community licence: hypertables and continuous aggregates"
            )
        }
    }
}
