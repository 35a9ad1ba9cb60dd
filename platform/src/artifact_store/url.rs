//! Where pictures are kept, as one value of the command line.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use super::percent::decode;

/// Object stores that this code is written for and has no adapter to.
const NOT_COMPILED_IN: [&str; 3] = ["s3", "gs", "az"];

/// Where pictures are kept. [`super::open`] has one adapter for each variant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ArtifactStoreUrl {
    /// A folder of this machine: a path, or `file:///var/lib/chipq/artifacts`.
    Folder(PathBuf),
}

/// Text that names no store, or one that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidArtifactStoreUrl {
    /// An object store without an adapter.
    #[error(
        "{url:?}: an adapter for {scheme}:// is not compiled in; use a folder that all services \
         share: a path, or file:///var/lib/chipq/artifacts"
    )]
    NotCompiledIn {
        /// As given.
        url: String,
        /// Its scheme.
        scheme: &'static str,
    },
    /// Anything else.
    #[error(
        "{url:?} names no store of pictures: write the path of a folder, or \
         file:///var/lib/chipq/artifacts"
    )]
    Unknown {
        /// As given.
        url: String,
    },
}

impl FromStr for ArtifactStoreUrl {
    type Err = InvalidArtifactStoreUrl;

    fn from_str(url: &str) -> Result<Self, InvalidArtifactStoreUrl> {
        let unknown = || InvalidArtifactStoreUrl::Unknown { url: url.to_owned() };
        let (scheme, rest) = url.split_once(':').unwrap_or_default();
        if let Some(scheme) = NOT_COMPILED_IN.into_iter().find(|known| *known == scheme) {
            return Err(InvalidArtifactStoreUrl::NotCompiledIn { url: url.to_owned(), scheme });
        }
        if scheme == "file" {
            // RFC 8089: both file:/path and file:///path; a host would be another machine's folder.
            let path = rest.strip_prefix("//").unwrap_or(rest);
            let path = decode(path).filter(|path| path.starts_with('/')).ok_or_else(unknown)?;
            return Ok(Self::Folder(path.into()));
        }
        if url.is_empty() || rest.starts_with("//") {
            return Err(unknown());
        }
        Ok(Self::Folder(url.into()))
    }
}

impl fmt::Display for ArtifactStoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(path) => path.display().fmt(f),
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
    }

    #[test]
    fn a_store_that_is_not_compiled_in_is_refused_with_what_to_use() {
        for url in ["s3://bucket/prefix", "gs://bucket", "az://container"] {
            let error = url.parse::<ArtifactStoreUrl>().unwrap_err().to_string();
            assert!(error.contains("not compiled in") && error.contains("file:///"), "{error}");
        }
    }

    #[test]
    fn what_names_no_store_is_refused() {
        for url in ["", "http://host/x", "file://host/x", "file://", "file:artifacts", "file:///%f"]
        {
            let error = url.parse::<ArtifactStoreUrl>().unwrap_err();
            assert_eq!(error, InvalidArtifactStoreUrl::Unknown { url: url.to_owned() });
        }
    }
}
