//! A reactor in the log's order: effect first, then checkpoint, page by page.
//!
//! Invariants: a page is given once the one before is done and its checkpoint saved, so the effects come
//! in the log's order; after a crash or an error the page is given again, as far as it was not saved. One
//! process at a time owns the reactor; an owner that was fenced off saves nothing, though what it was
//! just doing it may have done. Absent: work that can be divided by streams ([`super::StreamReactor`]).

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;

use super::owner::{OwnerConnection, OwnerLock};
use super::session::{FollowError, Follower, begin_following};
use super::status::FollowerStatus;
use super::tail::LogTail;
use crate::event_log::{Position, Recorded};
use crate::postgres::{DatabaseConnection, Pool};

/// The class of the advisory locks of reactors; see `projectors` for the classes before it.
const LOCK_CLASS: i32 = 776;
/// The only partition of a reactor that is not divided.
const WHOLE_LOG: i16 = 0;

/// What a reactor's own doing says when it fails.
pub type ReactionError = Box<dyn std::error::Error + Send + Sync>;

/// What reacts to the log as a whole: a relay, a sender of webhooks, a builder of proofs.
pub trait LogReactor: Send {
    /// Under which its checkpoint is kept; the same for ever.
    fn name(&self) -> &'static str;

    /// Does what `events`, in the log's order and not empty, ask for; those that ask for nothing are
    /// among them. All or some may have been given before, so doing it again must change nothing. The
    /// future may be dropped wherever it waits.
    ///
    /// # Errors
    /// When it cannot be done now. The same events are given again, after a back-off.
    fn react(
        &mut self,
        events: &[Arc<Recorded>],
    ) -> impl Future<Output = Result<(), ReactionError>> + Send;
}

/// Follows the log for a reactor.
pub struct LogReactorFollower<R> {
    /// What reacts.
    pub reactor: R,
    /// The database of its checkpoint.
    pub pool: Pool,
    /// The log.
    pub tail: LogTail,
    /// The most events between two checkpoints: what may be done again.
    pub page_events: usize,
}

impl<R: LogReactor> Follower for LogReactorFollower<R> {
    async fn follow(&mut self, status: &FollowerStatus) -> Result<Infallible, FollowError> {
        let name = self.reactor.name();
        let lock = OwnerLock { class: LOCK_CLASS, name };
        let standby = || status.wait_for_ownership();
        let mut connection = OwnerConnection::wait_for(&self.pool, lock, standby).await?;
        status.become_owner();
        let (epoch, mut position) = take_over(&mut connection, name).await?;
        tracing::info!(follower = name, epoch, position = position.0, "reacting");
        let mut follow = begin_following(&self.tail, position, status).await?;
        loop {
            let page = connection.hold_while(follow.next_page(self.page_events)).await??;
            connection.ensure_history(page.incarnation).await?;
            let reacted = connection.hold_while(self.reactor.react(&page.events)).await?;
            reacted.map_err(FollowError::failed)?;
            save_checkpoint(&mut connection, name, epoch, (position, page.up_to)).await?;
            position = page.up_to;
            status.advance(position, page.head);
        }
    }
}

/// Makes this process the owner, fences every owner before off, and says up to where everything is done.
/// A reactor that is new begins with the first event.
async fn take_over(
    connection: &mut DatabaseConnection,
    name: &str,
) -> Result<(i64, Position), sqlx::Error> {
    let (epoch, position) = sqlx::query_as(
        "INSERT INTO follower_leases AS l (follower, partition, epoch) VALUES ($1, $2, 1)
         ON CONFLICT (follower, partition) DO UPDATE SET epoch = l.epoch + 1
         RETURNING epoch, position",
    )
    .bind(name)
    .bind(WHOLE_LOG)
    .fetch_one(connection)
    .await?;
    Ok((epoch, Position(position)))
}

/// Moves the checkpoint on from exactly where this owner left it: one that somebody moved meanwhile, also
/// by hand and back, is not overwritten, but gone on from by the next session.
async fn save_checkpoint(
    connection: &mut DatabaseConnection,
    name: &str,
    epoch: i64,
    (from, to): (Position, Position),
) -> Result<(), FollowError> {
    let saved = sqlx::query(
        "UPDATE follower_leases SET position = $4, updated_at = now()
         WHERE follower = $1 AND partition = $2 AND epoch = $3 AND position = $5",
    )
    .bind(name)
    .bind(WHOLE_LOG)
    .bind(epoch)
    .bind(to.0)
    .bind(from.0)
    .execute(connection)
    .await?;
    if saved.rows_affected() == 0 { Err(FollowError::Fenced) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
