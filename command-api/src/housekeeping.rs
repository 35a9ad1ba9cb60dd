//! What is done from time to time beside serving commands.

use std::time::Duration;

use platform::idempotency::IdempotencyStore;
use platform::shutdown::Shutdown;
use tokio::time::MissedTickBehavior;

/// How often expired answers are forgotten.
const HOUSEKEEPING_EVERY: Duration = Duration::from_secs(3600);

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
