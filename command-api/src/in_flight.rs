//! The pictures that are received at a time: how many, how large together, and how long one may pause.
//!
//! Invariants: whatever clients announce and however slowly they send, what unfinished uploads take of memory
//! and disk is bounded, and no principal's uploads keep out those of the others. Who finds no place soon is
//! asked to come again, before his body is read.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::{Body, Bytes};
use futures::{Stream, StreamExt as _, stream};
use platform::http::{Problem, ProblemType};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// How long an upload waits for its place.
const PLACE_PATIENCE: Duration = Duration::from_secs(5);
/// Seconds after which an upload without a place is worth another try.
const RETRY_AFTER_S: u64 = 1;
/// How long a client may send nothing of a picture that it has begun.
const PAUSE_MAX: Duration = Duration::from_secs(20);
/// What sizes are counted in, so that they fit the semaphore.
const UNIT_BYTES: u64 = 1 << 10;

/// Places for uploads, and room for what they announce.
#[derive(Debug)]
struct UploadRoom {
    places: Arc<Semaphore>,
    units: Arc<Semaphore>,
    units_max: u32,
}

/// One place in a room.
#[derive(Debug)]
struct RoomPlace {
    _place: OwnedSemaphorePermit,
    _units: OwnedSemaphorePermit,
}

impl UploadRoom {
    fn new(places: u16, units_max: u32) -> Self {
        Self {
            places: Arc::new(Semaphore::new(places.into())),
            units: Arc::new(Semaphore::new(units_max as usize)),
            units_max,
        }
    }

    /// Waits for a place; what is larger than the room waits for all of it.
    async fn take(&self, units: u32) -> Option<RoomPlace> {
        // Neither semaphore is ever closed.
        let place = Arc::clone(&self.places).acquire_owned().await.ok()?;
        let units = units.min(self.units_max);
        let units = Arc::clone(&self.units).acquire_many_owned(units).await.ok()?;
        Some(RoomPlace { _place: place, _units: units })
    }
}

/// The uploads of one process.
#[derive(Debug)]
pub(crate) struct UploadsInFlight {
    all: UploadRoom,
    /// Who uploads nothing does not stand here.
    shares: Mutex<HashMap<String, Share>>,
    share_places: u16,
    share_units: u32,
    /// How long an upload waits for its place.
    patience: Duration,
}

/// What one principal may have of all.
#[derive(Debug)]
struct Share {
    room: Arc<UploadRoom>,
    /// How many of its uploads have a place or wait for one.
    uploads: usize,
}

/// An upload of a principal, with a place or on its way to one.
#[derive(Debug)]
struct ShareUser<'a> {
    in_flight: &'a UploadsInFlight,
    principal: String,
    room: Arc<UploadRoom>,
}

/// The place of one upload.
#[derive(Debug)]
pub(crate) struct UploadPlace<'a> {
    _in_all: RoomPlace,
    _in_share: RoomPlace,
    _user: ShareUser<'a>,
}

impl UploadsInFlight {
    /// So many at a time, of so many MiB together. One principal has so many places at most and never all of
    /// them, unless there is only one, and half of the room.
    pub(crate) fn new(places: u16, mib: u32, principal_places: u16) -> Self {
        let units_max = mib.saturating_mul(1 << 10);
        Self {
            all: UploadRoom::new(places, units_max),
            shares: Mutex::default(),
            share_places: principal_places.min(places.saturating_sub(1)).max(1),
            share_units: units_max / 2,
            patience: PLACE_PATIENCE,
        }
    }

    /// A place for an upload of `principal` of at most so many bytes.
    ///
    /// # Errors
    /// 503 when there is none for a while.
    pub(crate) async fn take_place(
        &self,
        principal: &str,
        bytes: u64,
    ) -> Result<UploadPlace<'_>, Problem> {
        let units = u32::try_from(bytes.div_ceil(UNIT_BYTES)).unwrap_or(u32::MAX);
        let user = self.enter_share(principal);
        // First its own: whoever has had its share holds nothing of what is everybody's while it waits.
        let taken = async {
            let in_share = user.room.take(units).await?;
            let in_all = self.all.take(units).await?;
            Some((in_share, in_all))
        };
        match timeout(self.patience, taken).await.ok().flatten() {
            Some((in_share, in_all)) => {
                Ok(UploadPlace { _in_all: in_all, _in_share: in_share, _user: user })
            }
            None => {
                let detail = "too many pictures are being uploaded; send it again";
                Err(Problem::unavailable(detail, RETRY_AFTER_S))
            }
        }
    }

    fn enter_share(&self, principal: &str) -> ShareUser<'_> {
        let mut shares = self.lock_shares();
        let share = shares.entry(principal.to_owned()).or_insert_with(|| Share {
            room: Arc::new(UploadRoom::new(self.share_places, self.share_units)),
            uploads: 0,
        });
        share.uploads += 1;
        let room = Arc::clone(&share.room);
        drop(shares);
        ShareUser { in_flight: self, principal: principal.to_owned(), room }
    }

    /// Nothing that holds it can panic half-way.
    fn lock_shares(&self) -> MutexGuard<'_, HashMap<String, Share>> {
        self.shares.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for ShareUser<'_> {
    fn drop(&mut self) {
        let mut shares = self.in_flight.lock_shares();
        if let Some(share) = shares.get_mut(&self.principal) {
            share.uploads -= 1;
            if share.uploads == 0 {
                shares.remove(&self.principal);
            }
        }
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
                Self::new(ProblemType::UploadPaused, detail)
            }
            BodyError::Ended(_) => {
                let detail = "the upload was interrupted; send it again";
                Self::new(ProblemType::InterruptedUpload, detail)
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
        let uploads = UploadsInFlight { patience: SHORT, ..UploadsInFlight::new(2, 1, 9) };
        let small = uploads.take_place("a", 1).await.unwrap();
        let other = uploads.take_place("b", 1).await.unwrap();
        let refused = uploads.take_place("c", 1).await.err().unwrap();
        assert_eq!((refused.status().as_u16(), refused.name()), (503, "unavailable"));
        drop(other);
        assert!(uploads.take_place("c", 1 << 20).await.is_err(), "no room beside the small one");
        drop(small);
        assert!(uploads.take_place("c", u64::MAX).await.is_ok(), "alone");
        assert!(uploads.lock_shares().is_empty(), "nothing is kept of who uploads nothing");
    }

    #[tokio::test]
    async fn no_principal_has_all_places_or_all_room() {
        let uploads = UploadsInFlight { patience: SHORT, ..UploadsInFlight::new(3, 2, 9) };
        let _stalled =
            (uploads.take_place("a", 1).await.unwrap(), uploads.take_place("a", 1).await);
        assert!(uploads.take_place("a", 1).await.is_err(), "one place is for others");
        assert!(uploads.take_place("b", 1).await.is_ok());
        let mib = 1 << 20;
        let uploads = UploadsInFlight { patience: SHORT, ..UploadsInFlight::new(3, 2, 2) };
        let _stalled = uploads.take_place("a", mib).await.unwrap();
        assert!(uploads.take_place("a", mib).await.is_err(), "half of the room is for others");
        assert!(uploads.take_place("b", mib).await.is_ok());
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
