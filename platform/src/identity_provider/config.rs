//! Which identity provider there is, and what its claims stand for.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::IdentityProvider;
use super::fetch::{FetchLimits, Fetcher};
use crate::auth::{ClaimMapping, ExternalIssuer, InvalidClaimMapping, KeyTrust};
use crate::config::ConfigErrors;

/// The largest mapping, in bytes.
const MAPPING_MAX_BYTES: u64 = 256 << 10;
/// Between two times that the provider is asked, whatever tokens name.
const LEAST_INTERVAL: Duration = Duration::from_secs(5);
/// For so long a request waits for a key that is being looked for.
const PATIENCE: Duration = Duration::from_secs(2);

/// A company's identity provider, whose tokens are believed beside our own.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct IdentityProviderConfig {
    /// Believes the tokens of this OpenID Connect issuer, too, such as `https://id.example/realms/factory`; exactly as
    /// `iss` names it.
    #[arg(long, env = "CHIPQ_OIDC_ISSUER", value_name = "URL")]
    pub oidc_issuer: Option<String>,
    /// The audience (`aud`) that its tokens must be meant for: this platform, as the provider calls it.
    #[arg(long, env = "CHIPQ_OIDC_AUDIENCE", value_name = "NAME")]
    pub oidc_audience: Option<String>,
    /// JSON file that says what the claims of its tokens stand for here: see docs/signing-in.md.
    #[arg(long, env = "CHIPQ_OIDC_MAPPING", value_name = "FILE")]
    pub oidc_mapping: Option<PathBuf>,
    /// Seconds between two looks at the provider's keys.
    #[arg(long, env = "CHIPQ_OIDC_REFRESH", default_value_t = 300)]
    #[arg(value_parser = clap::value_parser!(u64).range(10..=86_400))]
    pub oidc_refresh_s: u64,
    /// Seconds for which the provider's keys are believed while it does not answer.
    #[arg(long, env = "CHIPQ_OIDC_OUTAGE", default_value_t = 86_400)]
    #[arg(value_parser = clap::value_parser!(u64).range(60..=2_592_000))]
    pub oidc_outage_s: u64,
}

/// Why the mapping cannot be used.
#[derive(Debug, thiserror::Error)]
enum MappingFileError {
    #[error("cannot read {}: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("{} holds no mapping: {source}", path.display())]
    Mapping { path: PathBuf, source: InvalidClaimMapping },
}

impl IdentityProviderConfig {
    /// Notes everything that is wrong, without asking anybody.
    pub fn check(&self, errors: &mut ConfigErrors) {
        if let Err(found) = self.open() {
            errors.merge(found);
        }
    }

    /// The identity provider, if there is one.
    ///
    /// # Errors
    /// Everything that is wrong, at once.
    pub fn open(&self) -> Result<Option<IdentityProvider>, ConfigErrors> {
        let mut errors = ConfigErrors::new();
        let Some(issuer) = &self.oidc_issuer else {
            let missing = "name the issuer whose tokens it is about";
            errors.require(
                self.oidc_audience.is_none() && self.oidc_mapping.is_none(),
                "CHIPQ_OIDC_ISSUER",
                missing,
            );
            return errors.finish().map(|()| None);
        };
        let opened = Fetcher::open(issuer, FetchLimits::default());
        let opened = errors.check("CHIPQ_OIDC_ISSUER", opened);
        let audience = self.oidc_audience.as_deref().unwrap_or_default().trim();
        let whose = "name the audience that the provider's tokens must be meant for";
        errors.require(!audience.is_empty(), "CHIPQ_OIDC_AUDIENCE", whose);
        let mapping = match &self.oidc_mapping {
            Some(path) => errors.check("CHIPQ_OIDC_MAPPING", read_mapping(path)),
            None => {
                let what = "name a file that says which of its roles or groups count here";
                errors.require(false, "CHIPQ_OIDC_MAPPING", what);
                None
            }
        };
        errors.finish()?;
        let (Some((address, fetcher)), Some(mapping)) = (opened, mapping) else { return Ok(None) };
        let issuer =
            ExternalIssuer::new(issuer.clone(), audience.to_owned(), mapping, self.key_trust());
        let refresh = Duration::from_secs(self.oidc_refresh_s);
        Ok(Some(IdentityProvider { issuer, address, fetcher, refresh }))
    }

    fn key_trust(&self) -> KeyTrust {
        KeyTrust {
            outage: Duration::from_secs(self.oidc_outage_s),
            least_interval: LEAST_INTERVAL,
            patience: PATIENCE,
        }
    }
}

fn read_mapping(path: &Path) -> Result<ClaimMapping, MappingFileError> {
    let unreadable = |source| MappingFileError::File { path: path.to_owned(), source };
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let mut json = Vec::new();
    file.take(MAPPING_MAX_BYTES + 1).read_to_end(&mut json).map_err(unreadable)?;
    if json.len() as u64 > MAPPING_MAX_BYTES {
        return Err(unreadable(io::ErrorKind::FileTooLarge.into()));
    }
    let wrong = |source| MappingFileError::Mapping { path: path.to_owned(), source };
    ClaimMapping::parse(&json).map_err(wrong)
}
