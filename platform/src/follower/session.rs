//! The one loop in which every follower lives: sessions that end with an error are tried again.
//!
//! Invariant: whatever goes wrong ends the session with everything that it held, and the next one goes
//! on from the checkpoint; nothing that a session knew outlives it.

use std::convert::Infallible;
use std::future::Future;
use std::time::Duration;

use super::status::FollowerStatus;
use super::tail::{Follow, LogTail};
use crate::backoff::Backoff;
use crate::event_log::{EventLogError, Position};
use crate::shutdown::Shutdown;

/// Between sessions that ended without getting anywhere.
pub const SESSION_BACKOFF: Backoff =
    Backoff::new(Duration::from_millis(50), Duration::from_secs(10), 1.0);

/// Why a follower was interrupted. What was done before stays done.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    /// Somebody else owns it now, or its checkpoint was moved by hand.
    #[error("another owner took over")]
    Fenced,
    /// The log cannot be read.
    #[error(transparent)]
    Log(#[from] EventLogError),
    /// The database failed.
    #[error("the database failed: {0}")]
    Database(#[from] sqlx::Error),
    /// What the follower does cannot be done now, or it has nothing to do it with.
    #[error("{0}")]
    Failed(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl FollowError {
    /// For a reason that is none of the others.
    pub fn failed(reason: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Failed(reason.into())
    }
}

/// Whoever follows the log in sessions.
pub trait Follower: Send {
    /// One session: becomes the owner, follows the log from the checkpoint and says so in `status`,
    /// until something is in the way. Dropping the future ends it as a crash would.
    fn follow(
        &mut self,
        status: &FollowerStatus,
    ) -> impl Future<Output = Result<Infallible, FollowError>> + Send;
}

/// Begins to follow as the owner of a checkpoint at `position`. What interrupted the sessions before is
/// over once a page is done ([`FollowerStatus::advance`]), or at once when there is nothing to do.
pub(super) async fn begin_following(
    tail: &LogTail,
    position: Position,
    status: &FollowerStatus,
) -> Result<Follow, FollowError> {
    status.resume_from(position);
    let mut follow = tail.follow(position);
    // A checkpoint beyond the end of the log ends the session here: it would wait until the log comes there.
    follow.incarnation().await?;
    if status.is_interrupted() && follow.is_at_end().await? {
        status.follow_from(position);
    }
    Ok(follow)
}

/// Lets a follower follow until shutdown is requested. What is in flight then is dropped, and done
/// again by whoever comes next.
pub async fn run_follower(mut follower: impl Follower, status: FollowerStatus, shutdown: Shutdown) {
    tokio::select! {
        () = run_sessions(&mut follower, &status) => {}
        () = shutdown.requested() => {}
    }
}

async fn run_sessions(follower: &mut impl Follower, status: &FollowerStatus) {
    let mut attempt = 0;
    loop {
        let Err(error) = follower.follow(status).await;
        if status.take_advance() {
            attempt = 0;
        }
        let name = status.name();
        if let FollowError::Fenced = error {
            tracing::info!(follower = name, "another owner took over; looking again");
            status.wait_for_ownership();
        } else {
            tracing::warn!(follower = name, attempt, %error, "follower interrupted; trying again");
            status.interrupt(&error);
        }
        SESSION_BACKOFF.wait(attempt).await;
        attempt = attempt.saturating_add(1);
    }
}

#[cfg(test)]
mod tests;
