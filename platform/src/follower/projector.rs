//! The projector: rows and checkpoint in one transaction.
//!
//! Invariant: only whoever holds the projector's lock writes, and only where its own epoch stands; both
//! end with the connection. What comes while nothing was under way is written at once; what follows it soon waits a
//! moment and is written together. Absent: what is written, and where the checkpoint is kept.

use std::convert::Infallible;
use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::owner::{OwnerConnection, OwnerLock};
use super::session::{FollowError, Follower, begin_following};
use super::status::FollowerStatus;
use super::tail::LogTail;
use crate::event_log::{EventLog, Page, Position};
use crate::postgres::channel::HintSender;
use crate::postgres::{DatabaseConnection, Pool};

/// How long after the beginning of a page the next one begins at the earliest, where there is nothing to catch up with.
/// A transaction costs as much for one event as for some, and commands pay for it where they have processors in common.
const PAGE_INTERVAL: Duration = Duration::from_millis(10);
/// The same after a page of many events: one millisecond for each, and not more than this.
const PAGE_INTERVAL_MAX: Duration = Duration::from_millis(50);

/// Whoever turns events into rows of the database that keeps its checkpoint.
pub trait Projector: Send {
    /// Whose holder is the only one who writes.
    fn owner_lock(&self) -> OwnerLock;

    /// Makes this the owner, with an epoch above all before it, and says up to where everything is
    /// projected. Whatever an earlier session knew is forgotten.
    fn take_over(
        &mut self,
        connection: &mut DatabaseConnection,
    ) -> impl Future<Output = Result<Position, FollowError>> + Send;

    /// Waits, owning nothing, while nothing that this process does would help: what ended the last session
    /// is in the way of its code, and of no other's. Ends at once when nothing is.
    fn wait_while_blocked(
        &mut self,
        _pool: &Pool,
        _tail: &LogTail,
    ) -> impl Future<Output = Result<(), FollowError>> + Send {
        std::future::ready(Ok(()))
    }

    /// Writes the page that follows on the checkpoint, and the checkpoint behind it, in one
    /// transaction: all of it, or nothing. [`FollowError::Fenced`] when the epoch is another.
    fn write_page(
        &mut self,
        connection: &mut DatabaseConnection,
        page: &Page,
    ) -> impl Future<Output = Result<(), FollowError>> + Send;
}

/// Follows the log for a projector.
pub struct ProjectorFollower<P> {
    /// What is projected.
    pub projector: P,
    /// The database of rows and checkpoint.
    pub pool: Pool,
    /// The log.
    pub tail: LogTail,
    /// The most events in one transaction.
    pub page_events: usize,
    /// Tells readers that rows have changed.
    pub hint: HintSender,
}

impl<P: Projector> Follower for ProjectorFollower<P> {
    async fn follow(&mut self, status: &FollowerStatus) -> Result<Infallible, FollowError> {
        self.projector.wait_while_blocked(&self.pool, &self.tail).await?;
        let owned = take_over(&mut self.projector, &self.pool, Some(status)).await?;
        let (mut connection, position) = owned;
        let mut follow = begin_following(&self.tail, position, status).await?;
        loop {
            let page = connection.hold_while(follow.next_page(self.page_events)).await??;
            let begun = Instant::now();
            connection.ensure_history(page.incarnation).await?;
            self.projector.write_page(&mut connection, &page).await?;
            self.hint.send_hint();
            status.advance(page.up_to, page.head);
            if page.up_to >= page.head {
                connection.hold_while(sleep_until(begun + rest_after(page.events.len()))).await?;
            }
        }
    }
}

/// How long after its beginning a page of so many events is rested.
fn rest_after(events: usize) -> Duration {
    let of_events = Duration::from_millis(events.try_into().unwrap_or(u64::MAX));
    of_events.clamp(PAGE_INTERVAL, PAGE_INTERVAL_MAX)
}

/// Projects what is in the log now and returns how many events that was. Waits first, as an instance
/// that stands by does, while another process owns the projector.
///
/// # Errors
/// When it was interrupted; calling again continues.
pub async fn project_to_end(
    projector: &mut impl Projector,
    pool: &Pool,
    log: &dyn EventLog,
    page_events: usize,
) -> Result<u64, FollowError> {
    let (mut connection, mut position) = take_over(projector, pool, None).await?;
    position.ensure_reached(log.end().await?.position)?;
    let mut events = 0;
    loop {
        let page = log.read_all(position, page_events).await?;
        if page.up_to <= position {
            connection.release().await;
            return Ok(events);
        }
        projector.write_page(&mut connection, &page).await?;
        position = page.up_to;
        events += page.events.len() as u64;
    }
}

/// Waits for the projector's lock and takes it over.
async fn take_over(
    projector: &mut impl Projector,
    pool: &Pool,
    status: Option<&FollowerStatus>,
) -> Result<(OwnerConnection, Position), FollowError> {
    let lock = projector.owner_lock();
    let standby = || status.into_iter().for_each(FollowerStatus::wait_for_ownership);
    let mut connection = OwnerConnection::wait_for(pool, lock, standby).await?;
    status.into_iter().for_each(FollowerStatus::become_owner);
    match projector.take_over(&mut connection).await {
        Ok(position) => Ok((connection, position)),
        Err(error) => {
            // Another process may be able to where this one is not, such as one of another version.
            connection.release().await;
            Err(error)
        }
    }
}
