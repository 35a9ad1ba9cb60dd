//! The arguments of `chipq audit trail`.

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use clap::{ArgGroup, Args};
use uuid::Uuid;

use crate::cli::model::parse_text;
use crate::installation::InstallationArgs;

/// `chipq audit trail`
#[derive(Debug, Clone, Args)]
#[command(group(ArgGroup::new("searched").required(true).multiple(true)))]
pub(crate) struct AuditTrailArgs {
    /// What is about this inspection.
    #[arg(long, value_name = "ID", group = "searched")]
    pub(crate) inspection: Option<Uuid>,
    /// What this account, client, operator or part of the platform did, and what was done to it.
    #[arg(long, value_name = "WHO", group = "searched", value_parser = parse_text)]
    pub(crate) subject: Option<String>,
    /// What happened at this time or later: as in 2026-11-30T06:00:00Z, or a day, which begins at 00:00 UTC.
    #[arg(long, value_name = "TIME", group = "searched", value_parser = parse_time)]
    pub(crate) from: Option<DateTime<Utc>>,
    /// What happened before this time.
    #[arg(long, value_name = "TIME", group = "searched", value_parser = parse_time)]
    pub(crate) to: Option<DateTime<Utc>>,
    /// Print each event as a JSON object in a line of its own.
    #[arg(long, conflicts_with = "csv")]
    pub(crate) json: bool,
    /// Print comma-separated values (RFC 4180); a spreadsheet takes none of them for a formula.
    #[arg(long)]
    pub(crate) csv: bool,
    #[command(flatten)]
    pub(crate) installation: InstallationArgs,
}

/// A time of RFC 3339, or the beginning of a day in UTC.
fn parse_time(text: &str) -> Result<DateTime<Utc>, &'static str> {
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Ok(time.to_utc());
    }
    let day: NaiveDate =
        text.parse().map_err(|_| "write it as 2026-11-30T06:00:00Z, or a day as 2026-11-30")?;
    Ok(day.and_time(NaiveTime::MIN).and_utc())
}
