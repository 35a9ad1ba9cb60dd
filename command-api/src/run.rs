//! The command API in a process of its own.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use chrono::Utc;
use platform::artifact_store::{self, ArtifactStoreUrl};
use platform::auth::{KeyRing, SigningKey, TokenConfig, TokenIssuer, Users};
use platform::event_log::EventLog;
use platform::event_log::postgres::PostgresEventLog;
use platform::idempotency::IdempotencyStore;
use platform::shutdown::Shutdown;
use tokio::net::TcpListener;
use tokio::time::MissedTickBehavior;

use crate::{CommandApi, Dependencies, RunConfig, router};

/// How often expired answers are forgotten.
const HOUSEKEEPING_EVERY: Duration = Duration::from_secs(3600);

/// Serves commands until `shutdown`. The database must be migrated.
///
/// # Errors
/// When the database, the data folder or the listener cannot be used.
pub async fn run(config: RunConfig, shutdown: Shutdown) -> anyhow::Result<()> {
    ensure!(
        !config.demo_user || config.listen.ip().is_loopback(),
        "CHIPQ_DEMO_USER: demo/demo is let in on loopback only, and CHIPQ_LISTEN is {}",
        config.listen
    );
    let pool = platform::postgres::connect(&config.database).await?;
    let log: Arc<dyn EventLog> = Arc::new(PostgresEventLog::new(pool.clone()));
    let keys = KeyRing::open(&config.data_dir, Utc::now())?;
    let issuer = Arc::new(TokenIssuer::new(keys, TokenConfig::default()));
    let pictures = ArtifactStoreUrl::Folder(config.data_dir.join("artifacts"));
    let on = Dependencies {
        idempotency: IdempotencyStore::new(pool, log.clone()),
        log,
        artifacts: artifact_store::open(&pictures, &SigningKey::open(&config.data_dir)?)?,
        verifier: Arc::new(issuer.verifier()),
        issuer,
        users: if config.demo_user { Users::demo() } else { Users::none() },
    };
    let listener = TcpListener::bind(config.listen)
        .await
        .with_context(|| format!("cannot listen on {}; is it in use?", config.listen))?;
    tracing::info!(address = %config.listen, "command API is listening");
    tokio::spawn(housekeeping(on.idempotency.clone(), shutdown.clone()));
    let api = CommandApi::new(on, &config.api);
    let router = platform::http::wrap(router(api), &config.api.http());
    platform::http::serve(listener, router, shutdown).await?;
    Ok(())
}

/// Forgets expired answers, every hour until `shutdown`.
pub async fn housekeeping(idempotency: IdempotencyStore, shutdown: Shutdown) {
    let mut hourly = tokio::time::interval(HOUSEKEEPING_EVERY);
    hourly.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = shutdown.requested() => return,
            _ = hourly.tick() => {}
        }
        match idempotency.forget_expired().await {
            Ok(0) => {}
            Ok(forgotten) => tracing::info!(forgotten, "expired idempotency keys are forgotten"),
            Err(error) => tracing::warn!(%error, "expired idempotency keys stay for now"),
        }
    }
}
