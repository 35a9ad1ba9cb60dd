//! Connections to PostgreSQL, and the migrations that give a database its shape.
//!
//! Invariant: a session that idles inside a transaction, or a statement that runs away, is ended by
//! the server; nobody else's work waits for it for ever. Absent: any query of a service.

pub mod channel;
mod clock;
mod connection;
mod error;
mod flavour;
mod migrations;
mod pool;
mod room;
mod room_probe;
mod service_role;
mod session_watch;
mod transaction;
mod transient;
mod usable;

use std::str::FromStr as _;
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection as _, PgConnection};

pub(crate) use clock::DatabaseClock;
pub use connection::DatabaseConnection;
pub use error::PostgresError;
pub use flavour::{DatabaseFlavour, Timescale, is_timescale_available};
pub use migrations::{MIGRATOR, check_migrated, migrate};
pub use pool::{Pool, PooledConnection};
pub(crate) use service_role::SERVICE_ROLE;
pub use service_role::grant_to_services;
pub use transaction::Transaction;
pub(crate) use transient::is_fatal;
pub use transient::may_pass;

use error::{explain_connect_error, unreachable_because};
use pool::PoolLimits;

/// The fewest connections that a process can serve with: one listens for what is appended, one for read
/// models that move, and what is left is for statements.
const CONNECTIONS_MIN: u32 = 4;

/// Of them, those that listen: one for what is appended, one for read models that move.
const LISTENERS: u32 = 2;

/// What an answer may take beyond the statement: the server ends one that takes too long, and says so.
const ANSWER_MARGIN: Duration = Duration::from_secs(3);
/// Where no statement is ended by the server, one that has not answered for so long is on a connection on
/// which nothing ever comes back.
const UNLIMITED_STATEMENT: Duration = Duration::from_secs(3_600);

/// How long the server works on a statement by default. With what follows on a silent one (the margin, a
/// back-off, connecting anew) every loop is back within 30 s of a new primary.
const STATEMENT_TIMEOUT_S: u64 = 10;
/// The server looks so often whether the client of a statement is still there.
const CLIENT_CHECK: &str = "5s";
/// After this silence it probes a connection (seconds), this often, so many times: a client that is cut
/// off is dropped after 25 s, with its locks.
const KEEPALIVE: [(&str, &str); 4] = [
    ("tcp_keepalives_idle", "10"),
    ("tcp_keepalives_interval", "5"),
    ("tcp_keepalives_count", "3"),
    ("tcp_user_timeout", "25s"),
];

/// Where PostgreSQL is, and how much of it one process may use.
#[derive(Debug, Clone, clap::Args)]
pub struct DatabaseConfig {
    /// postgres://user:password@host:port/database; DATABASE_URL is read when this is not set.
    #[arg(long, env = "CHIPQ_DATABASE_URL", hide_env_values = true)]
    #[arg(value_parser = crate::config::secret)]
    pub database_url: Option<SecretString>,
    /// Most connections in a pool, the two that listen among them; at least 4 for `up`, `demo` and roles. A role
    /// has one pool, `up` and `demo` have three: for commands and the log, for reads, for leases and projectors.
    /// Beside them, each projector holds one of its own, and each rebuild or verification that runs two.
    #[arg(long, env = "CHIPQ_DATABASE_MAX_CONNECTIONS", default_value_t = 16)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub database_max_connections: u32,
    /// Seconds to wait for a free connection before giving up.
    #[arg(long, env = "CHIPQ_DATABASE_ACQUIRE_TIMEOUT", default_value_t = 5)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=3_600))]
    pub database_acquire_timeout_s: u64,
    /// Seconds after which the server ends a statement; 0 means never. Three seconds later this process
    /// gives up on the connection, whatever has become of the server.
    #[arg(long, env = "CHIPQ_DATABASE_STATEMENT_TIMEOUT", default_value_t = STATEMENT_TIMEOUT_S)]
    #[arg(value_parser = clap::value_parser!(u64).range(0..=86_400))]
    pub database_statement_timeout_s: u64,
}

impl DatabaseConfig {
    /// The defaults, for the database at `url`.
    #[must_use]
    pub fn from_url(url: impl Into<String>) -> Self {
        Self {
            database_url: Some(SecretString::from(url.into())),
            database_max_connections: 16,
            database_acquire_timeout_s: 5,
            database_statement_timeout_s: STATEMENT_TIMEOUT_S,
        }
    }

    /// The URL as configured, from either variable; `None` when neither is set.
    #[must_use]
    pub fn url(&self) -> Option<SecretString> {
        self.own_url().or_else(|| {
            let shared = std::env::var("DATABASE_URL").ok().filter(|url| !url.is_empty());
            shared.map(SecretString::from)
        })
    }

    fn own_url(&self) -> Option<SecretString> {
        self.database_url.clone().filter(|url| !url.expose_secret().is_empty())
    }

    /// Which variable the URL is in, to name what has to be corrected.
    pub(crate) fn url_variable(&self) -> &'static str {
        match self.own_url() {
            None if self.url().is_some() => "DATABASE_URL",
            _ => "CHIPQ_DATABASE_URL",
        }
    }

    /// With as many connections as are configured, but not fewer than a process needs: for a command that
    /// ends by itself, which holds few of them and not for long.
    #[must_use]
    pub fn with_enough_connections(self) -> Self {
        let database_max_connections = self.database_max_connections.max(CONNECTIONS_MIN);
        Self { database_max_connections, ..self }
    }

    /// Refuses a pool that listeners alone would use up.
    pub(crate) fn check_connections(&self) -> Result<(), String> {
        if self.database_max_connections < CONNECTIONS_MIN {
            return Err(format!(
                "a process that serves needs at least {CONNECTIONS_MIN}: two are held to listen, the \
                 others are for statements"
            ));
        }
        Ok(())
    }

    fn acquire_timeout(&self) -> Duration {
        Duration::from_secs(self.database_acquire_timeout_s)
    }

    /// How long a statement may go unanswered: for as long as the server may work on it, and the way back.
    fn statement_limit(&self) -> Duration {
        let statement = match self.database_statement_timeout_s {
            0 => UNLIMITED_STATEMENT,
            seconds => Duration::from_secs(seconds),
        };
        statement.saturating_add(ANSWER_MARGIN)
    }

    /// How long a read of so many statements on one connection may take while all is well, however slow.
    pub(crate) fn read_limit(&self, statements: u32) -> Duration {
        self.acquire_timeout().saturating_add(self.statement_limit().saturating_mul(statements))
    }

    fn pool_limits(&self) -> PoolLimits {
        let all = self.database_max_connections;
        let listeners = if all < CONNECTIONS_MIN { 0 } else { LISTENERS };
        PoolLimits {
            connections: all - listeners,
            acquire: self.acquire_timeout(),
            statement: self.statement_limit(),
        }
    }
}

/// Connects, and proves it with one connection before a pool is handed out.
///
/// # Errors
/// When no URL is configured, it does not parse, or the server cannot be used.
pub async fn connect(config: &DatabaseConfig) -> Result<Pool, PostgresError> {
    let options = connect_options(config)?;
    let first =
        tokio::time::timeout(config.acquire_timeout(), PgConnection::connect_with(&options));
    match first.await {
        Ok(Ok(mut connection)) => {
            usable::check_usable(&mut connection, &options).await?;
            connection.close().await?;
        }
        Ok(Err(error)) => return Err(explain_connect_error(error, &options)),
        Err(_) => return Err(unreachable_because(&options, "no answer in time")),
    }
    Ok(Pool::new(options, config.pool_limits()))
}

/// A pool that connects when it is first used.
///
/// # Errors
/// When no URL is configured, or it does not parse.
pub(crate) fn separate_pool(config: &DatabaseConfig) -> Result<Pool, PostgresError> {
    Ok(Pool::new(connect_options(config)?, config.pool_limits()))
}

/// The options of every connection that this platform opens.
pub(crate) fn connect_options(config: &DatabaseConfig) -> Result<PgConnectOptions, PostgresError> {
    let url = config.url().ok_or(PostgresError::NotConfigured)?;
    let url = url.expose_secret();
    let bad_url = || PostgresError::BadUrl { variable: config.url_variable() };
    let scheme = url.split_once("://").map_or("", |(scheme, _)| scheme);
    // Schemes are the same in capitals (RFC 3986, section 3.1).
    if !["postgres", "postgresql"].iter().any(|known| scheme.eq_ignore_ascii_case(known)) {
        return Err(bad_url());
    }
    let options = PgConnectOptions::from_str(url).map_err(|_| bad_url())?;
    let statement_timeout = format!("{}s", config.database_statement_timeout_s);
    Ok(options.application_name("chipq").options(KEEPALIVE).options([
        ("client_connection_check_interval", CLIENT_CHECK),
        ("idle_in_transaction_session_timeout", "30s"),
        ("statement_timeout", &statement_timeout),
        ("timezone", "UTC"),
    ]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::fresh_database;

    async fn refusal(url: String) -> PostgresError {
        connect(&DatabaseConfig::from_url(url)).await.unwrap_err()
    }

    #[tokio::test]
    async fn every_reason_for_no_connection_says_what_to_do_and_hides_the_password() {
        let database = fresh_database().await;
        let url = database.url();
        let authority = url.split('@').nth(1).unwrap();
        let name = authority.split(['/', '?']).nth(1).unwrap();
        let secret = url.split(['@', ':']).nth(2).unwrap();

        let error = refusal(format!("postgres://chipq:hunter2@{authority}")).await;
        assert!(matches!(error, PostgresError::Refused { .. }), "{error}");
        assert!(!error.to_string().contains("hunter2"));
        let error = refusal(url.replace(name, "no_such_db")).await;
        assert!(error.to_string().contains("createdb no_such_db"), "{error}");
        assert!(!error.to_string().contains(secret));
        let error = refusal("postgres://chipq:hunter2@127.0.0.1:1/x".to_owned()).await;
        assert!(matches!(error, PostgresError::Unreachable { .. }), "{error}");
        for url in ["mysql://x/y", "postgres://[", "nonsense"] {
            assert!(matches!(refusal(url.to_owned()).await, PostgresError::BadUrl { .. }), "{url}");
        }
        let url = url.replacen("postgres://", "POSTGRES://", 1).replace(name, "no_such_db");
        let error = refusal(url).await;
        assert!(error.to_string().contains("createdb no_such_db"), "{error}");
        assert!(matches!(refusal(String::new()).await, PostgresError::NotConfigured));
    }

    #[test]
    fn a_read_may_take_as_long_as_what_it_is_made_of() {
        let limit = |acquire, statement| {
            let mut config = DatabaseConfig::from_url("");
            config.database_acquire_timeout_s = acquire;
            config.database_statement_timeout_s = statement;
            config.read_limit(2).as_secs()
        };
        assert_eq!(limit(5, 10), 5 + 2 * (10 + 3), "the defaults");
        assert_eq!(limit(10, 120), 10 + 2 * (120 + 3));
        assert_eq!(limit(5, 0), 5 + 2 * (3_600 + 3), "no statement is ended");
        assert_eq!(limit(u64::MAX, u64::MAX), u64::MAX);
    }

    #[tokio::test]
    async fn sessions_have_their_limits_and_migrating_twice_changes_nothing() {
        let database = fresh_database().await;
        let pool = database.pool();
        migrate(&pool).await.unwrap();
        for (setting, value) in [
            ("statement_timeout", "10s"),
            ("client_connection_check_interval", "5s"),
            ("idle_in_transaction_session_timeout", "30s"),
            ("application_name", "chipq"),
            ("TimeZone", "UTC"),
        ] {
            let found: String =
                sqlx::query_scalar(&format!("SHOW {setting}")).fetch_one(&pool).await.unwrap();
            assert_eq!(found, value, "{setting}");
        }
    }
}
