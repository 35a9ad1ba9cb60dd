//! Where the event log is, as one URL: its scheme chooses the adapter.
//!
//! Invariant: no message shows the URL, which may hold a password.

use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use kurrentdb_client::{KurrentCredentials, KurrentUrl};
use secrecy::{ExposeSecret as _, SecretString};
use sqlx::postgres::PgConnectOptions;

use super::EventLog;
use super::kurrentdb::{KurrentEventLog, KurrentLogError};
use super::postgres::{PostgresEventLog, belongs_to_external_log};
use crate::postgres::Pool;

/// Where the event log is.
#[derive(Debug, Clone, clap::Args)]
pub struct EventLogConfig {
    /// Where the event log is, when it is not in the database: kurrentdb://HOST:PORT,HOST:PORT?tls=true&ca=FILE, with
    /// CHIPQ_KURRENTDB_USER and CHIPQ_KURRENTDB_PASSWORD, or CHIPQ_KURRENTDB_PASSWORD_FILE, of the environment
    /// (docs/kurrentdb.md); or postgres://…, and then the same as the database.
    #[arg(long, env = "CHIPQ_EVENT_LOG_URL", hide_env_values = true, value_name = "URL")]
    #[arg(value_parser = crate::config::secret)]
    pub event_log_url: Option<SecretString>,
}

impl EventLogConfig {
    /// The URL that is configured; `None` when the log is in the platform's database.
    ///
    /// # Errors
    /// When it is no URL of a log, or of one that is not compiled in.
    pub fn url(&self) -> Result<Option<EventLogUrl>, InvalidEventLogUrl> {
        let url = self.event_log_url.as_ref().map(|url| url.expose_secret());
        url.filter(|url| !url.is_empty()).map(parse_with_credentials).transpose()
    }
}

/// The address of a log whose adapter is compiled in.
#[derive(Clone)]
pub enum EventLogUrl {
    /// The table `events` of a PostgreSQL database: `postgres://` or `postgresql://`.
    Postgres(Box<PgConnectOptions>),
    /// The streams of a KurrentDB: `kurrentdb://` or `kurrentdb+discover://`; and who we are there.
    Kurrent(Box<(KurrentUrl, Option<KurrentCredentials>)>),
}

/// Text that names no event log that can be used here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEventLogUrl {
    /// What is wrong with the URL of a KurrentDB, or with who we are there.
    #[error("{0}")]
    Kurrent(String),
    /// An older name of KurrentDB.
    #[error("begin it with kurrentdb:// instead of {scheme}://")]
    OldName {
        /// The scheme that it has.
        scheme: String,
    },
    /// It is no URL of a log at all.
    #[error(
        "this names no event log; write kurrentdb://host:2113, or postgres://user:password@host:5432/db, or leave it out"
    )]
    Unknown,
    /// It is a PostgreSQL, but not the platform's.
    #[error(
        "this is another database than CHIPQ_DATABASE_URL; answers to commands are kept in the \
         transaction that appends, so both must be the same: leave CHIPQ_EVENT_LOG_URL out"
    )]
    OtherDatabase,
}

/// Why the log that is configured cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenEventLogError {
    /// The URL is wrong.
    #[error(transparent)]
    Url(#[from] InvalidEventLogUrl),
    /// The KurrentDB, or what is in it.
    #[error(transparent)]
    Kurrent(#[from] KurrentLogError),
    /// The database's log is somewhere else.
    #[error(
        "the log of this database is in a KurrentDB: set CHIPQ_EVENT_LOG_URL to kurrentdb://…, or use another database"
    )]
    IsExternal,
    /// The log or the database cannot be asked, or the two do not belong together.
    #[error(transparent)]
    Log(#[from] super::EventLogError),
}

impl OpenEventLogError {
    /// Whether what is configured rightly does not answer.
    #[must_use]
    pub const fn may_pass(&self) -> bool {
        match self {
            Self::Kurrent(KurrentLogError::Server(error)) => error.may_pass(),
            Self::Log(super::EventLogError::Unavailable(_)) => true,
            Self::Log(_) | Self::Url(_) | Self::Kurrent(_) | Self::IsExternal => false,
        }
    }
}

fn parse_with_credentials(text: &str) -> Result<EventLogUrl, InvalidEventLogUrl> {
    let (scheme, _) = text.split_once("://").ok_or(InvalidEventLogUrl::Unknown)?;
    // Schemes are the same in capitals (RFC 3986, section 3.1).
    match &*scheme.to_ascii_lowercase() {
        "postgres" | "postgresql" => PgConnectOptions::from_str(text)
            .map(|options| EventLogUrl::Postgres(Box::new(options)))
            .map_err(|_| InvalidEventLogUrl::Unknown),
        "kurrentdb" | "kurrentdb+discover" => {
            let wrong = InvalidEventLogUrl::Kurrent;
            let url = text.parse::<KurrentUrl>().map_err(|error| wrong(error.to_string()))?;
            let credentials = KurrentCredentials::from_lookup(|name| std::env::var(name).ok());
            let credentials = credentials.map_err(|error| wrong(error.to_string()))?;
            Ok(EventLogUrl::Kurrent(Box::new((url, credentials))))
        }
        old @ ("kdb" | "esdb" | "esdb+discover" | "kurrent") => {
            Err(InvalidEventLogUrl::OldName { scheme: old.to_owned() })
        }
        _ => Err(InvalidEventLogUrl::Unknown),
    }
}

impl EventLogUrl {
    /// Whether a platform with this database can use the log there.
    ///
    /// # Errors
    /// [`InvalidEventLogUrl::OtherDatabase`].
    pub(crate) fn check_beside(
        &self,
        database: &PgConnectOptions,
    ) -> Result<(), InvalidEventLogUrl> {
        let Self::Postgres(log) = self else { return Ok(()) };
        if place_of(log) == place_of(database) {
            Ok(())
        } else {
            Err(InvalidEventLogUrl::OtherDatabase)
        }
    }
}

/// Where a database is: the folder of its socket or else its host, the port, and its name, which is the
/// user's when none is given.
fn place_of(options: &PgConnectOptions) -> (PathBuf, u16, String) {
    let socket = options.get_socket().cloned();
    let server = socket.unwrap_or_else(|| PathBuf::from(options.get_host()));
    let database = options.get_database().unwrap_or_else(|| options.get_username());
    (server, options.get_port(), database.to_owned())
}

/// The log at `url`, or in `database` without one: the one place where a scheme becomes an adapter.
/// Call it inside a tokio runtime, once in a process.
///
/// # Errors
/// When this platform cannot use the log there.
pub async fn open(
    url: Option<&EventLogUrl>,
    database: &Pool,
) -> Result<Arc<dyn EventLog>, OpenEventLogError> {
    match url {
        Some(EventLogUrl::Kurrent(kurrent)) => {
            let (url, credentials) = &**kurrent;
            let log = KurrentEventLog::connect(url.clone(), credentials.as_ref(), database.clone());
            return Ok(Arc::new(log.await?));
        }
        Some(url @ EventLogUrl::Postgres(_)) => url.check_beside(database.options())?,
        None => {}
    }
    if belongs_to_external_log(database).await? {
        return Err(OpenEventLogError::IsExternal);
    }
    Ok(Arc::new(PostgresEventLog::new(database.clone())))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATABASE: &str = "postgres://chipq:secret@db:5432/chipq";

    fn parse(url: &str) -> Result<EventLogUrl, InvalidEventLogUrl> {
        EventLogConfig { event_log_url: Some(SecretString::from(url)) }.url().map(Option::unwrap)
    }

    #[test]
    fn the_scheme_chooses_the_adapter_and_what_cannot_be_used_is_refused_with_what_to_do() {
        for scheme in ["kurrentdb", "KurrentDB", "kurrentdb+discover"] {
            let url = parse(&format!("{scheme}://db:2113?tls=false"));
            assert!(matches!(url, Ok(EventLogUrl::Kurrent(_))));
            let error = parse(&format!("{scheme}://admin:changeit@db:2113")).err().unwrap();
            let text = error.to_string();
            assert!(text.contains("CHIPQ_KURRENTDB_USER") && !text.contains("changeit"), "{text}");
        }
        let error = parse("esdb://admin:changeit@db:2113").err().unwrap().to_string();
        assert_eq!(error, "begin it with kurrentdb:// instead of esdb://");
        let error = parse("kurrentdb://db?nodePreference=leader").err().unwrap().to_string();
        assert!(error.contains("\"nodePreference\" is not an option"), "{error}");
        for nonsense in ["kafka://x", "postgres", "postgres://["] {
            assert_eq!(parse(nonsense).err(), Some(InvalidEventLogUrl::Unknown), "{nonsense}");
        }
        assert!(EventLogConfig { event_log_url: None }.url().unwrap().is_none());
    }

    #[test]
    fn a_log_in_another_database_than_the_platforms_is_refused_with_the_reason() {
        let database: PgConnectOptions = DATABASE.parse().unwrap();
        for same in
            [DATABASE, "POSTGRES://chipq:secret@db:5432/chipq", "postgresql://other:user@db/chipq"]
        {
            parse(same).unwrap().check_beside(&database).unwrap();
        }
        let socket: PgConnectOptions = "postgres:///chipq?host=/run/a".parse().unwrap();
        parse("postgres:///chipq?user=me&host=/run/a").unwrap().check_beside(&socket).unwrap();
        assert!(parse("postgres:///chipq?host=/run/b").unwrap().check_beside(&socket).is_err());
        assert!(parse("postgres:///chipq?host=/run/a").unwrap().check_beside(&database).is_err());
        for other in ["postgres://db2/chipq", "postgres://db:5433/chipq", "postgres://db/events"] {
            let error = parse(other).unwrap().check_beside(&database).unwrap_err();
            assert!(error.to_string().contains("in the transaction that appends"), "{other}");
        }
    }
}
