//! A reactor that is given the whole log in its order: effect first, then checkpoint.
//!
//! Invariants: events are given in the log's order, and as far ahead as the reactor has room for; the
//! checkpoint comes up to where everything is done, and after a crash or an error what comes behind it is
//! given again. One process at a time owns the reactor; an owner that was fenced off saves nothing, though
//! what it was just doing it may have done. Absent: work that can be divided by streams
//! ([`super::StreamReactor`]).

use std::convert::Infallible;
use std::future::Future;
use std::time::Duration;

use tokio::sync::mpsc::{Receiver, channel};
use tokio::time::{Instant, sleep_until};
use tokio_util::task::AbortOnDropHandle;

use super::owner::{OwnerConnection, OwnerLock};
use super::session::{FollowError, Follower, begin_following};
use super::status::FollowerStatus;
use super::tail::{Follow, LogTail};
use crate::event_log::{EventLogError, Page, Position};
use crate::postgres::{DatabaseConnection, Pool};

/// The class of the advisory locks of reactors; see `projectors` for the classes before it.
const LOCK_CLASS: i32 = 776;
/// The only partition of a reactor that is not divided.
const WHOLE_LOG: i16 = 0;
/// How often a checkpoint is saved while there is work. What is done after it may be given again.
const SAVE_INTERVAL: Duration = Duration::from_secs(1);

/// What a reactor's own doing says when it fails.
pub type ReactionError = Box<dyn std::error::Error + Send + Sync>;

/// What reacts to the log as a whole: a relay, a sender of webhooks, a builder of proofs.
pub trait LogReactor: Send {
    /// What it holds while this process owns it.
    type Session: ReactionSession;

    /// Under which its checkpoint is kept; the same for ever.
    fn name(&self) -> &'static str;

    /// Begins to react as the owner, where everything up to `checkpoint` was done; also says after which
    /// position it wants to be given events. Before the checkpoint it is where what was done is lost: the
    /// checkpoint then goes back to there.
    ///
    /// # Errors
    /// When it cannot begin now. It is tried again, after a back-off.
    fn begin(
        &mut self,
        checkpoint: Position,
    ) -> impl Future<Output = Result<(Self::Session, Position), ReactionError>> + Send;
}

/// A reactor at work. Dropping it ends what it does, as a crash would.
pub trait ReactionSession: Send {
    /// Whether it takes another page now. Where it does not, [`Self::done`] ends when it does again.
    fn has_room(&self) -> bool;

    /// Takes the next events, in the log's order and not empty; those that ask for nothing are among them.
    /// All or some may have been taken before, so that doing it again must change nothing.
    fn take(&mut self, page: &Page);

    /// Waits until more is done than when this was asked last, and says up to where everything is. Cancel-safe.
    ///
    /// # Errors
    /// When it cannot go on. The session ends, and what is not done is given to the next one.
    fn done(&mut self) -> impl Future<Output = Result<Position, ReactionError>> + Send;

    /// Writes down what it knows beside the checkpoint, in the transaction that moves that.
    ///
    /// # Errors
    /// When the database fails; then nothing of it is written.
    fn save(
        &mut self,
        transaction: &mut DatabaseConnection,
    ) -> impl Future<Output = Result<(), sqlx::Error>> + Send;
}

/// Follows the log for a reactor.
pub struct LogReactorFollower<R> {
    /// What reacts.
    pub reactor: R,
    /// The database of its checkpoint.
    pub pool: Pool,
    /// The log.
    pub tail: LogTail,
    /// The most events that it is given at once.
    pub page_events: usize,
}

impl<R: LogReactor> Follower for LogReactorFollower<R> {
    async fn follow(&mut self, status: &FollowerStatus) -> Result<Infallible, FollowError> {
        let name = self.reactor.name();
        let lock = OwnerLock { class: LOCK_CLASS, name };
        let standby = || status.wait_for_ownership();
        let mut connection = OwnerConnection::wait_for(&self.pool, lock, standby).await?;
        status.become_owner();
        let mut checkpoint = Checkpoint::take_over(&mut connection, name).await?;
        let begun = connection.hold_while(self.reactor.begin(checkpoint.position)).await?;
        let (mut session, mut done) = begun.map_err(FollowError::failed)?;
        if done < checkpoint.position {
            checkpoint.save(&mut connection, &mut session, done).await?;
        }
        let epoch = checkpoint.epoch;
        tracing::info!(follower = name, epoch, position = done.0, "reacting");
        let follow = begin_following(&self.tail, done, status).await?;
        let mut ahead = ReadAhead::start(follow, self.page_events);
        let (mut head, mut is_saved) = (done, true);
        loop {
            let save_at = (!is_saved).then_some(checkpoint.saved_at + SAVE_INTERVAL);
            let next = next_step(&mut ahead, &mut session, save_at);
            match connection.hold_while(next).await?? {
                FollowStep::Given(page) => {
                    connection.ensure_history(page.incarnation).await?;
                    head = page.head;
                    status.see_head(head);
                    session.take(&page);
                }
                FollowStep::Done(position) => {
                    (done, is_saved) = (position, false);
                    status.advance(done, head);
                }
                FollowStep::Save => {
                    checkpoint.save(&mut connection, &mut session, done).await?;
                    is_saved = true;
                }
            }
        }
    }
}

/// What happens next in a session.
enum FollowStep {
    Given(Page),
    Done(Position),
    Save,
}

async fn next_step(
    ahead: &mut ReadAhead,
    session: &mut impl ReactionSession,
    save_at: Option<Instant>,
) -> Result<FollowStep, FollowError> {
    let has_room = session.has_room();
    tokio::select! {
        biased;
        () = sleep_until(save_at.unwrap_or_else(Instant::now)), if save_at.is_some() => Ok(FollowStep::Save),
        done = session.done() => done.map(FollowStep::Done).map_err(FollowError::failed),
        page = ahead.next_page(), if has_room => Ok(FollowStep::Given(page?)),
    }
}

/// Reads the log for a session, a page ahead. Waiting for that page may be broken off as often as something is done,
/// which is many times while it is read: broken off itself, the reading would begin anew each time.
struct ReadAhead {
    pages: Receiver<Result<Page, EventLogError>>,
    _reading: AbortOnDropHandle<()>,
}

impl ReadAhead {
    fn start(mut follow: Follow, page_events: usize) -> Self {
        let (sender, pages) = channel(1);
        let reading = tokio::spawn(async move {
            loop {
                let page = follow.next_page(page_events).await;
                let is_over = page.is_err();
                if sender.send(page).await.is_err() || is_over {
                    return;
                }
            }
        });
        Self { pages, _reading: AbortOnDropHandle::new(reading) }
    }

    /// The next page; an error ends what is read. Cancel-safe.
    async fn next_page(&mut self) -> Result<Page, FollowError> {
        let page = self.pages.recv().await;
        Ok(page.ok_or_else(|| FollowError::failed("what reads the log died"))??)
    }
}

/// The checkpoint of this owner.
struct Checkpoint {
    name: &'static str,
    epoch: i64,
    position: Position,
    saved_at: Instant,
}

impl Checkpoint {
    /// Makes this process the owner, fences every owner before off, and finds up to where everything is done.
    /// A reactor that is new begins with the first event.
    async fn take_over(
        connection: &mut DatabaseConnection,
        name: &'static str,
    ) -> Result<Self, sqlx::Error> {
        let (epoch, position) = sqlx::query_as(
            "INSERT INTO follower_leases AS l (follower, partition, epoch) VALUES ($1, $2, 1)
             ON CONFLICT (follower, partition) DO UPDATE SET epoch = l.epoch + 1
             RETURNING epoch, position",
        )
        .bind(name)
        .bind(WHOLE_LOG)
        .fetch_one(connection)
        .await?;
        // Nothing was saved by this owner: what is done first is saved at once.
        let saved_at = Instant::now().checked_sub(SAVE_INTERVAL).unwrap_or_else(Instant::now);
        Ok(Self { name, epoch, position: Position(position), saved_at })
    }

    /// Moves it from exactly where this owner left it: one that somebody moved meanwhile, also by hand and
    /// back, is not overwritten, but gone on from by the next session.
    async fn save(
        &mut self,
        connection: &mut DatabaseConnection,
        session: &mut impl ReactionSession,
        to: Position,
    ) -> Result<(), FollowError> {
        let mut transaction = connection.begin().await?;
        let moved = sqlx::query(
            "UPDATE follower_leases SET position = $4, updated_at = now()
             WHERE follower = $1 AND partition = $2 AND epoch = $3 AND position = $5",
        )
        .bind(self.name)
        .bind(WHOLE_LOG)
        .bind(self.epoch)
        .bind(to.0)
        .bind(self.position.0)
        .execute(&mut *transaction)
        .await?;
        if moved.rows_affected() == 0 {
            return Err(FollowError::Fenced);
        }
        session.save(&mut transaction).await?;
        transaction.commit().await?;
        (self.position, self.saved_at) = (to, Instant::now());
        Ok(())
    }
}

#[cfg(test)]
mod tests;
