//! The keys of a folder, read again from time to time by whoever signs or verifies with them.
//!
//! Invariant: what was done to the folder is known [`READ_AGAIN_EVERY`] after it, where keys are used at all; and
//! however many unknown key ids are shown, the folder is read a few times a minute at most.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use super::keys::{KeyRing, KeySet};

/// After how long the folder is read again.
const READ_AGAIN_EVERY: Duration = Duration::from_secs(20);
/// After how long an unknown key id makes it be read again.
const LOOK_AGAIN_EVERY: Duration = Duration::from_secs(5);

/// Keys that are kept as their folder says. A key is so old when it signs (`keys::SIGNS_AFTER`) that everybody has
/// read it.
pub(super) struct FollowedKeys {
    /// Absent for a set that somebody else keeps.
    folder: Option<PathBuf>,
    known: RwLock<KnownKeys>,
}

struct KnownKeys {
    keys: Arc<KeySet>,
    read_at: Instant,
    /// When they were looked for again, because of an id that is not known.
    looked_at: Option<Instant>,
}

impl FollowedKeys {
    pub(super) fn of_ring(ring: &KeyRing) -> Self {
        Self::new(Some(ring.folder().to_owned()), Arc::clone(&ring.keys))
    }

    pub(super) fn of_set(keys: KeySet) -> Self {
        Self::new(None, Arc::new(keys))
    }

    fn new(folder: Option<PathBuf>, keys: Arc<KeySet>) -> Self {
        let known = KnownKeys { keys, read_at: Instant::now(), looked_at: None };
        Self { folder, known: RwLock::new(known) }
    }

    /// The keys as they are now.
    pub(super) fn current(&self) -> Arc<KeySet> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        if self.folder.is_none() || known.read_at.elapsed() < READ_AGAIN_EVERY {
            return Arc::clone(&known.keys);
        }
        drop(known);
        self.read_again(|known| known.read_at.elapsed() >= READ_AGAIN_EVERY)
    }

    /// The keys as they are now, with the one of this id, if there is one.
    pub(super) fn current_with(&self, kid: &str) -> Arc<KeySet> {
        let keys = self.current();
        if keys.find(kid).is_some() {
            return keys;
        }
        self.read_again(|known| {
            let may_look = known.looked_at.is_none_or(|at| at.elapsed() >= LOOK_AGAIN_EVERY);
            if may_look {
                known.looked_at = Some(Instant::now());
            }
            may_look
        })
    }

    /// Reads the folder where `is_due` still says so when it is this one's turn.
    fn read_again(&self, is_due: impl FnOnce(&mut KnownKeys) -> bool) -> Arc<KeySet> {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(folder) = &self.folder
            && is_due(&mut known)
        {
            known.read_at = Instant::now();
            match KeyRing::read(folder.clone()) {
                Ok(ring) => known.keys = ring.keys,
                Err(error) => tracing::warn!(%error, "the token keys cannot be read again"),
            }
        }
        Arc::clone(&known.keys)
    }
}
