//! Whether the file of a picture is whole, found out while its station can still send it again.
//!
//! Absent: its pixels. What only they show, a worker says of the board.

use std::sync::Arc;

use platform::artifact_store::{ArtifactStore, StagedPicture};
use platform::http::{Problem, ProblemType};
use tokio::sync::Semaphore;

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
        if staged.picture().bytes > FILE_MAX_BYTES {
            return Ok(());
        }
        // The semaphore is never closed.
        let _place = self.0.acquire().await.ok();
        let file = store.read_staged(staged).await?;
        let checked = tokio::task::spawn_blocking(move || vision::check_file(&file)).await;
        checked.map_err(Problem::internal)?.map_err(|why| {
            let detail =
                format!("{why}; nothing was stored, send the picture to the same URL again");
            Problem::new(ProblemType::UnreadablePicture, detail)
        })
    }
}
