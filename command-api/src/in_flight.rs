//! The pictures that are received at a time: how many, how large together, and how long one may pause.
//!
//! Invariant: whatever clients announce and however slowly they send, what unfinished uploads take of memory
//! and disk is bounded. Who finds no place soon is asked to come again, before his body is read.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use futures::{Stream, StreamExt as _, stream};
use platform::http::Problem;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

/// How long an upload waits for its place.
const PLACE_PATIENCE: Duration = Duration::from_secs(5);
/// Seconds after which an upload without a place is worth another try.
const RETRY_AFTER_S: u64 = 1;
/// How long a client may send nothing of a picture that it has begun.
const PAUSE_MAX: Duration = Duration::from_secs(20);
/// What sizes are counted in, so that they fit the semaphore.
const UNIT_BYTES: u64 = 1 << 10;

/// The uploads of one process.
pub(crate) struct UploadsInFlight {
    places: Semaphore,
    /// Room for what is announced.
    units: Semaphore,
    units_max: u32,
    /// How long an upload waits for its place.
    patience: Duration,
}

/// The place of one upload.
pub(crate) struct UploadPlace<'a> {
    _place: SemaphorePermit<'a>,
    _units: SemaphorePermit<'a>,
}

impl UploadsInFlight {
    /// So many at a time, of so many MiB together.
    pub(crate) fn new(places: u16, mib: u32) -> Self {
        let units_max = mib.saturating_mul(1 << 10);
        Self {
            places: Semaphore::new(places.into()),
            units: Semaphore::new(units_max as usize),
            units_max,
            patience: PLACE_PATIENCE,
        }
    }

    /// A place for an upload of at most so many bytes; one that is larger than all room waits for all of it.
    ///
    /// # Errors
    /// 503 when there is none for a while.
    pub(crate) async fn take_place(&self, bytes: u64) -> Result<UploadPlace<'_>, Problem> {
        let units = u32::try_from(bytes.div_ceil(UNIT_BYTES)).unwrap_or(u32::MAX);
        let taken = async {
            let place = self.places.acquire().await.ok()?;
            let units = self.units.acquire_many(units.min(self.units_max)).await.ok()?;
            Some(UploadPlace { _place: place, _units: units })
        };
        // Neither semaphore is ever closed.
        timeout(self.patience, taken).await.ok().flatten().ok_or_else(|| {
            let detail = "too many pictures are being uploaded; send it again";
            Problem::unavailable(detail, RETRY_AFTER_S)
        })
    }
}

/// Why the next piece of a body does not come.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    /// The client pauses.
    #[error("nothing of the picture came for a while")]
    Paused,
    /// The client went, or the body is larger than any request may be.
    #[error(transparent)]
    Ended(#[from] axum::Error),
}

impl From<&BodyError> for Problem {
    fn from(error: &BodyError) -> Self {
        match error {
            BodyError::Paused => {
                let detail = format!("{error}; send the picture again");
                Self::new(StatusCode::REQUEST_TIMEOUT, "upload-paused", detail)
            }
            BodyError::Ended(_) => {
                let detail = "the upload was interrupted; send it again";
                Self::bad_request("interrupted-upload", detail)
            }
        }
    }
}

/// The pieces of a body, until the client pauses for too long.
pub(crate) fn pieces_of(body: Body) -> impl Stream<Item = Result<Bytes, BodyError>> + Send {
    pieces_without_pause(body, PAUSE_MAX)
}

fn pieces_without_pause(
    body: Body,
    pause_max: Duration,
) -> impl Stream<Item = Result<Bytes, BodyError>> + Send {
    stream::unfold(Some(body.into_data_stream()), move |pieces| async move {
        let mut pieces = pieces?;
        match timeout(pause_max, pieces.next()).await {
            Ok(piece) => piece.map(|piece| (piece.map_err(BodyError::from), Some(pieces))),
            Err(_) => Some((Err(BodyError::Paused), None)),
        }
    })
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    const SHORT: Duration = Duration::from_millis(20);

    #[tokio::test]
    async fn uploads_wait_for_a_place_and_for_room_and_not_for_ever() {
        let uploads = UploadsInFlight { patience: SHORT, ..UploadsInFlight::new(2, 1) };
        let small = uploads.take_place(1).await.unwrap();
        let other = uploads.take_place(1).await.unwrap();
        let refused = uploads.take_place(1).await.err().unwrap();
        assert_eq!((refused.status().as_u16(), refused.name()), (503, "unavailable"));
        drop(other);
        assert!(uploads.take_place(1 << 20).await.is_err(), "no room beside the small one");
        drop(small);
        assert!(uploads.take_place(u64::MAX).await.is_ok(), "alone");
    }

    #[tokio::test]
    async fn a_client_that_pauses_is_told_and_nothing_more_is_waited_for() {
        let begun = stream::iter([Ok::<_, Infallible>(Bytes::from_static(b"half"))]);
        let body = Body::from_stream(begun.chain(stream::pending()));
        let mut pieces = Box::pin(pieces_without_pause(body, SHORT));
        assert_eq!(pieces.next().await.unwrap().unwrap(), "half");
        let paused = Problem::from(&pieces.next().await.unwrap().unwrap_err());
        assert_eq!((paused.status().as_u16(), paused.name()), (408, "upload-paused"));
        assert!(pieces.next().await.is_none());
    }
}
