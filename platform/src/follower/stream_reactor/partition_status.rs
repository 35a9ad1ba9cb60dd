//! What a reactor of this process holds and has under way, for readiness and metrics. In memory only.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::event_log::Position;
use crate::follower::status::FollowerStatus;

/// What a reactor tells of itself. It exists before the reactor starts: then there are no leases.
pub struct PartitionStatus {
    follower: FollowerStatus,
    leases: Mutex<Option<Result<usize, String>>>,
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

    /// So many partitions are kept; those held are all done up to `checkpoint`.
    pub(super) fn report_leases(&self, kept: usize, checkpoint: Option<Position>) {
        self.set_leases(Ok(kept));
        match checkpoint {
            Some(checkpoint) => self.follower.follow_from(checkpoint),
            None => self.follower.stand_by(),
        }
    }

    /// The leases were not renewed.
    pub(super) fn report_failure(&self, error: &sqlx::Error) {
        self.set_leases(Err(error.to_string()));
        self.follower.interrupt(error);
    }

    /// All that is held is done up to `checkpoint`, of a log that was complete up to `head`.
    pub(super) fn report_read(&self, checkpoint: Option<Position>, head: Position) {
        self.follower.see_head(head);
        self.report_done(checkpoint);
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
