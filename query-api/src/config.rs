//! What can be configured about reads.

use std::time::Duration;

/// Limits of the query API, however it is served.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub struct QueryApiConfig {
    /// Subscriptions that one process serves at once.
    #[arg(long, env = "CHIPQ_SUBSCRIPTIONS_MAX", default_value_t = 1_000)]
    pub subscriptions_max: usize,
    /// Milliseconds that a subscriber may take for one item before it is told to go on later.
    #[arg(long, env = "CHIPQ_SLOW_AFTER_MS", default_value_t = 5_000)]
    pub slow_after_ms: u64,
    /// Positions of the log that a live subscriber may be behind before it is told to go on later.
    #[arg(long, env = "CHIPQ_SLOW_BEHIND", default_value_t = 10_000)]
    pub slow_behind: i64,
    /// Milliseconds after which a connection is cut on which one message does not leave.
    #[arg(long, env = "CHIPQ_SEND_TIMEOUT_MS", default_value_t = 30_000)]
    pub send_timeout_ms: u64,
    /// Report PDFs that are rendered at once.
    #[arg(long, env = "CHIPQ_RENDERS_MAX", default_value_t = 2)]
    pub renders_max: usize,
    /// Seconds that a read model may be behind the log and still count as ready.
    #[arg(long, env = "CHIPQ_READY_LAG", default_value_t = 30)]
    pub ready_lag_s: u64,
}

impl Default for QueryApiConfig {
    fn default() -> Self {
        Self {
            subscriptions_max: 1_000,
            slow_after_ms: 5_000,
            slow_behind: 10_000,
            send_timeout_ms: 30_000,
            renders_max: 2,
            ready_lag_s: 30,
        }
    }
}

impl QueryApiConfig {
    pub(crate) const fn slow_after(&self) -> Duration {
        Duration::from_millis(self.slow_after_ms)
    }

    pub(crate) const fn send_timeout(&self) -> Duration {
        Duration::from_millis(self.send_timeout_ms)
    }

    pub(crate) const fn ready_lag(&self) -> Duration {
        Duration::from_secs(self.ready_lag_s)
    }
}
