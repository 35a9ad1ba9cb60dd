//! What can be configured about reads.

use std::num::NonZeroU32;
use std::time::Duration;

use clap::builder::{PathBufValueParser, TypedValueParser as _};
use platform::http::RoleRates;

use crate::report_font::ReportFont;

/// Limits of the query API, however it is served.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub struct QueryApiConfig {
    /// Subscriptions that one process serves at once.
    #[arg(long, env = "CHIPQ_SUBSCRIPTIONS_MAX", default_value_t = 1_000)]
    #[arg(value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=100_000))]
    pub subscriptions_max: usize,
    /// Subscriptions of these that one principal may have.
    #[arg(long, env = "CHIPQ_SUBSCRIPTIONS_PER_PRINCIPAL", default_value_t = 200)]
    #[arg(value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=100_000))]
    pub subscriptions_per_principal: usize,
    /// WebSocket connections that one process serves at once.
    #[arg(long, env = "CHIPQ_SOCKETS_MAX", default_value_t = 1_000)]
    #[arg(value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=100_000))]
    pub sockets_max: usize,
    /// WebSocket connections of these that one principal may have.
    #[arg(long, env = "CHIPQ_SOCKETS_PER_PRINCIPAL", default_value_t = 100)]
    #[arg(value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=100_000))]
    pub sockets_per_principal: usize,
    /// Reads a second that one principal may send over time. A costly query counts as several.
    #[arg(long, env = "CHIPQ_READ_RATE_PER_SECOND", default_value = "500")]
    #[arg(value_parser = platform::config::rate())]
    pub read_rate_per_second: NonZeroU32,
    /// Reads that one principal may send at once.
    #[arg(long, env = "CHIPQ_READ_RATE_BURST", default_value = "1000")]
    #[arg(value_parser = platform::config::rate())]
    pub read_rate_burst: NonZeroU32,
    /// The same of roles that have other rates: a second over time, and at once.
    #[arg(long, env = "CHIPQ_READ_RATE_BY_ROLE", value_name = "ROLE=N/N,…")]
    pub read_rate_by_role: Option<RoleRates>,
    /// Milliseconds that a subscriber may take for one item before it is told to go on later.
    #[arg(long, env = "CHIPQ_SLOW_AFTER_MS", default_value_t = 5_000)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=600_000))]
    pub slow_after_ms: u64,
    /// Events that a live subscriber may be behind, by the positions of the log, before it is told to go on later.
    #[arg(long, env = "CHIPQ_SLOW_BEHIND", default_value_t = 10_000)]
    #[arg(value_parser = clap::value_parser!(i64).range(1..=1_000_000_000))]
    pub slow_behind: i64,
    /// Milliseconds after which a connection is cut on which one message does not leave.
    #[arg(long, env = "CHIPQ_SEND_TIMEOUT_MS", default_value_t = 30_000)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=600_000))]
    pub send_timeout_ms: u64,
    /// Report PDFs that are rendered at once.
    #[arg(long, env = "CHIPQ_RENDERS_MAX", default_value_t = 2)]
    #[arg(value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=1_024))]
    pub renders_max: usize,
    /// Of reports.
    #[command(flatten)]
    pub report_font: ReportFontConfig,
    /// Seconds that a read model may be behind the log and still count as ready.
    #[arg(long, env = "CHIPQ_READY_LAG", default_value_t = 30)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub ready_lag_s: u64,
}

/// What reports are printed in besides the fonts that come with the program.
#[derive(Debug, Clone, Default, PartialEq, Eq, clap::Args)]
pub struct ReportFontConfig {
    /// Font file in which reports print Chinese, Japanese and Korean letters; by default one that is found where
    /// systems put them, and where there is none, their code points are printed.
    #[arg(long, env = "CHIPQ_REPORT_FONT", value_name = "FILE")]
    #[arg(value_parser = PathBufValueParser::new().try_map(|path| ReportFont::read(&path)))]
    report_font: Option<ReportFont>,
}

impl ReportFontConfig {
    /// The font that is named, or else one of this machine, if it has any.
    #[must_use]
    pub fn font(&self) -> Option<ReportFont> {
        self.report_font.clone().or_else(ReportFont::of_this_machine)
    }
}

impl Default for QueryApiConfig {
    fn default() -> Self {
        let positive = |n| NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN);
        Self {
            subscriptions_max: 1_000,
            subscriptions_per_principal: 200,
            sockets_max: 1_000,
            sockets_per_principal: 100,
            read_rate_per_second: positive(500),
            read_rate_burst: positive(1_000),
            read_rate_by_role: None,
            slow_after_ms: 5_000,
            slow_behind: 10_000,
            send_timeout_ms: 30_000,
            renders_max: 2,
            report_font: ReportFontConfig::default(),
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
