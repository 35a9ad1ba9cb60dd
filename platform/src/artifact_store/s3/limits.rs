//! Every call of a store within its time: whoever asks is told that it does not answer, instead of waiting.
//!
//! Invariant: no call waits for more than its limit, and no piece of a body for more than [`PIECE_LIMIT`], whatever the
//! client below does. What a call has changed when its time was over is not known.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::BoxStream;
use futures::{StreamExt as _, TryStreamExt as _};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload,
    ObjectMeta, ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use tokio::time::timeout;

/// For an answer without a body, and for the head of one with a body.
pub(super) const ANSWER_LIMIT: Duration = Duration::from_secs(6);
/// For the next piece of a body.
const PIECE_LIMIT: Duration = Duration::from_secs(10);
/// For a whole object on its way into the store.
const PUT_LIMIT: Duration = Duration::from_secs(20);

/// A store whose calls end in time.
#[derive(Debug)]
pub(super) struct TimedStore<S> {
    inner: S,
}

impl<S> TimedStore<S> {
    pub(super) const fn new(inner: S) -> Self {
        Self { inner }
    }
}

impl<S: ObjectStore> fmt::Display for TimedStore<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.inner, f)
    }
}

async fn within<T>(limit: Duration, call: impl Future<Output = Result<T>> + Send) -> Result<T> {
    timeout(limit, call).await.unwrap_or_else(|_| Err(late(limit)))
}

fn late(limit: Duration) -> Error {
    let source = format!("no answer within {} s", limit.as_secs()).into();
    Error::Generic { store: "S3", source }
}

/// The same pieces, each within its time.
fn pieces_in_time<T: Send + 'static>(
    pieces: BoxStream<'static, Result<T>>,
) -> BoxStream<'static, Result<T>> {
    let timed = futures::stream::unfold(Some(pieces), |pieces| async move {
        let mut pieces = pieces?;
        match timeout(PIECE_LIMIT, pieces.next()).await {
            Ok(piece) => piece.map(|piece| (piece, Some(pieces))),
            Err(_) => Some((Err(late(PIECE_LIMIT)), None)),
        }
    });
    timed.boxed()
}

#[async_trait]
impl<S: ObjectStore> ObjectStore for TimedStore<S> {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        within(PUT_LIMIT, self.inner.put_opts(location, payload, options)).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        within(ANSWER_LIMIT, self.inner.put_multipart_opts(location, options)).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let found = within(ANSWER_LIMIT, self.inner.get_opts(location, options)).await?;
        let GetResult { payload, meta, range, attributes, extensions } = found;
        let payload = match payload {
            GetResultPayload::Stream(pieces) => GetResultPayload::Stream(pieces_in_time(pieces)),
            other => other,
        };
        Ok(GetResult { payload, meta, range, attributes, extensions })
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        pieces_in_time(self.inner.delete_stream(locations))
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        pieces_in_time(self.inner.list(prefix).into_stream().boxed())
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        within(ANSWER_LIMIT, self.inner.list_with_delimiter(prefix)).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        within(PUT_LIMIT, self.inner.copy_opts(from, to, options)).await
    }
}
