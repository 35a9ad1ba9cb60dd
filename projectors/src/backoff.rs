//! Waits between attempts: anything up to a doubling bound (full jitter, AWS Architecture Blog,
//! 2015).

use std::time::Duration;

use rand::Rng as _;

/// The first bound.
const BASE: Duration = Duration::from_millis(50);
/// No wait is longer.
const MAX: Duration = Duration::from_secs(10);
/// The bound stops doubling here; 50 ms × 2⁸ is above [`MAX`].
const DOUBLINGS_MAX: u32 = 8;

/// Waits before attempt number `attempt`, from 0.
pub(crate) async fn wait(attempt: u32) {
    let bound = BASE.saturating_mul(1 << attempt.min(DOUBLINGS_MAX)).min(MAX);
    let wait = rand::rng().random_range(Duration::ZERO..=bound);
    tokio::time::sleep(wait).await;
}
