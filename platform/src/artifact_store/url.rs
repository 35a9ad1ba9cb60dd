//! Where pictures are kept, as one URL: its scheme chooses the adapter.
//!
//! Invariant: no message shows the URL, which may hold a secret.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use secrecy::{ExposeSecret as _, SecretString};

use super::percent::decode;
use super::s3::{InvalidS3Url, S3Location, read_variable};

/// Object stores that this code is written for and has no adapter to.
const NOT_COMPILED_IN: [&str; 2] = ["gs", "az"];

/// Where pictures are kept.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct ArtifactStoreConfig {
    /// Where pictures are, when they are not in the data folder: the path of a folder, or a bucket such as
    /// s3://BUCKET/PREFIX?region=REGION&endpoint=URL; docs/pictures-on-s3.md has every option. Credentials are those
    /// of AWS's own variables and files.
    #[arg(long, env = "CHIPQ_ARTIFACT_STORE_URL", hide_env_values = true, value_name = "URL")]
    #[arg(value_parser = crate::config::secret)]
    pub artifact_store_url: Option<SecretString>,
}

impl ArtifactStoreConfig {
    /// The store that is configured; without one the folder `artifacts` of `data_dir`.
    ///
    /// # Errors
    /// When it is no URL of a store, or of one that is not compiled in.
    pub fn url(&self, data_dir: &Path) -> Result<ArtifactStoreUrl, InvalidArtifactStoreUrl> {
        let url = self.artifact_store_url.as_ref().map(|url| url.expose_secret());
        match url.filter(|url| !url.is_empty()) {
            Some(url) => url.parse(),
            None => Ok(ArtifactStoreUrl::Folder(data_dir.join("artifacts"))),
        }
    }
}

/// Where pictures are kept. [`super::open`] has one adapter for each variant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ArtifactStoreUrl {
    /// A folder of this machine: a path, or `file:///var/lib/chipq/artifacts`.
    Folder(PathBuf),
    /// A bucket.
    S3(S3Location),
}

/// Text that names no store, or one that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidArtifactStoreUrl {
    /// An object store without an adapter.
    #[error(
        "the adapter for {scheme}:// is not compiled in; use a bucket of a store that speaks as S3 does, s3://…, or \
         a folder that all services share: a path, or file:///var/lib/chipq/artifacts"
    )]
    NotCompiledIn {
        /// Its scheme.
        scheme: &'static str,
    },
    /// A bucket, and what is wrong with how it is named.
    #[error("{0}")]
    S3(InvalidS3Url),
    /// Anything else.
    #[error(
        "this names no store of pictures; write the path of a folder, file:///var/lib/chipq/artifacts, or \
         s3://BUCKET/PREFIX?region=REGION"
    )]
    Unknown,
}

impl InvalidArtifactStoreUrl {
    /// Everything that is wrong, one sentence each.
    pub(crate) fn faults(&self) -> Vec<String> {
        match self {
            Self::S3(invalid) => invalid.faults().map(str::to_owned).collect(),
            Self::NotCompiledIn { .. } | Self::Unknown => vec![self.to_string()],
        }
    }
}

impl FromStr for ArtifactStoreUrl {
    type Err = InvalidArtifactStoreUrl;

    fn from_str(url: &str) -> Result<Self, InvalidArtifactStoreUrl> {
        let (scheme, rest) = url.split_once(':').unwrap_or_default();
        // Schemes are the same in capitals (RFC 3986, section 3.1).
        let scheme = &*scheme.to_ascii_lowercase();
        if let Some(scheme) = NOT_COMPILED_IN.into_iter().find(|known| *known == scheme) {
            return Err(InvalidArtifactStoreUrl::NotCompiledIn { scheme });
        }
        if let ("s3", Some(rest)) = (scheme, rest.strip_prefix("//")) {
            let bucket = S3Location::parse(rest, read_variable);
            return bucket.map(Self::S3).map_err(InvalidArtifactStoreUrl::S3);
        }
        if scheme == "file" {
            // RFC 8089: both file:/path and file:///path; a host would be another machine's folder.
            let path = rest.strip_prefix("//").unwrap_or(rest);
            let path = decode(path).filter(|path| path.starts_with('/'));
            let path = path.ok_or(InvalidArtifactStoreUrl::Unknown)?;
            return Ok(Self::Folder(path.into()));
        }
        if url.is_empty() || scheme == "s3" || rest.starts_with("//") {
            return Err(InvalidArtifactStoreUrl::Unknown);
        }
        Ok(Self::Folder(url.into()))
    }
}

impl fmt::Display for ArtifactStoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(path) => path.display().fmt(f),
            Self::S3(location) => location.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(path: &str) -> Result<ArtifactStoreUrl, InvalidArtifactStoreUrl> {
        Ok(ArtifactStoreUrl::Folder(path.into()))
    }

    #[test]
    fn a_path_or_a_file_url_is_a_folder() {
        for path in ["/var/lib/chipq/artifacts", "artifacts", "./a:b", "../a b"] {
            assert_eq!(path.parse(), folder(path));
            assert_eq!(path.parse::<ArtifactStoreUrl>().unwrap().to_string(), path);
        }
        assert_eq!("file:///srv/a%20b".parse(), folder("/srv/a b"));
        assert_eq!("file:/srv".parse(), folder("/srv"));
        assert_eq!("FILE:///srv".parse(), folder("/srv"));
    }

    #[test]
    fn a_scheme_in_capitals_is_the_same() {
        let bucket = |url: &str| url.parse::<ArtifactStoreUrl>().unwrap();
        let (plain, capitals) =
            ("s3://pictures/a?endpoint=https://h", "S3://pictures/a?endpoint=HTTPS://h");
        assert_eq!(bucket(plain), bucket(capitals));
        let error = "GS://bucket".parse::<ArtifactStoreUrl>().unwrap_err().to_string();
        assert!(error.contains("gs:// is not compiled in"), "{error}");
    }

    #[test]
    fn a_store_that_is_not_compiled_in_is_refused_with_what_to_use() {
        for url in ["gs://bucket", "az://container"] {
            let error = url.parse::<ArtifactStoreUrl>().unwrap_err().to_string();
            assert!(error.contains("not compiled in") && error.contains("file:///"), "{error}");
        }
    }

    #[test]
    fn what_names_no_store_is_refused() {
        for url in [
            "",
            "s3:bucket",
            "S3:bucket",
            "http://host/x",
            "file://host/x",
            "file://",
            "file:artifacts",
            "file:///%f",
        ] {
            let error = url.parse::<ArtifactStoreUrl>().unwrap_err();
            assert_eq!(error, InvalidArtifactStoreUrl::Unknown);
        }
    }

    #[test]
    fn an_empty_variable_counts_as_not_set_and_no_message_shows_a_secret() {
        let configured = |url: Option<&str>| {
            let url = url.map(SecretString::from);
            ArtifactStoreConfig { artifact_store_url: url }.url(Path::new("/data"))
        };
        for nothing in [None, Some("")] {
            assert_eq!(configured(nothing), folder("/data/artifacts"));
        }
        assert_eq!(configured(Some("/srv/pictures")), folder("/srv/pictures"));
        for url in ["s3://key:hunter2@bucket", "https://key:hunter2@host/x"] {
            let error = configured(Some(url)).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
        }
    }
}
