//! What the database has said of the disk that it is on, which only it can tell where that is another machine's.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// SQLSTATE of a disk that is full.
const DISK_FULL: &str = "53100";
/// How often a disk that counts as full is looked at, at most: readiness may be asked for without a token.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What the database has said of its disk. Clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct DiskRoom(Arc<Mutex<Room>>);

#[derive(Debug, Clone, Copy, Default)]
enum Room {
    /// Nothing bad.
    #[default]
    Enough,
    /// It is full; when it was looked at since.
    Full { looked_at: Option<Instant> },
}

impl DiskRoom {
    /// Notes what an error says about the disk.
    pub(super) fn note(&self, error: &sqlx::Error) {
        if !is_disk_full(error) {
            return;
        }
        let mut room = self.lock();
        if matches!(*room, Room::Enough) {
            tracing::error!("the disk of the database is full");
            *room = Room::Full { looked_at: None };
        }
    }

    /// It has taken something since.
    pub(super) fn note_enough(&self) {
        *self.lock() = Room::Enough;
    }

    /// Whether to look at a disk that counts as full; `None` when it does not.
    pub(super) fn take_look(&self, now: Instant) -> Option<bool> {
        let mut room = self.lock();
        let Room::Full { looked_at } = &mut *room else { return None };
        let is_due = looked_at.is_none_or(|at| now.saturating_duration_since(at) >= LOOK_EVERY);
        if is_due {
            *looked_at = Some(now);
        }
        Some(is_due)
    }

    fn lock(&self) -> MutexGuard<'_, Room> {
        // Every change under this lock is whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether that was refused because the disk is full.
pub(super) fn is_disk_full(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(|error| error.code()).is_some_and(|code| code == DISK_FULL)
}
