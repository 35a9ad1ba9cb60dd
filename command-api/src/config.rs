//! What can be configured about commands over REST.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

use axum::http::Uri;
use platform::artifact_store::UploadLimits;
use platform::config::ConfigErrors;
use platform::http::{HttpConfig, RoleRates};

use crate::NotificationConfig;

/// Limits and names of the command API, however it is served.
#[derive(Debug, Clone, clap::Args)]
pub struct CommandApiConfig {
    /// Base of the upload URLs that are given out, such as `https://chipq.example`; without it,
    /// the Host that the client asked. A listener on loopback answers to its host too.
    #[arg(long, env = "CHIPQ_PUBLIC_URL")]
    pub public_url: Option<PublicUrl>,
    /// Seconds that a request may take before it is answered with 504.
    #[arg(long, env = "CHIPQ_REQUEST_TIMEOUT", default_value_t = 30)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=3_600))]
    pub request_timeout_s: u64,
    /// Seconds that an upload may take before it is answered with 504.
    #[arg(long, env = "CHIPQ_UPLOAD_TIMEOUT", default_value_t = 300)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub upload_timeout_s: u64,
    /// Largest picture that may be uploaded, in bytes.
    #[arg(long, env = "CHIPQ_UPLOAD_MAX_BYTES")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=17_179_869_184))]
    #[arg(default_value_t = UploadLimits::default().max_bytes)]
    pub upload_max_bytes: u64,
    /// Largest picture that may be uploaded, in pixels.
    #[arg(long, env = "CHIPQ_UPLOAD_MAX_PIXELS")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=4_294_967_296))]
    #[arg(default_value_t = UploadLimits::default().max_pixels)]
    pub upload_max_pixels: u64,
    /// Pictures that are received at a time; the next ones wait, and are put off after five seconds.
    #[arg(long, env = "CHIPQ_UPLOADS_MAX", default_value_t = UPLOADS_MAX)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=4_096))]
    pub uploads_max: u16,
    /// MiB that they may have together, as announced: what unfinished uploads take of the disk.
    #[arg(long, env = "CHIPQ_UPLOADS_MAX_MIB", default_value_t = UPLOADS_MAX_MIB)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1_048_576))]
    pub uploads_max_mib: u32,
    /// How many of them may be of one principal, who announced them; never all. It has half of the MiB.
    #[arg(long, env = "CHIPQ_UPLOADS_PER_PRINCIPAL", default_value_t = UPLOADS_PER_PRINCIPAL)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=4_096))]
    pub uploads_per_principal: u16,
    /// Commands a second that one principal may send over time.
    #[arg(long, env = "CHIPQ_RATE_PER_SECOND", default_value = "200")]
    #[arg(value_parser = platform::config::rate())]
    pub rate_per_second: NonZeroU32,
    /// Commands that one principal may send at once.
    #[arg(long, env = "CHIPQ_RATE_BURST", default_value = "400")]
    #[arg(value_parser = platform::config::rate())]
    pub rate_burst: NonZeroU32,
    /// The same of roles that have other rates: a second over time, and at once.
    #[arg(long, env = "CHIPQ_RATE_BY_ROLE", value_name = "ROLE=N/N,…")]
    pub rate_by_role: Option<RoleRates>,
    /// Pictures a second that one principal may upload over time, who announced them.
    #[arg(long, env = "CHIPQ_UPLOAD_RATE_PER_SECOND", default_value = "200")]
    #[arg(value_parser = platform::config::rate())]
    pub upload_rate_per_second: NonZeroU32,
    /// Pictures that one principal may upload at once.
    #[arg(long, env = "CHIPQ_UPLOAD_RATE_BURST", default_value = "400")]
    #[arg(value_parser = platform::config::rate())]
    pub upload_rate_burst: NonZeroU32,
    /// The same of roles that have other rates: a second over time, and at once.
    #[arg(long, env = "CHIPQ_UPLOAD_RATE_BY_ROLE", value_name = "ROLE=N/N,…")]
    pub upload_rate_by_role: Option<RoleRates>,
    /// Tokens a second that one network address may ask for over time.
    #[arg(long, env = "CHIPQ_TOKEN_RATE_PER_SECOND", default_value = "10")]
    #[arg(value_parser = platform::config::rate())]
    pub token_rate_per_second: NonZeroU32,
    /// Tokens that one network address may ask for at once.
    #[arg(long, env = "CHIPQ_TOKEN_RATE_BURST", default_value = "50")]
    #[arg(value_parser = platform::config::rate())]
    pub token_rate_burst: NonZeroU32,
    /// The bucket of pictures, when it tells of what arrives.
    #[command(flatten)]
    pub notifications: NotificationConfig,
}

/// `http(s)://host[:port][/prefix]`, without a slash at its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicUrl(String);

impl FromStr for PublicUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let uri = text.parse::<Uri>().map_err(|error| format!("is not a URL: {error}"))?;
        let scheme = uri.scheme_str().unwrap_or_default();
        if !matches!(scheme, "http" | "https") || uri.authority().is_none() || uri.query().is_some()
        {
            return Err("must look like https://chipq.example or http://10.0.0.7:8080".to_owned());
        }
        // Schemes are the same in capitals (RFC 3986, section 3.1), and issuers are compared letter by letter.
        let rest = text.get(scheme.len()..).unwrap_or_default();
        Ok(Self(format!("{scheme}{}", rest.trim_end_matches('/'))))
    }
}

impl PublicUrl {
    /// The host, without its port.
    #[must_use]
    pub fn host(&self) -> String {
        // It was parsed when this was made.
        let uri = self.0.parse::<Uri>().unwrap_or_default();
        uri.host().unwrap_or_default().to_owned()
    }
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Pictures that are received at a time.
const UPLOADS_MAX: u16 = 64;
/// How many of them may be of one principal.
const UPLOADS_PER_PRINCIPAL: u16 = 32;
/// What they may have together, in MiB.
const UPLOADS_MAX_MIB: u32 = 1_024;
/// Room for a picture's neighbours in a request body.
const BODY_MARGIN_BYTES: u64 = 1 << 20;

impl Default for CommandApiConfig {
    fn default() -> Self {
        let limits = UploadLimits::default();
        let positive = |n| NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN);
        Self {
            public_url: None,
            request_timeout_s: 30,
            upload_timeout_s: 300,
            upload_max_bytes: limits.max_bytes,
            upload_max_pixels: limits.max_pixels,
            uploads_max: UPLOADS_MAX,
            uploads_max_mib: UPLOADS_MAX_MIB,
            uploads_per_principal: UPLOADS_PER_PRINCIPAL,
            rate_per_second: positive(200),
            rate_burst: positive(400),
            rate_by_role: None,
            upload_rate_per_second: positive(200),
            upload_rate_burst: positive(400),
            upload_rate_by_role: None,
            token_rate_per_second: positive(10),
            token_rate_burst: positive(50),
            notifications: NotificationConfig::default(),
        }
    }
}

impl CommandApiConfig {
    /// Notes everything that is wrong.
    pub fn check(&self, errors: &mut ConfigErrors) {
        self.notifications.check(errors);
    }

    /// The limits of uploads.
    #[must_use]
    pub const fn upload_limits(&self) -> UploadLimits {
        UploadLimits { max_bytes: self.upload_max_bytes, max_pixels: self.upload_max_pixels }
    }

    /// What to wrap the router with (`platform::http::wrap`).
    #[must_use]
    pub fn http(&self) -> HttpConfig {
        let body = self.upload_max_bytes.saturating_add(BODY_MARGIN_BYTES);
        HttpConfig {
            request_timeout: Duration::from_secs(self.request_timeout_s),
            upload_timeout: Duration::from_secs(self.upload_timeout_s),
            max_body_bytes: usize::try_from(body).unwrap_or(usize::MAX),
            public_host: self.public_url.as_ref().map(PublicUrl::host),
            ..HttpConfig::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_public_url_is_absolute_and_has_no_slash_at_its_end() {
        let url: PublicUrl = "https://chipq.example/".parse().unwrap();
        assert_eq!("HTTPS://chipq.example".parse(), Ok(url.clone()), "by one name");
        assert_eq!(url.to_string(), "https://chipq.example");
        for bad in ["", "chipq.example", "/here", "ftp://x", "http://x/?a=b"] {
            assert!(bad.parse::<PublicUrl>().is_err(), "{bad:?}");
        }
    }
}
