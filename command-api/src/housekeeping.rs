//! What is done from time to time beside serving commands.

use std::time::Duration;

use platform::idempotency::IdempotencyStore;
use platform::shutdown::Shutdown;
use tokio::time::MissedTickBehavior;

/// How often expired answers are forgotten.
const HOUSEKEEPING_EVERY: Duration = Duration::from_secs(3600);

/// Forgets expired answers, every hour until `shutdown`, batch by batch until there are no more.
pub async fn housekeeping(idempotency: IdempotencyStore, shutdown: Shutdown) {
    let mut hourly = tokio::time::interval(HOUSEKEEPING_EVERY);
    hourly.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = shutdown.requested() => return,
            _ = hourly.tick() => {}
        }
        tokio::select! {
            () = shutdown.requested() => return,
            () = forget_all_expired(&idempotency) => {}
        }
    }
}

async fn forget_all_expired(idempotency: &IdempotencyStore) {
    let mut forgotten = 0;
    let ended = loop {
        match idempotency.forget_expired().await {
            Ok(0) => break Ok(()),
            Ok(some) => forgotten += some,
            Err(error) => break Err(error),
        }
    };
    if forgotten > 0 {
        tracing::info!(forgotten, "expired idempotency keys are forgotten");
    }
    if let Err(error) = ended {
        tracing::warn!(%error, "other expired idempotency keys stay for now");
    }
}
