//! A store whose disk is full at every step of an upload.

use std::fmt;

use futures::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result as StoreResult,
    UploadPart,
};

use super::*;

/// The step at which the disk is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Begin,
    Part,
    Complete,
    Rename,
}

/// A store in memory that fails at one step, and otherwise works.
#[derive(Debug)]
struct FullDisk(InMemory, Step);

#[derive(Debug)]
struct FullUpload(Box<dyn MultipartUpload>, Step);

fn store_over(objects: Arc<FullDisk>) -> ArtifactStore {
    let uploads = folder::SignedUploads::new(&signing_key());
    ArtifactStore::new(objects, Arc::new(uploads), Staging::elsewhere())
}

fn full() -> object_store::Error {
    let source = Box::new(io::Error::from(io::ErrorKind::StorageFull));
    object_store::Error::Generic { store: "disk", source }
}

impl fmt::Display for FullDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a full disk")
    }
}

#[async_trait::async_trait]
impl MultipartUpload for FullUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        if self.1 == Step::Part {
            return Box::pin(async { Err(full()) });
        }
        self.0.put_part(data)
    }

    async fn complete(&mut self) -> StoreResult<PutResult> {
        if self.1 == Step::Complete {
            return Err(full());
        }
        self.0.complete().await
    }

    async fn abort(&mut self) -> StoreResult<()> {
        self.0.abort().await
    }
}

#[async_trait::async_trait]
impl ObjectStore for FullDisk {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> StoreResult<PutResult> {
        self.0.put_opts(location, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> StoreResult<Box<dyn MultipartUpload>> {
        if self.1 == Step::Begin {
            return Err(full());
        }
        let upload = self.0.put_multipart_opts(location, options).await?;
        Ok(Box::new(FullUpload(upload, self.1)))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> StoreResult<GetResult> {
        self.0.get_opts(location, options).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, StoreResult<Path>>,
    ) -> BoxStream<'static, StoreResult<Path>> {
        self.0.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, StoreResult<ObjectMeta>> {
        self.0.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> StoreResult<ListResult> {
        self.0.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> StoreResult<()> {
        self.0.copy_opts(from, to, options).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> StoreResult<()> {
        if self.1 == Step::Rename {
            return Err(full());
        }
        self.0.rename_opts(from, to, options).await
    }
}

#[tokio::test]
async fn a_full_disk_is_told_apart_and_leaves_nothing_behind_at_any_step() {
    for step in [Step::Begin, Step::Part, Step::Complete, Step::Rename] {
        let objects = Arc::new(FullDisk(InMemory::new(), step));
        let (store, id) = (store_over(objects.clone()), new_id());
        let png = picture(ImageFormat::Png);
        let error = put(&store, id, &png, MediaType::Png).await.unwrap_err();
        assert!(matches!(error, UploadError::StorageFull), "{step:?}: {error}");
        assert_eq!(store.describe_stored(id).await.unwrap(), None);
        assert_eq!(objects.list(None).count().await, 0, "{step:?} left something behind");
    }
}

#[test]
fn the_operating_systems_error_for_a_full_disk_is_recognised() {
    let error = io::Error::from_raw_os_error(rustix::io::Errno::NOSPC.raw_os_error());
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
}
