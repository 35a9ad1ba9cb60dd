//! Whether the file of a picture is whole, found out while its station can still send it again.
//!
//! Absent: its pixels. What only they show, a worker says of the board.

use std::sync::Arc;

use axum::body::Bytes;
use domain::{ArtifactId, Picture};
use platform::artifact_store::{ArtifactStore, ArtifactStoreError, StagedPicture};
use platform::http::{Problem, ProblemType};
use tokio::sync::Semaphore;
use vision::DecodeError;

/// Files that are looked at at a time: each is in memory for as long, milliseconds a megapixel at most.
const FILES_MAX: usize = 2;
/// The largest file that is looked at, in bytes. What is larger is only received, as the memory for pictures is what
/// it has to fit.
const FILE_MAX_BYTES: u64 = 256 << 20;

/// Looks at files. Clones share the places.
#[derive(Debug, Clone)]
pub(crate) struct FileCheck(Arc<Semaphore>);

impl Default for FileCheck {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(FILES_MAX)))
    }
}

impl FileCheck {
    /// # Errors
    /// 422 with what is wrong with the file.
    pub(crate) async fn check(
        &self,
        store: &ArtifactStore,
        staged: &StagedPicture,
    ) -> Result<(), Problem> {
        match self.find_flaw(staged.picture(), store.read_staged(staged)).await? {
            None => Ok(()),
            Some(why) => {
                let detail =
                    format!("{why}; nothing was stored, send the picture to the same URL again");
                Err(Problem::new(ProblemType::UnreadablePicture, detail))
            }
        }
    }

    /// What is wrong with the file of a picture at rest, whoever put it there.
    ///
    /// # Errors
    /// When the store fails.
    pub(crate) async fn find_flaw_at_rest(
        &self,
        store: &ArtifactStore,
        (id, picture): (ArtifactId, &Picture),
    ) -> Result<Option<DecodeError>, Problem> {
        self.find_flaw(picture, store.get_verified(id, &picture.sha256)).await
    }

    async fn find_flaw(
        &self,
        picture: &Picture,
        file: impl Future<Output = Result<Bytes, ArtifactStoreError>>,
    ) -> Result<Option<DecodeError>, Problem> {
        if picture.bytes > FILE_MAX_BYTES {
            return Ok(None);
        }
        // The semaphore is never closed.
        let _place = self.0.acquire().await.ok();
        let file = file.await?;
        let checked = tokio::task::spawn_blocking(move || vision::check_file(&file)).await;
        Ok(checked.map_err(Problem::internal)?.err())
    }
}
