//! Pictures that arrived in a store that takes them itself: a store in memory, which puts on a condition and keeps
//! metadata as a bucket does. `chipq/tests/s3.rs` does the same with a real one.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};

use chrono::TimeDelta;
use futures::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::{
    Attribute, Attributes, CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload,
    ObjectMeta, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult,
    Result as StoreResult,
};

use super::super::arrivals::{arrival_path, write_notes};
use super::super::staging::Staging;
use super::*;

/// A bucket of which so many conditional writes end in a conflict of which nothing comes.
#[derive(Debug, Default)]
struct Bucket {
    objects: InMemory,
    conflicts: AtomicUsize,
}

impl fmt::Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Bucket")
    }
}

#[async_trait::async_trait]
impl ObjectStore for Bucket {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> StoreResult<PutResult> {
        let one_less = |left: usize| left.checked_sub(1);
        let is_conditional = options.mode == PutMode::Create;
        let order = Ordering::SeqCst;
        if is_conditional && self.conflicts.fetch_update(order, order, one_less).is_ok() {
            let (path, source) = (location.to_string(), "ConditionalRequestConflict".into());
            return Err(Error::AlreadyExists { path, source });
        }
        self.objects.put_opts(location, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> StoreResult<Box<dyn MultipartUpload>> {
        self.objects.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> StoreResult<GetResult> {
        self.objects.get_opts(location, options).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, StoreResult<Path>>,
    ) -> BoxStream<'static, StoreResult<Path>> {
        self.objects.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, StoreResult<ObjectMeta>> {
        self.objects.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> StoreResult<ListResult> {
        self.objects.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> StoreResult<()> {
        self.objects.copy_opts(from, to, options).await
    }
}

fn bucket_store() -> (Arc<Bucket>, ArtifactStore) {
    let bucket = Arc::new(Bucket::default());
    let uploads = Arc::new(NoUploads { is_remote: true });
    let store = ArtifactStore::new(Arc::clone(&bucket) as _, uploads, Staging::elsewhere());
    (bucket, store)
}

/// What a client sends by the URL that it was given.
async fn send(bucket: &Bucket, id: ArtifactId, file: &[u8], expected: impl Into<ExpectedUpload>) {
    let notes = UploadNotes::from([("by".to_owned(), "AOI-1".to_owned())]);
    let announced = write_notes(&notes, &expected.into());
    let key = Attribute::Metadata("chipq-announced".into());
    let attributes = Attributes::from_iter([(key, announced)]);
    let options = PutOptions { attributes, ..PutOptions::default() };
    let file = Bytes::copy_from_slice(file).into();
    bucket.objects.put_opts(&arrival_path(id), file, options).await.unwrap();
}

async fn stage(
    store: &ArtifactStore,
    id: ArtifactId,
) -> Result<Option<StagedPicture>, UploadError> {
    let Some(arrival) = store.find_arrival(id).await.unwrap() else { return Ok(None) };
    assert_eq!(arrival.permit.notes["by"], "AOI-1");
    store.stage_arrival(&arrival, &UploadLimits::default()).await
}

#[tokio::test]
async fn what_was_looked_at_comes_to_rest_whatever_arrives_after_that() {
    let ((bucket, store), id) = (bucket_store(), new_id());
    let (first, second) = (picture(ImageFormat::Png), bomb(7, 7));
    assert!(stage(&store, id).await.unwrap().is_none());
    send(&bucket, id, &first, MediaType::Png).await;
    let staged = stage(&store, id).await.unwrap().unwrap();
    send(&bucket, id, &second, MediaType::Png).await;
    bucket.conflicts.store(2, Ordering::SeqCst);
    let stored = store.publish_staged(id, staged).await.unwrap();
    assert_eq!(store.get_verified(id, &stored.sha256).await.unwrap(), first);

    // Another instance that had looked at the other one, and one that had looked at the same.
    let other = picture(ImageFormat::Jpeg);
    send(&bucket, id, &other, MediaType::Jpeg).await;
    let staged = stage(&store, id).await.unwrap().unwrap();
    let refused = store.publish_staged(id, staged).await.unwrap_err();
    assert!(matches!(refused, UploadError::AlreadyStored), "{refused}");
    send(&bucket, id, &first, MediaType::Png).await;
    let staged = stage(&store, id).await.unwrap().unwrap();
    assert_eq!(store.publish_staged(id, staged).await.unwrap(), stored);
    store.forget_arrival(id).await;
    assert!(store.find_arrival(id).await.unwrap().is_none());
}

#[tokio::test]
async fn conflicts_without_end_and_what_is_damaged_at_rest() {
    let ((bucket, store), id) = (bucket_store(), new_id());
    let file = picture(ImageFormat::Png);
    send(&bucket, id, &file, MediaType::Png).await;
    bucket.conflicts.store(99, Ordering::SeqCst);
    let staged = stage(&store, id).await.unwrap().unwrap();
    let failed = store.publish_staged(id, staged).await.unwrap_err();
    assert!(matches!(failed, UploadError::Store(ArtifactStoreError::NotWritable(_))), "{failed}");
    assert!(!store.is_at_rest(id).await.unwrap());

    bucket.conflicts.store(0, Ordering::SeqCst);
    bucket.objects.put(&object_path(id), file[..50].to_vec().into()).await.unwrap();
    let staged = stage(&store, id).await.unwrap().unwrap();
    let stored = store.publish_staged(id, staged).await.unwrap();
    assert_eq!(store.get_verified(id, &stored.sha256).await.unwrap(), file);
}

#[tokio::test]
async fn what_was_announced_is_demanded_and_what_was_not_announced_counts_as_nothing() {
    let ((bucket, store), id) = (bucket_store(), new_id());
    let file = picture(ImageFormat::Png);
    let right = ExpectedUpload {
        media_type: MediaType::Png,
        sha256: Some(Sha256::digest_of(&file)),
        bytes: Some(file.len() as u64),
    };
    let other = Some(Sha256::digest_of(b"other"));
    for (wrong, name) in [
        (ExpectedUpload { media_type: MediaType::Jpeg, ..right }, "was announced"),
        (ExpectedUpload { sha256: other, ..right }, "SHA-256"),
        (ExpectedUpload { bytes: Some(1), ..right }, "1 were announced"),
    ] {
        send(&bucket, id, &file, wrong).await;
        let refused = stage(&store, id).await.unwrap_err().to_string();
        assert!(refused.contains(name), "{refused}");
    }
    send(&bucket, id, &file, right).await;
    assert!(stage(&store, id).await.unwrap().is_some());
    bucket.objects.put(&arrival_path(id), file.clone().into()).await.unwrap();
    assert!(store.find_arrival(id).await.unwrap().is_none(), "nobody was asked to send it");
    let limits = UploadLimits { max_bytes: 10, ..UploadLimits::default() };
    send(&bucket, id, &file, right).await;
    let arrival = store.find_arrival(id).await.unwrap().unwrap();
    let refused = store.stage_arrival(&arrival, &limits).await.unwrap_err();
    assert!(matches!(refused, UploadError::TooLarge { limit_bytes: 10 }), "{refused}");
}

#[tokio::test]
async fn what_grew_since_there_was_memory_for_it_is_put_off() {
    let ((bucket, store), id) = (bucket_store(), new_id());
    send(&bucket, id, &picture(ImageFormat::Png)[..100], MediaType::Png).await;
    let arrival = store.find_arrival(id).await.unwrap().unwrap();
    send(&bucket, id, &picture(ImageFormat::Png), MediaType::Png).await;
    let put_off = store.stage_arrival(&arrival, &UploadLimits::default()).await.unwrap_err();
    assert!(matches!(put_off, UploadError::Changed), "{put_off}");
}

#[tokio::test]
async fn only_old_arrivals_are_swept() {
    let ((bucket, store), id) = (bucket_store(), new_id());
    let file = picture(ImageFormat::Png);
    send(&bucket, id, &file, MediaType::Png).await;
    let staged = stage(&store, id).await.unwrap().unwrap();
    let stored = store.publish_staged(id, staged).await.unwrap();
    let now = Utc::now();
    assert_eq!(store.sweep_arrivals(now - TimeDelta::hours(1)).await.unwrap(), 0);
    assert_eq!(store.sweep_arrivals(now + TimeDelta::hours(1)).await.unwrap(), 1);
    assert!(store.find_arrival(id).await.unwrap().is_none());
    assert_eq!(
        store.get_verified(id, &stored.sha256).await.unwrap(),
        file,
        "what is at rest stays"
    );
}
