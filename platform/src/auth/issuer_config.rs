//! By which name this installation issues tokens.

use std::net::IpAddr;

use axum::http::Uri;

use super::TokenConfig;

/// Who issues the tokens of an installation. Every process of it that gives out or believes tokens has the same.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct TokenIssuerConfig {
    /// What tokens name as their issuer: the https address at which clients reach `/v1/token`, such as
    /// `https://chipq.example`. The same for the command API and the query API. Without it `chipq`, which is no
    /// address, so that there are no metadata for OAuth clients.
    #[arg(long, env = "CHIPQ_TOKEN_ISSUER", value_name = "URL", value_parser = issuer_address)]
    pub token_issuer: Option<String>,
}

impl TokenIssuerConfig {
    /// The tokens of this issuer.
    #[must_use]
    pub fn token_config(&self) -> TokenConfig {
        let config = TokenConfig::default();
        match &self.token_issuer {
            Some(issuer) => TokenConfig { issuer: issuer.clone(), ..config },
            None => config,
        }
    }
}

/// An address that stands in tokens as it is written, so that it is written in one way only (RFC 8414, section 2).
fn issuer_address(text: &str) -> Result<String, String> {
    let must = "must look like https://chipq.example, without a slash, a query or a fragment at its end; http only \
                for this machine alone";
    let uri = text.parse::<Uri>().map_err(|_| must.to_owned())?;
    let host = uri.host().unwrap_or_default();
    let is_local = host == "localhost"
        || host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    // As it is compared, letter by letter: in capitals it would be another one for who compares.
    let is_safe = match text.split_once("://") {
        Some(("https", _)) => true,
        Some(("http", _)) => is_local,
        _ => false,
    };
    let is_plain = uri.query().is_none() && !text.contains('#') && !text.ends_with('/');
    let has_user = uri.authority().is_some_and(|authority| authority.as_str().contains('@'));
    if is_safe && is_plain && !has_user && !host.is_empty() {
        Ok(text.to_owned())
    } else {
        Err(must.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_issuer_is_an_https_address_written_in_one_way() {
        for good in ["https://chipq.example", "https://chipq.example/aoi", "http://127.0.0.1:8080"]
        {
            assert_eq!(issuer_address(good).as_deref(), Ok(good));
        }
        for bad in [
            "chipq",
            "http://chipq.example",
            "https://chipq.example/",
            "https://chipq.example?x",
            "https://chipq.example#x",
            "https://me@chipq.example",
            "https://",
            "ftp://chipq.example",
            "HTTPS://chipq.example",
        ] {
            assert!(issuer_address(bad).is_err(), "{bad}");
        }
    }
}
