//! The keys of an installation as one process knows them, read again by whoever follows them.
//!
//! Invariant: a process that has keys goes on having some, whatever becomes of their place: what cannot be read is as
//! it was, and is said; what is gone from there is believed no more. However many unknown key ids are shown, the place
//! is read a few times a minute at most, and nobody waits for somebody else's look at it.

use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use chrono::Utc;

use super::key_material::SECRET_BYTES;
use super::key_place::KeyPlace;
use super::key_set::{KeyAgreement, KeySet, NamedKey};
use super::keys::KeyRing;

/// After how long an unknown key id makes the place be read again.
const LOOK_AGAIN_EVERY: Duration = Duration::from_secs(5);

/// Keys that are kept as their place says. Clones share them.
#[derive(Clone)]
pub struct InstallationKeys(Arc<Shared>);

struct Shared {
    /// Absent for a set that somebody else keeps.
    place: Option<KeyPlace>,
    known: RwLock<KnownKeys>,
    /// Held by who reads the place; when it was looked at because of an id that is not known.
    looked_at: Mutex<Option<Instant>>,
    secret_of_nobody: [u8; SECRET_BYTES],
}

struct KnownKeys {
    keys: Arc<KeySet>,
    read_at: Instant,
    /// What was wrong there then, in words.
    faults: Vec<String>,
}

impl InstallationKeys {
    /// The keys of a ring, to be followed from now on.
    #[must_use]
    pub fn new(ring: &KeyRing) -> Self {
        Self::with_place(Some(ring.place().clone()), Arc::clone(&ring.keys))
    }

    pub(super) fn of_set(keys: KeySet) -> Self {
        Self::with_place(None, Arc::new(keys))
    }

    fn with_place(place: Option<KeyPlace>, keys: Arc<KeySet>) -> Self {
        let known = KnownKeys { keys, read_at: Instant::now(), faults: Vec::new() };
        let secret_of_nobody = crate::config::random_bytes().unwrap_or_default();
        let (known, looked_at) = (RwLock::new(known), Mutex::default());
        Self(Arc::new(Shared { place, known, looked_at, secret_of_nobody }))
    }

    /// Every key by its id.
    #[must_use]
    pub fn held(&self) -> Vec<NamedKey> {
        self.current().held()
    }

    /// Those that sign now: one of tokens, one of URLs.
    #[must_use]
    pub fn signing_ids(&self) -> Vec<String> {
        self.current().signing_ids(Utc::now())
    }

    /// What was wrong with their place when it was read last.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        self.0.known.read().unwrap_or_else(PoisonError::into_inner).faults.clone()
    }

    /// How long ago that was.
    #[must_use]
    pub fn read_ago(&self) -> Duration {
        self.0.known.read().unwrap_or_else(PoisonError::into_inner).read_at.elapsed()
    }

    /// Lets those sign from now on that all processes know.
    pub fn agree(&self, agreement: KeyAgreement) {
        let mut known = self.0.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.keys.agreement.as_deref() != Some(&agreement) {
            let keys = (*known.keys).clone();
            known.keys = Arc::new(KeySet { agreement: Some(Arc::new(agreement)), ..keys });
        }
    }

    /// Reads their place again, unless somebody does so now. It may take as long as the file system likes.
    pub fn read_again(&self) {
        // A reader that stands still on a mount that does not answer must not hold the next one up.
        if let Ok(reading) = self.0.looked_at.try_lock() {
            self.read_place();
            drop(reading);
        }
    }

    /// The keys as they are now.
    pub(super) fn current(&self) -> Arc<KeySet> {
        Arc::clone(&self.0.known.read().unwrap_or_else(PoisonError::into_inner).keys)
    }

    /// The keys as they are now, with the one of this id, if there is one.
    pub(super) fn current_with(&self, kid: &str) -> Arc<KeySet> {
        let keys = self.current();
        if keys.find(kid).is_some() {
            return keys;
        }
        let Ok(mut looked_at) = self.0.looked_at.try_lock() else { return keys };
        if looked_at.is_some_and(|at| at.elapsed() < LOOK_AGAIN_EVERY) {
            return keys;
        }
        *looked_at = Some(Instant::now());
        self.read_place();
        drop(looked_at);
        self.current()
    }

    /// A secret that signs where there is none, and that nobody verifies with.
    pub(super) fn secret_of_nobody(&self) -> &[u8; SECRET_BYTES] {
        &self.0.secret_of_nobody
    }

    fn read_place(&self) {
        let Some(place) = &self.0.place else { return };
        let (keys, faults) = KeySet::read(place, &self.current());
        let faults: Vec<_> = faults.iter().map(ToString::to_string).collect();
        let mut known = self.0.known.write().unwrap_or_else(PoisonError::into_inner);
        for fault in faults.iter().filter(|fault| !known.faults.contains(fault)) {
            tracing::warn!(fault, "a key cannot be read; what was known of it before counts on");
        }
        log_changes(&known.keys, &keys);
        // What was agreed on meanwhile counts.
        let agreement = known.keys.agreement.clone();
        *known = KnownKeys {
            keys: Arc::new(KeySet { agreement, ..keys }),
            read_at: Instant::now(),
            faults,
        };
    }
}

/// Says which keys have come and gone.
fn log_changes(before: &KeySet, after: &KeySet) {
    let (before, after) = (before.held(), after.held());
    let is_in = |keys: &[NamedKey], id: &str| keys.iter().any(|key| key.id == id);
    for key in after.iter().filter(|key| !is_in(&before, &key.id)) {
        tracing::info!(key = key.id, purpose = key.purpose.as_str(), "a key is known now");
    }
    for key in before.iter().filter(|key| !is_in(&after, &key.id)) {
        tracing::info!(key = key.id, purpose = key.purpose.as_str(), "a key is believed no more");
    }
}

impl std::fmt::Debug for InstallationKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InstallationKeys").field("place", &self.0.place).finish_non_exhaustive()
    }
}
