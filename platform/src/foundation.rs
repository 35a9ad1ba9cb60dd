//! What the roles of one process stand on, opened in one place: the database, the event log and its one
//! reader, pictures, keys.
//!
//! Invariant: a role opens what it asks for and nothing else, so that projectors need no folder, and the
//! worker no keys for tokens. Absent: the services, which are handed what they need.

use std::path::PathBuf;
use std::sync::Arc;

use crate::artifact_store::{
    self, ArtifactStore, ArtifactStoreConfig, ArtifactStoreError, ArtifactStoreUrl,
    InvalidArtifactStoreUrl,
};
use crate::auth::{
    AccessRegister, ExternalIssuer, InstallationKeys, SigningKey, TokenIssuer, TokenIssuerConfig,
    TokenVerifier,
};
use crate::config::ConfigErrors;
use crate::event_log::{self, EventLog, EventLogConfig, InvalidEventLogUrl, OpenEventLogError};
use crate::follower::LogTail;
use crate::idempotency::IdempotencyStore;
use crate::postgres::{self, DatabaseConfig, Pool, PostgresError};

/// Where the database and the event log are.
#[derive(Debug, Clone, clap::Args)]
pub struct FoundationConfig {
    /// The database of read models, keys and, unless it is elsewhere, the log.
    #[command(flatten)]
    pub database: DatabaseConfig,
    /// The log.
    #[command(flatten)]
    pub event_log: EventLogConfig,
}

impl FoundationConfig {
    /// The defaults, for the database at `url` with the log in it.
    #[must_use]
    pub fn from_url(url: impl Into<String>) -> Self {
        let event_log = EventLogConfig { event_log_url: None };
        Self { database: DatabaseConfig::from_url(url), event_log }
    }

    /// Notes everything that is wrong, without connecting anywhere.
    pub fn check(&self, errors: &mut ConfigErrors) {
        let database = postgres::connect_options(&self.database);
        let database = errors.check(self.database.url_variable(), database);
        errors.check("CHIPQ_DATABASE_MAX_CONNECTIONS", self.database.check_connections());
        let log = errors.check("CHIPQ_EVENT_LOG_URL", self.event_log.url()).flatten();
        if let (Some(database), Some(log)) = (database, log) {
            errors.check("CHIPQ_EVENT_LOG_URL", log.check_beside(&database));
        }
    }
}

/// Where what is kept outside the database is.
#[derive(Debug, Clone, clap::Args)]
pub struct DataConfig {
    /// The folder of pictures and keys, shared with the other services.
    #[arg(long = "data", env = "CHIPQ_DATA", value_name = "DIR")]
    pub data_dir: PathBuf,
    /// Pictures, when they are not in that folder.
    #[command(flatten)]
    pub artifact_store: ArtifactStoreConfig,
}

/// Why what a role stands on cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FoundationError {
    /// Everything that is wrong with the configuration.
    #[error("{0}")]
    Config(#[from] ConfigErrors),
    /// The database.
    #[error("{0}")]
    Database(#[from] PostgresError),
    /// The log.
    #[error("{0}")]
    EventLogUrl(#[from] InvalidEventLogUrl),
    /// What is there.
    #[error("CHIPQ_EVENT_LOG_URL: {0}")]
    EventLog(#[from] OpenEventLogError),
    /// Where pictures are.
    #[error("{0}")]
    ArtifactStoreUrl(#[from] InvalidArtifactStoreUrl),
    /// The pictures.
    #[error("{0}")]
    Artifacts(#[from] ArtifactStoreError),
}

/// What every role of a process stands on.
#[derive(Clone)]
pub struct Foundation {
    /// For commands and the log.
    pool: Pool,
    reads: Pool,
    leases: Pool,
    tail: LogTail,
}

/// What makes tokens, and what believes them.
#[derive(Clone)]
pub struct TokenKeys {
    /// Makes tokens.
    pub issuer: Arc<TokenIssuer>,
    /// Believes tokens.
    pub verifier: Arc<TokenVerifier>,
}

impl Foundation {
    /// Connects to the database, which must be migrated before the log is used, and opens the log.
    ///
    /// # Errors
    /// Everything that is wrong with the configuration, at once; or when the database does not answer.
    pub async fn open(config: &FoundationConfig) -> Result<Self, FoundationError> {
        let mut errors = ConfigErrors::new();
        config.check(&mut errors);
        errors.finish()?;
        let pool = postgres::connect(&config.database).await?;
        pool.observe_as("main");
        let log = event_log::open(config.event_log.url()?.as_ref(), &pool).await?;
        // A page takes two statements.
        let tail = LogTail::with_read_timeout(log, config.database.read_limit(2));
        Ok(Self { reads: pool.clone(), leases: pool.clone(), pool, tail })
    }

    /// Makes sure, once the database is migrated, that a log outside it belongs to it, and is in the incarnation that
    /// follows: before anybody else asks for one.
    ///
    /// # Errors
    /// When the two do not belong together, or do not answer.
    pub async fn check_log(&self) -> Result<(), FoundationError> {
        if self.tail.log().keeps_answers_with_events() {
            return Ok(());
        }
        self.tail.log().end().await.map_err(OpenEventLogError::from)?;
        Ok(())
    }

    /// With pools of their own for reads and for leases, where commands, reads and followers share a process:
    /// whoever uses up one pool holds up none of the others.
    ///
    /// # Errors
    /// When the database's URL cannot be used.
    pub fn with_pools_apart(self, config: &FoundationConfig) -> Result<Self, FoundationError> {
        let reads = postgres::separate_pool(&config.database)?;
        let leases = postgres::separate_pool(&config.database)?;
        reads.observe_as("reads");
        leases.observe_as("leases");
        Ok(Self { reads, leases, ..self })
    }

    /// The database, for commands and the log.
    #[must_use]
    pub const fn pool(&self) -> &Pool {
        &self.pool
    }

    /// The database, for reads.
    #[must_use]
    pub const fn read_pool(&self) -> &Pool {
        &self.reads
    }

    /// The database, for followers: their leases, checkpoints and rows.
    #[must_use]
    pub const fn lease_pool(&self) -> &Pool {
        &self.leases
    }

    /// Closes every pool.
    pub async fn close(&self) {
        tokio::join!(self.pool.close(), self.reads.close(), self.leases.close());
    }

    /// The log.
    #[must_use]
    pub fn log(&self) -> Arc<dyn EventLog> {
        Arc::clone(self.tail.log())
    }

    /// The one reader of the log in this process.
    #[must_use]
    pub const fn tail(&self) -> &LogTail {
        &self.tail
    }

    /// Idempotency keys.
    #[must_use]
    pub fn idempotency(&self) -> IdempotencyStore {
        IdempotencyStore::new(self.pool.clone(), self.log())
    }
}

impl DataConfig {
    /// Notes everything that is wrong, without opening anything.
    pub fn check(&self, errors: &mut ConfigErrors) {
        const VARIABLE: &str = "CHIPQ_ARTIFACT_STORE_URL";
        match self.artifact_store.url(&self.data_dir) {
            Ok(ArtifactStoreUrl::Folder(_)) => {}
            Ok(ArtifactStoreUrl::S3(location)) => {
                errors.check(VARIABLE, location.check_credentials());
            }
            Err(invalid) => {
                for fault in invalid.faults() {
                    errors.require(false, VARIABLE, &fault);
                }
            }
        }
    }

    /// Proves that a bucket of pictures is there and does what is asked of it; `writes` when pictures are stored. A
    /// folder is looked at when it is opened. It needs nothing else that a role stands on, so that it can be tried
    /// beside the rest, and everything that is wrong be said at once.
    ///
    /// # Errors
    /// When the bucket cannot be used, with what to do.
    pub async fn try_bucket(&self, writes: bool) -> Result<(), FoundationError> {
        let url = self.artifact_store.url(&self.data_dir)?;
        if let ArtifactStoreUrl::S3(_) = url {
            artifact_store::open_to_read(&url)?.check_at_start(writes).await?;
        }
        Ok(())
    }

    /// Opens the pictures, whose URLs `key` signs; makes their folder when it is missing. A bucket is not asked: see
    /// [`Self::try_bucket`].
    ///
    /// # Errors
    /// When they cannot be used.
    pub fn open_artifacts(&self, key: &SigningKey) -> Result<ArtifactStore, FoundationError> {
        let url = self.artifact_store.url(&self.data_dir)?;
        Ok(artifact_store::open(&url, key)?)
    }

    /// Opens the pictures for whoever only reads them, without any key.
    ///
    /// # Errors
    /// When they cannot be used.
    pub fn open_artifacts_to_read(&self) -> Result<ArtifactStore, FoundationError> {
        let url = self.artifact_store.url(&self.data_dir)?;
        Ok(artifact_store::open_to_read(&url)?)
    }
}

impl TokenKeys {
    /// What makes tokens with `keys` and believes them. What a token says is believed while `register` says so, too;
    /// those of `external` are judged by its own rules.
    #[must_use]
    pub fn new(
        keys: &InstallationKeys,
        issuer: &TokenIssuerConfig,
        register: AccessRegister,
        external: Option<ExternalIssuer>,
    ) -> Self {
        let issuer = Arc::new(TokenIssuer::on_keys(keys, issuer.token_config()));
        let verifier = issuer.verifier().with_register(register);
        let verifier = Arc::new(verifier.with_external_issuer(external));
        Self { issuer, verifier }
    }
}

#[cfg(test)]
mod tests {
    use chrono::Utc;

    use super::*;
    use crate::test_support::fresh_database;

    #[tokio::test]
    async fn everything_wrong_is_said_at_once_and_before_anything_is_connected() {
        let mut config = FoundationConfig::from_url("mysql://db/chipq");
        config.event_log.event_log_url = Some("kurrentdb://db:2113?cafe=1".into());
        let error = Foundation::open(&config).await.err().unwrap().to_string();
        assert!(error.contains("wrong in 2 place"), "{error}");
        assert!(
            error.contains("CHIPQ_DATABASE_URL: ") && error.contains("\"cafe\" is not an option"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn a_pool_that_listeners_alone_would_use_up_is_refused_to_who_serves() {
        let database = fresh_database().await;
        let mut config = FoundationConfig::from_url(database.url());
        config.database.database_max_connections = 3;
        let error = Foundation::open(&config).await.err().unwrap().to_string();
        assert!(error.contains("CHIPQ_DATABASE_MAX_CONNECTIONS: "), "{error}");
        assert!(error.contains("at least 4"), "{error}");
        config.database = config.database.with_enough_connections();
        assert_eq!(config.database.database_max_connections, 4);
        assert!(Foundation::open(&config).await.is_ok());
        config.database.database_max_connections = 7;
        assert_eq!(config.database.with_enough_connections().database_max_connections, 7);
    }

    #[tokio::test]
    async fn who_only_reads_pictures_opens_no_key_and_can_give_out_no_upload() {
        let folder = tempfile::tempdir().unwrap();
        let data_dir = folder.path().to_owned();
        let data = DataConfig { data_dir, artifact_store: ArtifactStoreConfig::default() };
        let reader = data.open_artifacts_to_read().unwrap();
        let kept: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
        assert_eq!(kept.len(), 1, "the folder of pictures, and nothing else: {kept:?}");

        let id = domain::ArtifactId(uuid::Uuid::now_v7());
        let ask = |store: ArtifactStore| async move {
            let expected = domain::MediaType::Jpeg.into();
            let (until, notes) = (Utc::now(), Default::default());
            let upload =
                artifact_store::AnnouncedUpload { artifact_id: id, expected, until, notes };
            store.upload_target(upload).await
        };
        let key = SigningKey::from_bytes([7; 32]);
        assert!(matches!(ask(reader.clone()).await, Err(ArtifactStoreError::OpenedToRead)));
        assert!(matches!(reader.get(id).await, Err(ArtifactStoreError::NotFound(_))));
        assert!(ask(data.open_artifacts(&key).unwrap()).await.is_ok());
    }

    #[tokio::test]
    async fn the_log_of_a_database_is_read_through_one_tail() {
        let database = fresh_database().await;
        let foundation =
            Foundation::open(&FoundationConfig::from_url(database.url())).await.unwrap();
        assert!(Arc::ptr_eq(foundation.tail().log(), &foundation.log()));
        assert_eq!(foundation.log().head().await.unwrap(), event_log::Position(0));
    }
}
