//! Pictures in a bucket of S3, or of a store that speaks as S3 does. Clients send them to the store itself, by URLs
//! that it is asked for here and that it checks itself.
//!
//! Invariant: a URL allows one `PUT` under the picture's arrival, with the headers that were signed, until it expires.
//! Nobody is given a URL for what is at rest.

mod credentials;
mod limits;
mod location;
mod presign;
mod start_check;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use futures::future::{BoxFuture, FutureExt as _};
use object_store::aws::{AmazonS3, AmazonS3Builder, AwsCredentialProvider, Checksum};
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{BackoffConfig, ClientOptions, ObjectStore, RetryConfig};
use tokio::time::timeout;

pub use credentials::CredentialsError;
pub use location::{InvalidS3Url, S3Location};
pub(super) use start_check::{check_readable, check_writable};

use super::arrivals::{NOTES_METADATA, arrival_path, write_notes};
use super::staging::Staging;
use super::{
    AnnouncedUpload, ArtifactStore, ArtifactStoreError, NoUploads, SignatureError, UploadPermit,
    UploadRoute, UploadTarget,
};
use credentials::CredentialSource;
use limits::{ANSWER_LIMIT, TimedStore};
use presign::{PresignedRequest, presign};

const METHOD: &str = "PUT";
/// For a connection to be made.
const CONNECT_LIMIT: Duration = Duration::from_secs(3);
/// How often a call is tried again within its time, and for how long after its beginning.
const RETRIES_MAX: usize = 3;
const RETRIES_WITHIN: Duration = Duration::from_secs(4);

impl S3Location {
    /// Whether there are credentials for it, as far as one can tell without asking anybody.
    ///
    /// # Errors
    /// When what the environment says of them cannot be right.
    pub(crate) fn check_credentials(&self) -> Result<(), CredentialsError> {
        CredentialSource::find(read_variable).map(drop)
    }
}

/// A variable of the environment, as AWS's tools read them.
pub(super) fn read_variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// The pictures in a bucket; nobody is asked yet.
pub(super) fn open(location: &S3Location) -> Result<ArtifactStore, ArtifactStoreError> {
    let bucket = connect(location)?;
    let credentials = Arc::clone(bucket.credentials());
    let uploads = PresignedUploads { credentials, location: location.clone() };
    let objects = timed_objects(bucket, location);
    Ok(ArtifactStore::new(objects, Arc::new(uploads), Staging::elsewhere()))
}

/// The same pictures for whoever only reads.
pub(super) fn open_to_read(location: &S3Location) -> Result<ArtifactStore, ArtifactStoreError> {
    let bucket = connect(location)?;
    let objects = timed_objects(bucket, location);
    Ok(ArtifactStore::new(objects, Arc::new(NoUploads { is_remote: true }), Staging::elsewhere()))
}

fn timed_objects(bucket: AmazonS3, location: &S3Location) -> Arc<dyn ObjectStore> {
    Arc::new(PrefixStore::new(TimedStore::new(bucket), Path::from(&*location.prefix)))
}

fn connect(location: &S3Location) -> Result<AmazonS3, ArtifactStoreError> {
    let endpoint = location.endpoint.as_deref();
    let source = CredentialSource::find(read_variable);
    let source = source.map_err(|error| ArtifactStoreError::Unusable(error.to_string()))?;
    // No limit for a whole transfer: who looks at a picture may be slow. The head of an answer and each piece have one.
    let client = ClientOptions::new()
        .with_connect_timeout(CONNECT_LIMIT)
        .with_timeout_disabled()
        .with_allow_http(endpoint.is_some_and(|endpoint| endpoint.starts_with("http://")));
    let retry = RetryConfig {
        backoff: BackoffConfig { max_backoff: Duration::from_secs(1), ..BackoffConfig::default() },
        max_retries: RETRIES_MAX,
        retry_timeout: RETRIES_WITHIN,
    };
    let builder = AmazonS3Builder::new()
        .with_bucket_name(&location.bucket)
        .with_region(&location.region)
        .with_virtual_hosted_style_request(location.is_virtual_hosted)
        // The store compares what it receives, beside the signature.
        .with_checksum_algorithm(Checksum::SHA256)
        .with_client_options(client)
        .with_retry(retry);
    let builder = match endpoint {
        Some(endpoint) => builder
            .with_endpoint(location.address_at(endpoint))
            .with_allow_http(endpoint.starts_with("http://")),
        None => builder,
    };
    Ok(source.apply_to(builder).build()?)
}

/// Uploads to the store itself.
#[derive(Debug)]
struct PresignedUploads {
    credentials: AwsCredentialProvider,
    location: S3Location,
}

impl PresignedUploads {
    async fn make_url(&self, upload: AnnouncedUpload) -> Result<UploadTarget, ArtifactStoreError> {
        let AnnouncedUpload { artifact_id, expected, until, notes } = upload;
        let mut headers = BTreeMap::from([
            ("Content-Type", expected.media_type.to_string()),
            (NOTES_METADATA, write_notes(&notes, &expected)),
        ]);
        headers.extend(expected.bytes.map(|bytes| ("Content-Length", bytes.to_string())));
        let digest = expected.sha256.map(|sha256| STANDARD.encode(sha256.as_bytes()));
        headers.extend(digest.map(|digest| ("x-amz-checksum-sha256", digest)));
        // They may have to be fetched first.
        let credential = timeout(ANSWER_LIMIT, self.credentials.get_credential()).await;
        let late = |_| ArtifactStoreError::NotWritable("no credentials in time".to_owned());
        let credential = credential.map_err(late)??;
        let key = self.location.full_key(&arrival_path(artifact_id));
        let at = Utc::now();
        let request = PresignedRequest {
            method: METHOD,
            key: key.as_ref(),
            headers: &headers,
            at,
            lasts: (until - at).to_std().unwrap_or_default(),
        };
        let url = presign(&self.location, &credential, &request);
        Ok(UploadTarget { method: METHOD, url, headers, expires_at: until })
    }
}

impl UploadRoute for PresignedUploads {
    fn make_target(
        &self,
        upload: AnnouncedUpload,
    ) -> BoxFuture<'_, Result<UploadTarget, ArtifactStoreError>> {
        self.make_url(upload).boxed()
    }

    /// None is given out for this service.
    fn verify_permit(
        &self,
        _: &str,
        _: &str,
        _: DateTime<Utc>,
    ) -> Result<UploadPermit, SignatureError> {
        Err(SignatureError::Tampered)
    }

    fn is_remote(&self) -> bool {
        true
    }

    fn notified_key<'a>(&self, bucket: &str, key: &'a str) -> Option<&'a str> {
        if bucket != self.location.bucket {
            return None;
        }
        match &*self.location.prefix {
            "" => Some(key),
            prefix => key.strip_prefix(prefix)?.strip_prefix('/'),
        }
    }
}

impl S3Location {
    /// The key of what lies at `path` below the prefix.
    fn full_key(&self, path: &Path) -> Path {
        Path::from(&*self.prefix).parts().chain(path.parts()).collect()
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use domain::{ArtifactId, MediaType, Sha256};
    use object_store::StaticCredentialProvider;
    use object_store::aws::AwsCredential;
    use uuid::Uuid;

    use super::*;
    use crate::artifact_store::ExpectedUpload;

    fn uploads() -> PresignedUploads {
        let rest = "pictures/line-1?endpoint=http://127.0.0.1:9000";
        let location = S3Location::parse(rest, |_| None).unwrap();
        let (key_id, secret_key) = ("key".to_owned(), "hunter2".to_owned());
        let credential = AwsCredential { key_id, secret_key, token: None };
        let credentials = Arc::new(StaticCredentialProvider::new(credential));
        PresignedUploads { credentials, location }
    }

    #[tokio::test]
    async fn all_that_was_announced_is_signed_and_stands_in_the_headers() {
        let artifact_id = ArtifactId(Uuid::now_v7());
        let sha256 = Some(Sha256::digest_of(b"a picture"));
        let expected = ExpectedUpload { media_type: MediaType::Png, sha256, bytes: Some(9) };
        let (until, notes) = (Utc::now() + TimeDelta::minutes(15), BTreeMap::default());
        let upload = AnnouncedUpload { artifact_id, expected, until, notes };
        let target = uploads().make_target(upload).await.unwrap();
        let id = artifact_id.to_string();
        let place = format!("http://127.0.0.1:9000/pictures/line-1/arrivals/{}/{id}?", &id[34..]);
        assert!(target.url.starts_with(&place), "{}", target.url);
        let signed = "content-length%3Bcontent-type%3Bhost%3Bx-amz-checksum-sha256%3B\
                      x-amz-meta-chipq-announced";
        assert!(target.url.contains(signed), "{}", target.url);
        assert!(!target.url.contains("hunter2"));
        let names: Vec<_> = target.headers.keys().copied().collect();
        assert_eq!(
            names,
            ["Content-Length", "Content-Type", "x-amz-checksum-sha256", NOTES_METADATA]
        );
    }

    #[test]
    fn a_notification_is_about_this_store_when_bucket_and_prefix_are_its_own() {
        let uploads = uploads();
        assert_eq!(uploads.notified_key("pictures", "line-1/arrivals/x"), Some("arrivals/x"));
        for (bucket, key) in [("other", "line-1/x"), ("pictures", "line-10/x"), ("pictures", "x")] {
            assert_eq!(uploads.notified_key(bucket, key), None, "{bucket} {key}");
        }
    }
}
