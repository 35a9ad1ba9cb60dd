//! The secrets of clients that were right a moment ago, so that a station which signs in for every board is not
//! charged Argon2id each time, nor everybody beside it.
//!
//! Invariants: what is kept is HMAC-SHA256 under a key that is made when the process starts and is nowhere else; it
//! counts for one credential, which another secret replaces, and for a limited time from when the digest was compared.
//! Only for what was generated at random: whoever guesses a password pays for each guess, and so does whoever has a
//! wrong secret.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hmac::Mac as _;
use secrecy::{ExposeSecret as _, SecretString};
use uuid::Uuid;

use crate::auth::hmac_sha256;

/// How long a secret counts as right without its digest.
const KEPT_FOR: Duration = Duration::from_secs(15 * 60);
/// The most that are kept; whoever comes then is compared with the digest.
const KEPT_MAX: usize = 10_000;

/// Clones share everything.
#[derive(Clone)]
pub(super) struct ProvenSecrets {
    key: [u8; 32],
    proven: Arc<Mutex<HashMap<Uuid, Proven>>>,
}

/// That a secret was right, and when.
struct Proven {
    tag: [u8; 32],
    at: Instant,
}

impl std::fmt::Debug for ProvenSecrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ProvenSecrets([redacted])")
    }
}

impl Default for ProvenSecrets {
    fn default() -> Self {
        Self { key: rand::random(), proven: Arc::default() }
    }
}

impl ProvenSecrets {
    /// Whether `secret` was right for this credential not long before `now`.
    pub(super) fn is_proven(&self, credential: Uuid, secret: &SecretString, now: Instant) -> bool {
        let proven = self.proven.lock().unwrap_or_else(PoisonError::into_inner);
        proven.get(&credential).is_some_and(|proven| {
            let is_recent = now.saturating_duration_since(proven.at) < KEPT_FOR;
            // In constant time.
            is_recent && self.mac(credential, secret).verify_slice(&proven.tag).is_ok()
        })
    }

    /// Notes that the digest was compared at `now`, and `secret` is right for this credential.
    pub(super) fn note_proven(&self, credential: Uuid, secret: &SecretString, now: Instant) {
        let tag = self.mac(credential, secret).finalize().into_bytes().into();
        let mut proven = self.proven.lock().unwrap_or_else(PoisonError::into_inner);
        if proven.len() >= KEPT_MAX {
            proven.retain(|_, proven| now.saturating_duration_since(proven.at) < KEPT_FOR);
        }
        if proven.len() < KEPT_MAX {
            proven.insert(credential, Proven { tag, at: now });
        }
    }

    fn mac(&self, credential: Uuid, secret: &SecretString) -> hmac::Hmac<sha2::Sha256> {
        let mut mac = hmac_sha256(&self.key);
        mac.update(credential.as_bytes());
        mac.update(secret.expose_secret().as_bytes());
        mac
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_counts_for_its_credential_and_its_time_alone() {
        let (secrets, now) = (ProvenSecrets::default(), Instant::now());
        let (credential, another) = (Uuid::new_v4(), Uuid::new_v4());
        let (right, wrong) = ("chipq_secret_right".into(), "chipq_secret_wrong".into());
        assert!(!secrets.is_proven(credential, &right, now));
        secrets.note_proven(credential, &right, now);
        assert!(secrets.clone().is_proven(credential, &right, now));
        assert!(!secrets.is_proven(credential, &wrong, now));
        assert!(!secrets.is_proven(another, &right, now), "rotated: it has another credential");
        let last = now + KEPT_FOR - Duration::from_millis(1);
        assert!(secrets.is_proven(credential, &right, last));
        assert!(!secrets.is_proven(credential, &right, now + KEPT_FOR));
        assert!(!ProvenSecrets::default().is_proven(credential, &right, now), "another process");
    }

    #[test]
    fn no_more_are_kept_than_have_a_place_until_those_have_expired() {
        let (secrets, now, secret) = (ProvenSecrets::default(), Instant::now(), "a".into());
        for _ in 0..KEPT_MAX {
            secrets.note_proven(Uuid::new_v4(), &secret, now);
        }
        let (one_more, later) = (Uuid::new_v4(), now + KEPT_FOR);
        secrets.note_proven(one_more, &secret, now);
        assert!(!secrets.is_proven(one_more, &secret, now));
        secrets.note_proven(one_more, &secret, later);
        assert!(secrets.is_proven(one_more, &secret, later));
        assert_eq!(secrets.proven.lock().unwrap().len(), 1);
    }
}
