//! The query API in a process of its own.

use std::sync::Arc;

use anyhow::Context as _;
use chrono::Utc;
use platform::artifact_store::{self, ArtifactStoreUrl};
use platform::auth::{KeyRing, SigningKey, TokenConfig, TokenIssuer};
use platform::event_log::postgres::PostgresEventLog;
use platform::follower::LogTail;
use platform::http::HttpConfig;
use platform::shutdown::Shutdown;
use tokio::net::TcpListener;

use crate::{QueryApi, QueryApiDependencies, QueryApiRunConfig, router};

/// Serves reads until `shutdown`. The database must be migrated; read models may still be missing,
/// and `/readyz` then says so.
///
/// # Errors
/// When the database, the data folder or the listener cannot be used.
pub async fn run(config: QueryApiRunConfig, shutdown: Shutdown) -> anyhow::Result<()> {
    let pool = platform::postgres::connect(&config.database).await?;
    let keys = KeyRing::open(&config.data_dir, Utc::now())?;
    let signing_key = SigningKey::open(&config.data_dir)?;
    let pictures = ArtifactStoreUrl::Folder(config.data_dir.join("artifacts"));
    let on = QueryApiDependencies {
        tail: LogTail::new(Arc::new(PostgresEventLog::new(pool.clone()))),
        pool,
        artifacts: artifact_store::open(&pictures, &signing_key)?,
        signing_key,
        verifier: Arc::new(TokenIssuer::new(keys, TokenConfig::default()).verifier()),
        shutdown: shutdown.clone(),
        probes: Vec::new(),
    };
    let listener = TcpListener::bind(config.listen)
        .await
        .with_context(|| format!("cannot listen on {}; is it in use?", config.listen))?;
    tracing::info!(address = %config.listen, "query API is listening");
    let api = QueryApi::new(on, &config.api);
    let router = platform::http::wrap(router(api), &HttpConfig::default());
    platform::http::serve(listener, router, shutdown).await?;
    Ok(())
}
