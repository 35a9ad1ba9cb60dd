//! What a reactor of this process holds and has under way, for readiness and metrics. In memory only.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// What a reactor tells of itself. It exists before the reactor starts: then there are no leases.
#[derive(Debug, Default)]
pub struct PartitionStatus {
    leases: Mutex<Option<Result<usize, String>>>,
    held: AtomicUsize,
    under_way: AtomicUsize,
}

impl PartitionStatus {
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

    pub(super) fn report_leases(&self, outcome: Result<usize, String>) {
        *self.leases.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome);
    }

    pub(super) fn report_held(&self, partitions: usize) {
        self.held.store(partitions, Ordering::Relaxed);
    }

    pub(super) fn report_under_way(&self, streams: usize) {
        self.under_way.store(streams, Ordering::Relaxed);
    }
}
