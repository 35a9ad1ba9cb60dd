//! Every bound of the conversation with Triton, with its default.

use std::time::Duration;

use super::resilience::Attempts;

/// How long to wait for Triton, how often to ask again, and when to leave it alone for a while.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub struct TritonConfig {
    /// Longest that Triton may take for one batch, in milliseconds.
    #[arg(long, env = "CHIPQ_TRITON_DEADLINE_MS", default_value_t = 10_000,
          value_parser = clap::value_parser!(u64).range(10..=600_000))]
    pub triton_deadline_ms: u64,
    /// Longest that Triton may take to load a model, in milliseconds.
    #[arg(long, env = "CHIPQ_TRITON_LOAD_DEADLINE_MS", default_value_t = 120_000,
          value_parser = clap::value_parser!(u64).range(10..=3_600_000))]
    pub triton_load_deadline_ms: u64,
    /// Longest wait for a connection to Triton, in milliseconds.
    #[arg(long, env = "CHIPQ_TRITON_CONNECT_MS", default_value_t = 2_000,
          value_parser = clap::value_parser!(u64).range(10..=60_000))]
    pub triton_connect_ms: u64,
    /// Silence in milliseconds after which Triton is asked whether it is still there; after as long
    /// again without an answer the connection is given up.
    #[arg(long, env = "CHIPQ_TRITON_KEEP_ALIVE_MS", default_value_t = 10_000,
          value_parser = clap::value_parser!(u64).range(100..=600_000))]
    pub triton_keep_alive_ms: u64,
    /// Times that a batch is sent to a Triton that is away, draining or overloaded, before whoever
    /// sent it is told so.
    #[arg(long, env = "CHIPQ_TRITON_ATTEMPTS", default_value_t = 5,
          value_parser = clap::value_parser!(u32).range(1..=100))]
    pub triton_attempts: u32,
    /// Pause in milliseconds before the second of these times; each further pause is twice as long,
    /// up to a second, less a random part of up to a half.
    #[arg(long, env = "CHIPQ_TRITON_RETRY_MS", default_value_t = 50,
          value_parser = clap::value_parser!(u64).range(1..=1_000))]
    pub triton_retry_ms: u64,
    /// Failures in a row after which Triton is left alone for a while.
    #[arg(long, env = "CHIPQ_TRITON_BREAKER_FAILURES", default_value_t = 5,
          value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub triton_breaker_failures: u32,
    /// Longest pause of that kind, in milliseconds; the first is a sixteenth of it.
    #[arg(long, env = "CHIPQ_TRITON_BREAKER_PAUSE_MS", default_value_t = 4_000,
          value_parser = clap::value_parser!(u64).range(16..=600_000))]
    pub triton_breaker_pause_ms: u64,
    /// Longest time in milliseconds that answers are trusted before Triton is asked again whether
    /// the version that gives them still has the same digest.
    #[arg(long, env = "CHIPQ_TRITON_RECHECK_MS", default_value_t = 1_000,
          value_parser = clap::value_parser!(u64).range(0..=600_000))]
    pub triton_recheck_ms: u64,
}

impl Default for TritonConfig {
    fn default() -> Self {
        Self {
            triton_deadline_ms: 10_000,
            triton_load_deadline_ms: 120_000,
            triton_connect_ms: 2_000,
            triton_keep_alive_ms: 10_000,
            triton_attempts: 5,
            triton_retry_ms: 50,
            triton_breaker_failures: 5,
            triton_breaker_pause_ms: 4_000,
            triton_recheck_ms: 1_000,
        }
    }
}

impl TritonConfig {
    pub(super) fn infer_deadline(&self) -> Duration {
        Duration::from_millis(self.triton_deadline_ms)
    }

    pub(super) fn load_deadline(&self) -> Duration {
        Duration::from_millis(self.triton_load_deadline_ms)
    }

    pub(super) fn connect_timeout(&self) -> Duration {
        Duration::from_millis(self.triton_connect_ms)
    }

    pub(super) fn keep_alive(&self) -> Duration {
        Duration::from_millis(self.triton_keep_alive_ms)
    }

    pub(super) fn retry_attempts(&self) -> Attempts {
        Attempts::new(self.triton_attempts, Duration::from_millis(self.triton_retry_ms))
    }

    pub(super) fn breaker_pause(&self) -> Duration {
        Duration::from_millis(self.triton_breaker_pause_ms)
    }

    pub(super) fn recheck_interval(&self) -> Duration {
        Duration::from_millis(self.triton_recheck_ms)
    }
}
