//! The one loop in which every follower lives: sessions that end with an error are tried again.
//!
//! Invariant: whatever goes wrong ends the session with everything that it held, and the next one goes
//! on from the checkpoint; nothing that a session knew outlives it.

use std::convert::Infallible;
use std::future::Future;
use std::time::Duration;

use super::status::FollowerStatus;
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
        let before: Option<Position> = status.position();
        let Err(error) = follower.follow(status).await;
        if status.position() > before {
            attempt = 0;
        }
        let name = status.name();
        if let FollowError::Fenced = error {
            tracing::info!(follower = name, "another owner took over; looking again");
            status.stand_by();
        } else {
            tracing::warn!(follower = name, attempt, %error, "follower interrupted; trying again");
            status.interrupt(&error);
        }
        SESSION_BACKOFF.wait(attempt).await;
        attempt = attempt.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::follower::status::{FollowerState, Followers};

    /// Fails three times, gets somewhere, is fenced off, then follows.
    struct Unlucky(u32);

    impl Follower for Unlucky {
        async fn follow(&mut self, status: &FollowerStatus) -> Result<Infallible, FollowError> {
            self.0 += 1;
            match self.0 {
                1..=3 => Err(FollowError::failed("the other end is away")),
                4 => {
                    status.follow_from(Position(1));
                    status.advance(Position(2), Position(9));
                    Err(FollowError::Fenced)
                }
                _ => {
                    status.follow_from(Position(7));
                    std::future::pending().await
                }
            }
        }
    }

    #[tokio::test]
    async fn a_follower_is_tried_again_until_it_follows_and_ends_with_the_shutdown() {
        let (followers, shutdown) = (Followers::new(), Shutdown::new());
        let status = followers.register("unlucky");
        let running = tokio::spawn(run_follower(Unlucky(0), status.clone(), shutdown.clone()));
        let following = async {
            while status.position() != Some(Position(7)) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), following).await.expect("it follows");
        assert_eq!(status.state(), FollowerState::Following);
        shutdown.request();
        running.await.unwrap();
    }
}
