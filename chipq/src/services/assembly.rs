//! What the roles share: the log, the pictures, the keys; and the two APIs on one listener.

use std::future::Future;
use std::io;
use std::sync::Arc;

use chrono::Utc;
use command_api::CommandApi;
use platform::artifact_store::{self, ArtifactStore, ArtifactStoreUrl};
use platform::auth::{KeyRing, SigningKey, TokenConfig, TokenIssuer, Users};
use platform::event_log::EventLog;
use platform::event_log::postgres::PostgresEventLog;
use platform::follower::LogTail;
use platform::health::Probe;
use platform::idempotency::IdempotencyStore;
use platform::shutdown::Shutdown;
use query_api::QueryApi;
use sqlx::PgPool;
use tokio::net::TcpListener;

use super::Settings;
use crate::openapi::openapi;
use crate::place::Place;

/// What the roles share.
pub(super) struct Shared {
    pool: PgPool,
    tail: LogTail,
    artifacts: ArtifactStore,
    signing_key: SigningKey,
    issuer: Arc<TokenIssuer>,
}

impl Shared {
    /// Opens the folders and keys of `place`; makes what is missing.
    pub(super) fn new(place: &Place, pool: PgPool) -> anyhow::Result<Self> {
        let keys = KeyRing::open(place.data(), Utc::now())?;
        let signing_key = SigningKey::open(place.data())?;
        let pictures = ArtifactStoreUrl::Folder(place.artifacts());
        Ok(Self {
            tail: LogTail::new(Arc::new(PostgresEventLog::new(pool.clone()))),
            artifacts: artifact_store::open(&pictures, &signing_key)?,
            signing_key,
            issuer: Arc::new(TokenIssuer::new(keys, TokenConfig::default())),
            pool,
        })
    }

    pub(super) fn log(&self) -> Arc<dyn EventLog> {
        Arc::clone(self.tail.log())
    }

    /// The one reader of the log in this process.
    pub(super) fn tail(&self) -> LogTail {
        self.tail.clone()
    }

    pub(super) fn artifacts(&self) -> ArtifactStore {
        self.artifacts.clone()
    }

    fn idempotency(&self) -> IdempotencyStore {
        IdempotencyStore::new(self.pool.clone(), self.log())
    }

    /// Forgets expired answers from time to time.
    pub(super) fn housekeeping(
        &self,
        shutdown: Shutdown,
    ) -> impl Future<Output = ()> + Send + 'static {
        command_api::housekeeping(self.idempotency(), shutdown)
    }

    /// Serves commands and queries on one listener.
    pub(super) fn serve(
        &self,
        listener: TcpListener,
        users: Users,
        settings: &Settings,
        (shutdown, probes): (Shutdown, Vec<Arc<dyn Probe>>),
    ) -> impl Future<Output = io::Result<()>> + Send + 'static {
        let verifier = Arc::new(self.issuer.verifier());
        let commands = command_api::Dependencies {
            log: self.log(),
            idempotency: self.idempotency(),
            artifacts: self.artifacts(),
            issuer: Arc::clone(&self.issuer),
            verifier: Arc::clone(&verifier),
            users,
        };
        let queries = query_api::QueryApiDependencies {
            pool: self.pool.clone(),
            tail: self.tail(),
            artifacts: self.artifacts(),
            signing_key: self.signing_key.clone(),
            verifier,
            shutdown: shutdown.clone(),
            probes,
        };
        let commands = CommandApi::new(commands, &settings.commands);
        let commands = command_api::router_described_by(commands, openapi());
        let queries = query_api::router(QueryApi::new(queries, &settings.queries));
        let router = platform::http::wrap(
            commands.merge(queries).merge(platform::metrics::router()),
            &settings.commands.http(),
        );
        platform::http::serve(listener, router, shutdown)
    }
}
