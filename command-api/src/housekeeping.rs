//! What is done from time to time beside serving commands.

use std::time::Duration;

use chrono::{TimeDelta, Utc};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use platform::access::Sessions;
use platform::artifact_store::ArtifactStore;
use platform::event_log::EventLogError;
use platform::idempotency::IdempotencyStore;
use platform::shutdown::Shutdown;
use tokio::time::MissedTickBehavior;

/// How often expired answers are forgotten.
const HOUSEKEEPING_EVERY: Duration = Duration::from_secs(3600);
/// How long a picture that was sent to the store itself may lie there without being completed.
const ARRIVALS_KEPT_FOR: TimeDelta = TimeDelta::days(7);

/// Forgets expired answers, sessions and uploads, every hour until `shutdown`, batch by batch until there are no more.
pub async fn housekeeping(
    (idempotency, sessions): (IdempotencyStore, Sessions),
    artifacts: ArtifactStore,
    shutdown: Shutdown,
) {
    let mut hourly = tokio::time::interval(HOUSEKEEPING_EVERY);
    hourly.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = shutdown.requested() => return,
            _ = hourly.tick() => {}
        }
        tokio::select! {
            () = shutdown.requested() => return,
            () = forget_all_expired(&idempotency, &sessions) => {}
        }
        tokio::select! {
            () = shutdown.requested() => return,
            () = sweep_arrivals(&artifacts) => {}
        }
    }
}

/// What clients sent to the store and nobody completed. Its inspection may be open for days; after that it is not
/// waited for.
async fn sweep_arrivals(artifacts: &ArtifactStore) {
    match artifacts.sweep_arrivals(Utc::now() - ARRIVALS_KEPT_FOR).await {
        Ok(0) => {}
        Ok(swept) => tracing::info!(swept, "pictures that nobody completed are removed"),
        Err(error) => tracing::warn!(%error, "pictures that nobody completed stay for now"),
    }
}

async fn forget_all_expired(idempotency: &IdempotencyStore, sessions: &Sessions) {
    forget("idempotency keys", || idempotency.forget_expired().boxed()).await;
    forget("sessions", || sessions.forget_expired(Utc::now()).boxed()).await;
}

/// Forgets what each batch finds until one finds nothing.
async fn forget<'a>(
    what: &str,
    mut batch: impl FnMut() -> BoxFuture<'a, Result<u64, EventLogError>>,
) {
    let mut forgotten = 0;
    let ended = loop {
        match batch().await {
            Ok(0) => break Ok(()),
            Ok(some) => forgotten += some,
            Err(error) => break Err(error),
        }
    };
    if forgotten > 0 {
        tracing::info!(forgotten, what, "what has expired is forgotten");
    }
    if let Err(error) = ended {
        tracing::warn!(%error, what, "what else has expired stays for now");
    }
}
