//! Pictures in a bucket of a real store that speaks as S3 does (SeaweedFS). `deploy/ensure-seaweedfs` installs it, and
//! `CHIPQ_SEAWEEDFS` names it; without it, the tests say so and do nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

#[path = "s3/arrivals.rs"]
mod arrivals;
#[path = "support/boards.rs"]
#[allow(dead_code, reason = "shared with tests that use the rest")]
mod boards;
#[path = "s3/faults.rs"]
mod faults;
#[path = "s3/line.rs"]
mod line;
#[path = "support/platform.rs"]
#[allow(dead_code, reason = "shared with tests that use the rest")]
mod platform;
#[path = "s3/proxy.rs"]
mod proxy;
#[path = "support/server_process.rs"]
mod server_process;
#[path = "s3/start.rs"]
mod start;
#[path = "support/station.rs"]
#[allow(dead_code, reason = "shared with tests that use the rest")]
mod station;
#[path = "s3/store.rs"]
mod store;
#[path = "s3/tls.rs"]
mod tls;

use std::time::{Duration, Instant};

/// How long something may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds().await {
        assert!(Instant::now() < deadline, "it never comes: {what}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
