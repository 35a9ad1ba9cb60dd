//! For tests only: a fresh, migrated database each, on one cluster shared by every test process.
//!
//! The cluster lives in `/tmp/chipq-test-<uid>` (or is the server of `CHIPQ_TEST_DATABASE_URL`),
//! forgets on power loss, and goes on running; [`stop_shared_cluster`] ends it. Where
//! `CHIPQ_TEST_TIMESCALE_URL` names a server with TimescaleDB, every database has it. A database is
//! dropped after its [`TestDatabase`], unless the test panicked: then its URL is printed, and it
//! stays for an hour.

mod backup;
mod gateway;
mod intercepted_log;
mod lost_log;
mod pdfs;
mod ports;
mod timescale;

use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::{Connection as _, Executor as _, PgConnection};
use tokio::sync::OnceCell;
use uuid::Uuid;

use crate::artifact_store::{
    self, ArtifactStore, ArtifactStoreUrl, ExpectedUpload, UploadError, UploadLimits,
};
use crate::auth::{InstallationKeys, KeyRing, SigningKey};
use crate::embedded_postgres::{
    EmbeddedPostgres, EmbeddedPostgresConfig, EmbeddedPostgresError, Purpose, stop_cluster,
};
use crate::postgres::{self, DatabaseConfig, MIGRATOR, Pool, PostgresError};

pub use backup::DatabaseBackup;
pub use gateway::Gateway;
pub use intercepted_log::{CountedLog, InterceptedLog, Interception};
pub use lost_log::{cut_log, put_copy_back};
pub use pdfs::keep_pdf;
pub use ports::free_port;
pub use timescale::{create_timescale, timescale_server};

/// Connections that one test may hold.
const CONNECTIONS_PER_TEST: u32 = 16;
/// Databases that tests left behind are dropped after this.
const LEFT_BEHIND_AFTER: Duration = Duration::from_secs(3600);
/// Templates of other migrations are dropped after this.
const TEMPLATE_KEPT_FOR: &str = "1 day";
/// Advisory lock key: one process at a time makes the template.
const TEMPLATE_LOCK: i64 = 0x6368_6970_7101;

/// A database that one test has for itself.
#[derive(Debug)]
pub struct TestDatabase {
    name: String,
    url: String,
    pool: Pool,
}

impl TestDatabase {
    /// A pool on it; clones share the same connections. Keep the `TestDatabase` in a variable as
    /// long as the pool is used: the database is dropped with it.
    #[must_use]
    pub fn pool(&self) -> Pool {
        self.pool.clone()
    }

    /// Its URL, with the password in it.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }
}

/// A store of pictures in the folder `artifacts` of a data folder, with the folder's key.
///
/// # Panics
/// When the folder cannot be used.
#[must_use]
pub fn artifact_store_in(data_dir: &Path) -> ArtifactStore {
    let url = ArtifactStoreUrl::Folder(data_dir.join("artifacts"));
    let ring =
        KeyRing::open(data_dir, chrono::Utc::now()).unwrap_or_else(|error| panic!("{error}"));
    let key = SigningKey::new(&InstallationKeys::new(&ring));
    artifact_store::open(&url, &key).unwrap_or_else(|error| panic!("{error}"))
}

/// A new database with the shape of `schemas/migrations` and nothing in it.
///
/// # Panics
/// When there is no PostgreSQL, or it fails; the message says what to do.
pub async fn fresh_database() -> TestDatabase {
    static TEMPLATE: OnceCell<String> = OnceCell::const_new();
    create(&TEMPLATE, Shape { has_timescale: timescale_server().is_some() }).await
}

/// The same without TimescaleDB, wherever the tests run.
///
/// # Panics
/// When there is no PostgreSQL, or it fails; the message says what to do.
pub async fn fresh_plain_database() -> TestDatabase {
    static TEMPLATE: OnceCell<String> = OnceCell::const_new();
    create(&TEMPLATE, Shape { has_timescale: false }).await
}

/// Stops the shared cluster, if it runs. From a shell, as root or not, the same is
/// `kill -INT $(head -n 1 /tmp/chipq-test-$(id -u)/cluster/postmaster.pid)`.
///
/// # Errors
/// When it does not stop within its time.
pub async fn stop_shared_cluster() -> Result<(), EmbeddedPostgresError> {
    stop_cluster(&shared_cluster()).await
}

#[derive(Debug, thiserror::Error)]
enum TestDatabaseError {
    #[error(transparent)]
    Cluster(#[from] EmbeddedPostgresError),
    #[error(transparent)]
    Postgres(#[from] PostgresError),
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// What a template has beyond its migrations.
#[derive(Debug, Clone, Copy)]
struct Shape {
    has_timescale: bool,
}

async fn create(template: &OnceCell<String>, shape: Shape) -> TestDatabase {
    match try_create(template, shape).await {
        Ok(database) => database,
        Err(error) => panic!("no database for the test: {error}"),
    }
}

async fn try_create(
    template: &OnceCell<String>,
    shape: Shape,
) -> Result<TestDatabase, TestDatabaseError> {
    static SERVER: OnceCell<String> = OnceCell::const_new();
    let server = SERVER.get_or_try_init(server_url).await?;
    let template = template.get_or_try_init(|| make_template(server, shape)).await?;

    let name = format!("t_{}", Uuid::now_v7().simple());
    let mut connection = PgConnection::connect(server).await?;
    let statement = format!("CREATE DATABASE \"{name}\" TEMPLATE \"{template}\"");
    connection.execute(statement.as_str()).await?;
    connection.close().await?;

    let url = with_database(server, &name);
    let mut config = DatabaseConfig::from_url(&url);
    config.database_max_connections = CONNECTIONS_PER_TEST;
    config.database_acquire_timeout_s = 30;
    let pool = postgres::connect(&config).await?;
    Ok(TestDatabase { name, url, pool })
}

fn shared_cluster() -> EmbeddedPostgresConfig {
    let uid = rustix::process::geteuid().as_raw();
    // Not the user's own TMPDIR: on a shared machine all of a user's processes must meet here.
    let data_dir = PathBuf::from(format!("/tmp/chipq-test-{uid}"));
    EmbeddedPostgresConfig { purpose: Purpose::Testing, ..EmbeddedPostgresConfig::new(data_dir) }
}

/// The URL of the server's own database, from which others are created.
async fn server_url() -> Result<String, EmbeddedPostgresError> {
    if let Some(url) = timescale_server() {
        return Ok(url);
    }
    if let Ok(url) = std::env::var("CHIPQ_TEST_DATABASE_URL")
        && !url.is_empty()
    {
        return Ok(url);
    }
    Ok(EmbeddedPostgres::start(shared_cluster()).await?.owner_url("postgres"))
}

/// `url` with another database; what follows the question mark is kept.
fn with_database(url: &str, database: &str) -> String {
    let (base, query) = url.split_once('?').map_or((url, None), |(base, q)| (base, Some(q)));
    let authority = base.find("://").map_or(0, |place| place + 3);
    let end = base[authority..].find('/').map_or(base.len(), |place| authority + place);
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    format!("{}/{database}{query}", &base[..end])
}

/// The database that all others are copied from: made once for each set of migrations.
async fn make_template(server: &str, shape: Shape) -> Result<String, TestDatabaseError> {
    // With their numbers: one that got another is another set, since the database remembers by number.
    let numbered = MIGRATOR.iter().map(|m| [&m.version.to_be_bytes(), &*m.checksum].concat());
    let digest = domain::Sha256::digest_of(&numbered.collect::<Vec<_>>().concat()).to_string();
    let flavour = if shape.has_timescale { "timescale_" } else { "" };
    let name = format!("template_{flavour}{}", &digest[..16]);
    let mut connection = PgConnection::connect(server).await?;
    sqlx::query("SELECT pg_advisory_lock($1)").bind(TEMPLATE_LOCK).execute(&mut connection).await?;
    let is_ready: bool = sqlx::query_scalar(
        "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1 AND datistemplate)",
    )
    .bind(&name)
    .fetch_one(&mut connection)
    .await?;
    if !is_ready {
        fill_template(&mut connection, server, &name, shape).await?;
    }
    sweep(&mut connection, &digest[..16]).await?;
    // Closing the session releases the lock.
    connection.close().await?;
    Ok(name)
}

async fn fill_template(
    connection: &mut PgConnection,
    server: &str,
    name: &str,
    shape: Shape,
) -> Result<(), TestDatabaseError> {
    connection.execute(format!("DROP DATABASE IF EXISTS \"{name}\" WITH (FORCE)").as_str()).await?;
    connection.execute(format!("CREATE DATABASE \"{name}\" TEMPLATE template0").as_str()).await?;
    let url = with_database(server, name);
    if shape.has_timescale {
        let mut inside = PgConnection::connect(&url).await?;
        create_timescale(&mut inside, None).await?;
        inside.close().await?;
    }
    let pool = postgres::connect(&DatabaseConfig::from_url(&url)).await?;
    postgres::migrate(&pool).await?;
    if shape.has_timescale {
        // Its scheduler would be a connection that nobody can copy the database beside.
        pool.execute("SELECT _timescaledb_functions.stop_background_workers()").await?;
    }
    pool.close().await;
    let seal = format!("ALTER DATABASE \"{name}\" WITH IS_TEMPLATE true ALLOW_CONNECTIONS false");
    connection.execute(seal.as_str()).await?;
    Ok(())
}

/// Drops what failed or killed tests, and older migrations, have left behind.
async fn sweep(connection: &mut PgConnection, current: &str) -> Result<(), sqlx::Error> {
    let names: Vec<String> = sqlx::query_scalar(
        "SELECT datname::text FROM pg_database WHERE datname LIKE 't\\_%'
            OR (datname LIKE 'template\\_%' AND datname NOT LIKE '%' || $1
                AND (pg_stat_file('base/' || oid || '/PG_VERSION', true)).modification
                    < now() - $2::text::interval)",
    )
    .bind(current)
    .bind(TEMPLATE_KEPT_FOR)
    .fetch_all(&mut *connection)
    .await?;
    for name in names.iter().filter(|name| is_left_behind(name)) {
        if name.starts_with("template_") {
            let unseal = format!("ALTER DATABASE \"{name}\" WITH IS_TEMPLATE false");
            let _ = connection.execute(unseal.as_str()).await;
        }
        let drop = format!("DROP DATABASE IF EXISTS \"{name}\" WITH (FORCE)");
        let _ = connection.execute(drop.as_str()).await;
    }
    Ok(())
}

/// Test databases carry their birth in their name (a version 7 UUID), and so do copies of them; templates were
/// chosen by age.
fn is_left_behind(name: &str) -> bool {
    let Some(id) = name.strip_prefix("t_") else { return true };
    let id = id.split_once('_').map_or(id, |(id, _)| id);
    let born = Uuid::parse_str(id).ok().and_then(|id| id.get_timestamp());
    let (born_s, _) = born.map_or((0, 0), |timestamp| timestamp.to_unix());
    let now_s = u64::try_from(chrono::Utc::now().timestamp()).unwrap_or(0);
    now_s.saturating_sub(born_s) > LEFT_BEHIND_AFTER.as_secs()
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the test's database is kept for an hour: {}", self.url);
            return;
        }
        // Closed from here on: a listener that connects again while its database is being dropped
        // would hold the drop up until the server's authentication timeout.
        drop(self.pool.close());
        let server = with_database(&self.url, "postgres");
        let statement = format!("DROP DATABASE IF EXISTS \"{}\" WITH (FORCE)", self.name);
        // A thread of its own, and nobody waits for it: a connection of this test that is just
        // being authenticated answers only while the test's runtime runs, and the server waits for
        // it before it drops. What is not dropped when the process ends is swept later.
        std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
            runtime.block_on(async {
                let mut connection = PgConnection::connect(&server).await.ok()?;
                connection.execute(statement.as_str()).await.ok()
            })
        });
    }
}

/// Receives the picture in `body` and stores it under `id`, as the command API does it with one that is in order.
///
/// # Errors
/// Why it does not count.
pub async fn put_stream<E: Into<Box<dyn std::error::Error + Send + Sync>>>(
    store: &ArtifactStore,
    id: domain::ArtifactId,
    body: impl futures::Stream<Item = Result<bytes::Bytes, E>> + Send,
    (limits, expected): (&UploadLimits, impl Into<ExpectedUpload> + Send),
) -> Result<domain::Picture, UploadError> {
    let staged = store.stage_stream(body, limits, expected).await?;
    store.publish_staged(id, staged).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_database_of_a_url_is_exchanged() {
        let expected = "postgres://u:p@h:1/t?sslmode=disable";
        assert_eq!(with_database("postgres://u:p@h:1/x?sslmode=disable", "t"), expected);
        assert_eq!(with_database("postgres://u:p@h:1?sslmode=disable", "t"), expected);
        assert_eq!(with_database("postgres://u@h", "t"), "postgres://u@h/t");
    }

    #[tokio::test]
    async fn two_tests_never_share_a_database() {
        let (one, two) = tokio::join!(fresh_database(), fresh_database());
        one.pool().execute("CREATE TABLE mine ()").await.unwrap();
        two.pool().execute("CREATE TABLE mine ()").await.unwrap();
    }

    #[tokio::test]
    async fn a_database_is_gone_with_its_test() {
        let database = fresh_database().await;
        let (name, server) = (database.name.clone(), with_database(database.url(), "postgres"));
        drop(database);
        let mut connection = PgConnection::connect(&server).await.unwrap();
        let found = async || -> bool {
            sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)")
                .bind(&name)
                .fetch_one(&mut connection)
                .await
                .unwrap()
        };
        let gone = async {
            let mut found = found;
            while found().await {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), gone).await.expect("not dropped in time");
    }
}
