//! Logs of the process: readable lines for a terminal, JSON lines for a collector; on standard
//! error, because standard output belongs to answers. Absent: secrets and payloads, which are never
//! logged.

mod trace_context;

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::util::TryInitError;

pub use trace_context::TraceContext;

/// How the process logs.
#[derive(Debug, Clone, clap::Args)]
pub struct TelemetryConfig {
    /// Log JSON lines instead of readable text.
    #[arg(long = "log-json", env = "CHIPQ_LOG_JSON", global = true)]
    pub json: bool,
    /// What to log, as `level` or `target=level,…`.
    #[arg(long = "log", env = "CHIPQ_LOG", default_value = DEFAULT_FILTER, global = true)]
    #[arg(value_parser = parse_filter)]
    pub filter: String,
}

/// A filter that parses.
fn parse_filter(text: &str) -> Result<String, String> {
    match EnvFilter::try_new(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(format!("{error}; write for example info or info,platform=debug")),
    }
}

/// What is logged unless `CHIPQ_LOG` says otherwise.
pub const DEFAULT_FILTER: &str = "info,sqlx=warn,tower_http=warn,hyper=warn";

impl Default for TelemetryConfig {
    fn default() -> Self {
        Self { json: false, filter: DEFAULT_FILTER.to_owned() }
    }
}

/// Why logging cannot start.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter does not parse.
    #[error("CHIPQ_LOG is not a log filter ({0}); write for example info or info,platform=debug")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// The process logs already.
    #[error("logging was already started: {0}")]
    AlreadyStarted(#[from] TryInitError),
}

/// Starts logging for the whole process; call it once, first.
///
/// # Errors
/// When the filter does not parse, or logging was already started.
pub fn init(config: &TelemetryConfig) -> Result<(), TelemetryError> {
    let registry = tracing_subscriber::registry().with(EnvFilter::try_new(&config.filter)?);
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        // It would say on standard error that it cannot write there, and panic.
        .log_internal_errors(false)
        .with_ansi(std::io::stderr().is_terminal());
    if config.json {
        registry.with(lines.json().flatten_event(true)).try_init()?;
    } else {
        registry.with(lines.with_target(false)).try_init()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_that_does_not_parse_names_the_variable() {
        let config = TelemetryConfig { filter: "info,=,x=y".to_owned(), json: false };
        assert!(init(&config).unwrap_err().to_string().contains("CHIPQ_LOG"));
    }
}
