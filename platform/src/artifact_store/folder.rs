//! Pictures in a folder. They come in through this service, by URLs that are signed here.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use chrono::{DateTime, Utc};
use domain::{ArtifactId, MediaType};
use futures::future::{BoxFuture, FutureExt as _, ready};
use object_store::local::LocalFileSystem;

use super::signed_url::UrlSigner;
use super::upload::STAGING;
use super::upload_target::{UploadNotes, UploadPermit, UploadRoute, UploadTarget};
use super::{ArtifactStore, ArtifactStoreError, SignatureError};
use crate::auth::SigningKey;

/// Unfinished uploads of dead processes are removed when they are older than this.
pub(super) const ABANDONED_AFTER: Duration = Duration::from_secs(3600);

/// Where this service receives pictures: this path, and the picture's id below it.
const UPLOADS_PATH: &str = "/v1/uploads/";
const METHOD: &str = "PUT";
/// The parameter that holds the announced format.
const MEDIA_TYPE: &str = "type";

/// A store in `folder`, which is made when missing. Every write reaches the disk before it counts.
pub(super) fn open(folder: &Path, key: &SigningKey) -> Result<ArtifactStore, ArtifactStoreError> {
    let failed = |source| ArtifactStoreError::Open { path: folder.to_owned(), source };
    let staging = folder.join(STAGING);
    std::fs::create_dir_all(&staging).map_err(failed)?;
    remove_abandoned(&staging).map_err(failed)?;
    let files = LocalFileSystem::new_with_prefix(folder)?.with_fsync(true);
    Ok(ArtifactStore::new(Arc::new(files), Arc::new(SignedUploads::new(key))))
}

/// Removes what killed processes left in the staging folder.
fn remove_abandoned(staging: &Path) -> io::Result<()> {
    let now = SystemTime::now();
    for entry in std::fs::read_dir(staging)? {
        let entry = entry?;
        // Another process may finish or remove it meanwhile; then there is nothing to sweep.
        let Ok(modified) = entry.metadata().and_then(|found| found.modified()) else { continue };
        if now.duration_since(modified).is_ok_and(|age| age > ABANDONED_AFTER) {
            tracing::info!(file = %entry.path().display(), "removing an abandoned upload");
            let _ = std::fs::remove_file(entry.path());
        }
    }
    Ok(())
}

/// Uploads through this service: the URL carries the permission, so the sender needs no token.
#[derive(Debug)]
pub(super) struct SignedUploads {
    signer: UrlSigner,
}

impl SignedUploads {
    pub(super) fn new(key: &SigningKey) -> Self {
        Self { signer: UrlSigner::new(key) }
    }
}

impl UploadRoute for SignedUploads {
    fn make_target(
        &self,
        artifact_id: ArtifactId,
        media_type: MediaType,
        until: DateTime<Utc>,
        notes: UploadNotes,
    ) -> BoxFuture<'_, Result<UploadTarget, ArtifactStoreError>> {
        let mut parameters = notes;
        parameters.insert(MEDIA_TYPE.to_owned(), media_type.to_string());
        let path = format!("{UPLOADS_PATH}{artifact_id}");
        let target = UploadTarget {
            method: METHOD,
            url: self.signer.sign_url(METHOD, &path, &parameters, until),
            headers: BTreeMap::from([("Content-Type", media_type.to_string())]),
            expires_at: until,
        };
        ready(Ok(target)).boxed()
    }

    fn verify_permit(
        &self,
        path: &str,
        query: &str,
        now: DateTime<Utc>,
    ) -> Result<UploadPermit, SignatureError> {
        let mut notes = self.signer.verify_url(METHOD, path, query, now)?;
        let artifact_id = path.strip_prefix(UPLOADS_PATH).and_then(|id| id.parse().ok());
        let media_type = notes.remove(MEDIA_TYPE).and_then(|text| text.parse().ok());
        match (artifact_id, media_type) {
            (Some(artifact_id), Some(media_type)) => {
                Ok(UploadPermit { artifact_id, media_type, notes })
            }
            // Signed by our key, and not by `make_target`: nothing that this version gave out.
            _ => Err(SignatureError::Tampered),
        }
    }
}
