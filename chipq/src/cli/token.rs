//! The arguments of `chipq token`.

use std::path::PathBuf;

use clap::Args;
use reqwest::Url;

/// `chipq token`
#[derive(Debug, Clone, Args)]
pub(crate) struct TokenArgs {
    #[command(flatten)]
    pub(crate) principal: TokenPrincipalArgs,
    /// A file with the secret or the password in its first line. Without it: a client's secret is taken from
    /// CHIPQ_CLIENT_SECRET, and what is in neither is asked for, or is the first line of standard input.
    #[arg(long, value_name = "FILE", visible_alias = "password-file")]
    pub(crate) secret_file: Option<PathBuf>,
    /// Where the platform serves.
    #[arg(long, env = "CHIPQ_URL", value_name = "URL", default_value = "http://127.0.0.1:8080")]
    #[arg(value_parser = parse_base_url)]
    pub(crate) url: Url,
}

/// Whose token it is.
#[derive(Debug, Clone, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct TokenPrincipalArgs {
    /// A client: its client_id, as `chipq clients create` printed it.
    #[arg(long, value_name = "ID")]
    pub(crate) client: Option<String>,
    /// An account, of a person.
    #[arg(long, value_name = "NAME")]
    pub(crate) account: Option<String>,
}

/// A URL to which a path can be added.
fn parse_base_url(text: &str) -> Result<Url, String> {
    let example = "write it as http://127.0.0.1:8080";
    let url: Url = text.parse().map_err(|error| format!("{error}; {example}"))?;
    let is_web = matches!(url.scheme(), "http" | "https") && url.has_host();
    let is_bare = url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
    if is_web && is_bare && url.password().is_none() {
        Ok(url)
    } else {
        Err(format!("it is no address of a server; {example}"))
    }
}
