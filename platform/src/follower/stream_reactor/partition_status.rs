//! What a reactor of this process holds and has under way, for readiness and metrics. In memory only.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::event_log::{EventLogError, Position};
use crate::follower::status::FollowerStatus;

/// What a reactor tells of itself. It exists before the reactor starts: then there are no leases.
pub struct PartitionStatus {
    follower: FollowerStatus,
    leases: Mutex<Option<Result<usize, String>>>,
    /// Whether the last read of the log failed.
    is_log_unreadable: AtomicBool,
    held: AtomicUsize,
    under_way: AtomicUsize,
}

impl PartitionStatus {
    /// Of a reactor that has not started, and that tells `follower` how it gets on.
    #[must_use]
    pub fn new(follower: FollowerStatus) -> Self {
        Self {
            follower,
            leases: Mutex::default(),
            is_log_unreadable: AtomicBool::default(),
            held: AtomicUsize::default(),
            under_way: AtomicUsize::default(),
        }
    }

    /// What the last renewal found: how many partitions are this member's to keep, or why that is not
    /// known. `None` before the start.
    #[must_use]
    pub fn leases(&self) -> Option<Result<usize, String>> {
        self.leases.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many partitions are held, those about to be given back among them.
    #[must_use]
    pub fn held_partitions(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    /// How many streams are under way.
    #[must_use]
    pub fn streams_under_way(&self) -> usize {
        self.under_way.load(Ordering::Relaxed)
    }

    /// So many partitions are kept; those held are all done up to `checkpoint`. A log that could not be read
    /// is not forgotten for that, unless nothing is held: then it is not read.
    pub(super) fn report_leases(&self, kept: usize, checkpoint: Option<Position>) {
        self.set_leases(Ok(kept));
        match checkpoint {
            Some(checkpoint) if self.is_log_unreadable.load(Ordering::Relaxed) => {
                self.follower.resume_from(checkpoint);
            }
            Some(checkpoint) => self.follower.follow_from(checkpoint),
            None => {
                self.is_log_unreadable.store(false, Ordering::Relaxed);
                self.follower.stand_by();
            }
        }
    }

    /// The leases were not renewed, or there is none to renew.
    pub(super) fn report_failure(&self, error: &dyn std::error::Error) {
        self.set_leases(Err(error.to_string()));
        self.follower.interrupt(error);
    }

    /// The log could not be read.
    pub(super) fn report_unreadable_log(&self, error: &EventLogError) {
        self.is_log_unreadable.store(true, Ordering::Relaxed);
        self.follower.interrupt(error);
    }

    /// All that is held is done up to `checkpoint`, of a log that was complete up to `head`.
    pub(super) fn report_read(&self, checkpoint: Option<Position>, head: Position) {
        self.follower.see_head(head);
        self.report_done(checkpoint);
    }

    /// The log can be read again. That makes up for nothing else, such as leases that were not renewed.
    pub(super) fn report_readable_log(&self, checkpoint: Option<Position>) {
        let was_unreadable = self.is_log_unreadable.swap(false, Ordering::Relaxed);
        match checkpoint {
            Some(checkpoint) if was_unreadable && matches!(self.leases(), Some(Ok(_))) => {
                self.follower.follow_from(checkpoint);
            }
            checkpoint => self.report_done(checkpoint),
        }
    }

    /// All that is held is done up to `checkpoint`. Leases that were not renewed are not forgotten for
    /// that: only a renewal makes up for them.
    pub(super) fn report_done(&self, checkpoint: Option<Position>) {
        if let Some(checkpoint) = checkpoint {
            self.follower.resume_from(checkpoint);
        }
    }

    fn set_leases(&self, outcome: Result<usize, String>) {
        *self.leases.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome);
    }

    pub(super) fn report_held(&self, partitions: usize) {
        self.held.store(partitions, Ordering::Relaxed);
    }

    pub(super) fn report_under_way(&self, streams: usize) {
        self.under_way.store(streams, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::follower::Followers;
    use crate::health::Probe as _;

    fn unreadable() -> EventLogError {
        EventLogError::Unavailable("the log is away".into())
    }

    #[tokio::test]
    async fn an_unreadable_log_is_shown_until_it_is_read_and_failed_leases_until_they_are_renewed()
    {
        let followers = Followers::new();
        let status = PartitionStatus::new(followers.register("worker"));
        let is_ready = async || followers.checks().await[0].ready;
        let start = Some(Position(3));
        status.report_leases(2, start);
        assert!(is_ready().await);

        status.report_unreadable_log(&unreadable());
        let check = followers.checks().await.remove(0);
        assert!(check.detail.unwrap().ends_with("the log is away"));
        status.report_leases(2, start);
        status.report_done(start);
        assert!(!is_ready().await, "a renewal reads nothing");
        status.report_readable_log(start);
        assert!(is_ready().await);

        status.report_unreadable_log(&unreadable());
        status.report_failure(&sqlx::Error::PoolClosed);
        status.report_readable_log(start);
        assert!(!is_ready().await, "a read renews nothing");
        status.report_leases(2, start);
        assert!(is_ready().await);

        status.report_unreadable_log(&unreadable());
        status.report_leases(0, None);
        assert!(is_ready().await, "who holds nothing reads nothing");
        status.report_leases(1, start);
        assert!(is_ready().await);
    }
}
